"""What an HTTP request says: parameters, credentials, body.

Belongs here: reading bytes and names. Does not belong here: running anything.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from io import BufferedIOBase
from urllib.parse import parse_qsl

from label_assets.warehouse.embedded.clickhouse_engine import EngineError

_PIECE_BYTES = 1024 * 1024
_STATEMENT_LIMIT_BYTES = 1024 * 1024 * 1024
_LINE_LIMIT_BYTES = 64 * 1024

# Parameters of the transport; every other one is a setting of the engine.
TRANSPORT_PARAMETERS = frozenset(
    {
        "query", "database", "default_format", "user", "password", "quota_key", "query_id", "role",
        "session_id", "session_timeout", "session_check", "close_session",
        "compress", "decompress", "buffer_size", "wait_end_of_query", "http_response_buffer_size",
        "http_wait_end_of_query", "stacktrace", "client_protocol_version", "enable_http_compression",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms", "http_zlib_compression_level",
        "cancel_http_readonly_queries_on_client_close", "add_http_cors_header", "format",
    }
)  # fmt: skip


class BodyEndedEarlyError(Exception):
    """The client left, or its body is shorter than it announced."""


@dataclass(frozen=True)
class ExternalTable:
    """A table that a request brings along.

    Attributes:
        name: Name in the query.
        format: Format of the data.
        structure: Column list as in CREATE TABLE.
        data: The rows.
    """

    name: str
    format: str
    structure: str
    data: bytes


@dataclass
class Parameters:
    """Everything that a request says beside its statement."""

    values: dict[str, str] = field(default_factory=dict)
    tables: list[ExternalTable] = field(default_factory=list)

    def flag(self, name: str) -> bool:
        """Value of a boolean parameter."""
        return self.values.get(name, "0").lower() in {"1", "true"}

    @property
    def bound(self) -> dict[str, str]:
        """Server-side bound parameters, without `param_`."""
        return {name[6:]: value for name, value in self.values.items() if name.startswith("param_")}

    @property
    def settings(self) -> dict[str, str]:
        """Settings of the engine."""
        ours = {f"{table.name}_{part}" for table in self.tables for part in ("format", "structure", "types")}
        return {
            name: value
            for name, value in self.values.items()
            if name not in TRANSPORT_PARAMETERS and name not in ours and not name.startswith("param_")
        }


def credentials(headers: Message[str, str], values: Mapping[str, str]) -> tuple[str, str]:
    """User and password from Basic auth, X-ClickHouse headers or parameters, in this order."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")
    return values.get("user", "default"), values.get("password", "")


def is_loopback_host(host: str | None) -> bool:
    """Say whether a Host header names this machine: a page that rebinds its own name to 127.0.0.1 does not."""
    return host is not None and re.fullmatch(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", host.lower()) is not None


def raw_body(stream: BufferedIOBase, headers: Message[str, str]) -> Iterator[bytes]:
    """Yield the body as sent, by Content-Length or in chunks.

    Raises:
        BodyEndedEarlyError: It ends before its announced end.
        EngineError: The framing cannot be understood.
    """
    coding = headers.get("Transfer-Encoding", "identity").strip().lower()
    if coding == "chunked":
        yield from _chunked(stream)
        return
    announced = headers.get("Content-Length", "0").strip()
    if coding != "identity" or not announced.isdigit():
        raise EngineError.of(381, "HTTP_LENGTH_REQUIRED", f"Body of unknown length ({coding}, {announced!r})")
    left = int(announced)
    while left:
        piece = stream.read(min(left, _PIECE_BYTES))
        if not piece:
            raise BodyEndedEarlyError(f"{left} bytes of the body are missing")
        left -= len(piece)
        yield piece


def _chunked(stream: BufferedIOBase) -> Iterator[bytes]:
    while True:
        line = stream.readline(_LINE_LIMIT_BYTES)
        size_text = line.partition(b";")[0].strip()
        if not line.endswith(b"\n"):
            raise BodyEndedEarlyError("the body ends without its last chunk")
        if not re.fullmatch(rb"[0-9a-fA-F]{1,12}", size_text):
            raise BodyEndedEarlyError("a chunk size cannot be read")
        left = int(size_text, 16)
        if left == 0:
            break
        while left:
            piece = stream.read(min(left, _PIECE_BYTES))
            if not piece:
                raise BodyEndedEarlyError(f"{left} bytes of a chunk are missing")
            left -= len(piece)
            yield piece
        if stream.readline(_LINE_LIMIT_BYTES).strip():
            raise BodyEndedEarlyError("a chunk is longer than its size says")
    while stream.readline(_LINE_LIMIT_BYTES).strip():  # trailers
        pass


def whole(chunks: Iterator[bytes], first: bytes = b"") -> bytes:
    """Read a body to its end."""
    pieces = [first]
    size = len(first)
    for piece in chunks:
        size += len(piece)
        if size > _STATEMENT_LIMIT_BYTES:
            raise EngineError.of(
                307,
                "TOO_MANY_BYTES",
                f"More than {_STATEMENT_LIMIT_BYTES} bytes in a request that is no streamed insert",
            )
        pieces.append(piece)
    return b"".join(pieces)


def read_form(parameters: Parameters, content_type: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Take parameters and external tables out of a form; what is not a form is handed on.

    Returns:
        The rest of the body: what follows the query.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        _read_multipart(parameters, content_type, whole(chunks))
        return iter(())
    if kind == "application/x-www-form-urlencoded" and "query" not in parameters.values:
        # curl --data-binary declares plain SQL as a form, so only what holds `query=` is taken for one.
        first = next(chunks, b"")
        if re.match(rb"(?:[\w.%]+=[^&\s]*&)*query=", first):
            parameters.values.update(parse_qsl(whole(chunks, first).decode(), keep_blank_values=True))
            return iter(())
        return _preceded(first, chunks)
    return chunks


def _preceded(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read_multipart(parameters: Parameters, content_type: str, body: bytes) -> None:
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        raise EngineError.of(36, "BAD_ARGUMENTS", "A multipart body without boundary")
    files: list[tuple[str, bytes]] = []
    parts = (b"\r\n" + body).split(b"\r\n--" + match.group(1).encode())
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise BodyEndedEarlyError("the multipart body ends without its last boundary")
    for part in parts[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        disposition = re.search(rb"content-disposition:([^\r\n]*)", head, re.IGNORECASE)
        name = re.search(rb'[; ]name="([^"]*)"', disposition.group(1) if disposition else b"")
        if disposition is None or name is None:
            continue
        if re.search(rb"filename\*?=", disposition.group(1)):
            files.append((name.group(1).decode(), data))
        else:
            parameters.values[name.group(1).decode()] = data.decode("utf-8", "surrogateescape")
    parameters.tables.extend(_external_table(name, data, parameters.values) for name, data in files)


def _external_table(name: str, data: bytes, values: Mapping[str, str]) -> ExternalTable:
    structure = values.get(f"{name}_structure")
    if structure is None and f"{name}_types" in values:
        types = _split_types(values[f"{name}_types"])
        structure = ", ".join(f"_{number} {column}" for number, column in enumerate(types, 1))
    if not structure or not name.isidentifier():
        raise EngineError.of(
            36, "BAD_ARGUMENTS", f"External table {name!r} needs a name, and {name}_structure or _types"
        )
    return ExternalTable(name, values.get(f"{name}_format", "TabSeparated"), structure, data)


def _split_types(types: str) -> list[str]:
    """Split a list of types at the commas outside of brackets."""
    found = [""]
    depth = 0
    for character in types:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append("")
        else:
            found[-1] += character
    return [name.strip() for name in found]
