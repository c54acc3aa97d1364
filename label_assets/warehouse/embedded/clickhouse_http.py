"""ClickHouse's HTTP interface over the standard library's threaded server: guards, credentials, requests, responses.

Guards, because any page in a browser can send requests to 127.0.0.1: a request with an Origin header is refused, so is
one whose Host is not loopback, one without the password, and one that would write by GET.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import secrets
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from label_assets.warehouse.embedded.clickhouse_engine import EngineError, Handle
from label_assets.warehouse.embedded.clickhouse_request import (
    BodyEndedEarlyError,
    Parameters,
    credentials,
    is_loopback_host,
    raw_body,
    read_form,
)
from label_assets.warehouse.embedded.clickhouse_server import ClickHouseServer
from label_assets.warehouse.embedded.clickhouse_statement import Answer, Request, run
from label_assets.warehouse.embedded.compression import (
    CorruptBodyError,
    Deflater,
    UnknownEncodingError,
    decompressed,
    negotiate,
)
from label_assets.warehouse.embedded.lifecycle import proof

_LOG = logging.getLogger(__name__)
_USER = "default"
_IDLE_S = 900.0  # longer than clickhouse-connect keeps a connection (600 s), so that it is always the one to close
_SLOT_PATIENCE_S = 30.0
_DRAIN_LIMIT_BYTES = 256 * 1024 * 1024
_CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
}
_STATUSES = {
    194: 401, 516: 403, 192: 403, 193: 403, 497: 403, 164: 403,
    60: 404, 81: 404, 46: 404, 47: 404, 115: 404, 372: 404,
    62: 400, 36: 400, 27: 400, 53: 400, 6: 400, 43: 400, 117: 400, 457: 400, 456: 400, 33: 400,
    381: 411, 307: 413, 48: 501, 202: 503, 373: 423,
}  # fmt: skip


class ClickHouseHandler(BaseHTTPRequestHandler):
    """One connection, one request after the other."""

    server: ClickHouseServer
    protocol_version = "HTTP/1.1"
    server_version = "label_assets"
    sys_version = ""
    disable_nagle_algorithm = True  # TCP_NODELAY: a small answer waits for no acknowledgement
    rbufsize = 256 * 1024
    wbufsize = 64 * 1024
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Answer a read."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a read without its body."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a statement of any kind."""
        self._answer()

    def do_OPTIONS(self) -> None:
        """Refuse: a preflight comes from a browser."""
        self._refuse(403, "Cross-origin requests are refused")

    def log_message(self, format: str, *args: object) -> None:
        """Write requests to the log at debug level only."""
        _LOG.debug(format, *args)

    def _answer(self) -> None:
        self._begun = False
        self._query_id = ""
        url = urlsplit(self.path)
        values = dict(parse_qsl(url.query, keep_blank_values=True, errors="surrogateescape"))
        if self.headers.get("Origin") is not None:
            self._refuse(403, "Requests with an Origin header are refused: they come from a web page")
        elif not is_loopback_host(self.headers.get("Host")):
            self._refuse(403, "The Host header must name the loopback interface")
        elif url.path == "/ping":
            self._send(200, {"X-Label-Assets-Proof": proof(self.server.password, values.get("nonce", ""))}, b"Ok.\n")
        elif url.path not in {"", "/", "/query"}:
            self._refuse(404, f"There is no handle {url.path}. Use / or /ping")
        elif not self._is_authenticated(values):
            user = credentials(self.headers, values)[0]
            self._fail(
                EngineError.of(
                    516,
                    "AUTHENTICATION_FAILED",
                    f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
                )
            )
        else:
            self._serve(Parameters(values))

    def _is_authenticated(self, values: Mapping[str, str]) -> bool:
        user, password = credentials(self.headers, values)
        right = hmac.compare_digest(password.encode("utf-8", "surrogateescape"), self.server.password.encode())
        return right and user == _USER

    def _serve(self, parameters: Parameters) -> None:
        raw = raw_body(self.rfile, self.headers)
        try:
            body = decompressed(raw, self.headers.get("Content-Encoding", "").strip().lower())
            body = read_form(parameters, self.headers.get("Content-Type", ""), body)
            self._query_id = parameters.values.get("query_id") or str(uuid.uuid4())
            with self._place(), self.server.registered(self._query_id):
                self._run(parameters, body)
            self._drain(raw)
        except BodyEndedEarlyError as error:
            self._fail(EngineError.of(33, "CANNOT_READ_ALL_DATA", f"Request body ended early: {error}"))
        except (CorruptBodyError, UnknownEncodingError) as error:
            self._drain(raw)
            self._fail(EngineError.of(271, "CANNOT_DECOMPRESS", str(error)), keep=True)
        except EngineError as error:
            self._drain(raw)
            self._fail(error, keep=True)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:  # noqa: BLE001
            # The border of the process: a fault of this server must reach the client as an error, not as silence.
            _LOG.exception("request failed")
            self._fail(EngineError.of(1002, "UNKNOWN_EXCEPTION", f"{type(error).__name__}: {error}"))

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        if self.server.leaving.is_set() or not self.server.slots.acquire(timeout=_SLOT_PATIENCE_S):
            raise EngineError.of(
                202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries, or shutting down"
            )
        try:
            yield
        finally:
            self.server.slots.release()

    @contextlib.contextmanager
    def _handle(self, parameters: Parameters) -> Iterator[tuple[Handle, list[Answer]]]:
        """A handle with the settings and the database of the request; a list to put its answer into."""
        answers: list[Answer] = []
        settings = parameters.settings
        database = parameters.values.get("database") or self.headers.get("X-ClickHouse-Database") or None
        session_id = parameters.values.get("session_id")
        if session_id is None:
            own = "" if database in {None, "default"} else str(database)
            with contextlib.closing(self.server.engine.open(self._query_id, settings, own)) as handle:
                yield handle, answers
            return
        session = self.server.sessions.acquire(session_id, must_exist=parameters.flag("session_check"))
        try:
            settings.pop("readonly", None)  # could not be taken back
            session.enter({"log_comment": self._query_id, **settings}, database)
            try:
                yield session.handle, answers
            finally:
                session.handle.end_stream()
                session.leave(bool(answers) and answers[0].changes_session)
        finally:
            timeout = parameters.values.get("session_timeout", "")
            self.server.sessions.release(
                session_id, float(timeout) if timeout.isdigit() else None, drop=parameters.flag("close_session")
            )

    def _run(self, parameters: Parameters, body: Iterator[bytes]) -> None:
        values = parameters.values
        if parameters.flag("compress") or parameters.flag("decompress"):
            raise EngineError.of(
                48, "NOT_IMPLEMENTED", "Use Content-Encoding: the native compressed protocol is not read"
            )
        waits = any(parameters.flag(name) for name in ("wait_end_of_query", "http_wait_end_of_query"))
        request = Request(
            parameters=parameters,
            body=body,
            default_format=values.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated",
            read_only=self.command != "POST" or values.get("readonly", "0") != "0",
            may_stream=not waits and self.command != "HEAD" and not (parameters.tables and "session_id" in values),
            on_read=lambda: self.server.watch(self._query_id, self.connection),
        )
        with self._handle(parameters) as (handle, answers):
            answer = run(handle, request)
            answers.append(answer)
            self.server.watch(self._query_id, None)
            self._send_answer(parameters, answer)

    def _send_answer(self, parameters: Parameters, answer: Answer) -> None:
        headers = {
            "X-ClickHouse-Timezone": parameters.values.get("session_timezone", "UTC"),
            "X-ClickHouse-Summary": _summary(answer),
        }
        if answer.format is not None:
            headers["X-ClickHouse-Format"] = answer.format
        headers["Content-Type"] = _CONTENT_TYPES.get(answer.format or "", "text/plain; charset=UTF-8")
        encoding = None
        if parameters.values.get("enable_http_compression", "1") != "0" and len(answer.body) + bool(answer.blocks) > 0:
            encoding = negotiate(self.headers.get("Accept-Encoding", ""))
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        if answer.blocks is not None:
            self._send_blocks(headers, answer.blocks, encoding)
        elif encoding is not None:
            deflater = Deflater(encoding)
            self._send(200, headers, deflater.compress(answer.body) + deflater.finish())
        else:
            self._send(200, headers, answer.body)

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self._begun = True
        self.send_response(status)
        self.send_header("X-ClickHouse-Server-Display-Name", "label_assets")
        if self._query_id:
            self.send_header("X-ClickHouse-Query-Id", "".join(c for c in self._query_id if c.isprintable()))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self._send_head(status, {**headers, "Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _send_blocks(self, headers: dict[str, str], blocks: Iterator[bytes], encoding: str | None) -> None:
        """Send a stream; an error in its midst is sent as the server does it, between tags, and ends the connection."""
        tag = secrets.token_hex(8)
        chunked = self.request_version != "HTTP/1.0"
        self.close_connection = self.close_connection or not chunked
        extra = {"X-ClickHouse-Exception-Tag": tag, **({"Transfer-Encoding": "chunked"} if chunked else {})}
        self._send_head(200, {**headers, **extra})
        deflater = Deflater(encoding) if encoding else None
        try:
            for block in blocks:
                self._send_piece(deflater.compress(block) if deflater else block, chunked)
        except EngineError as error:
            text = error.message
            notice = f"\r\n__exception__\r\n{tag}\r\n{text}\n{len(text.encode())} {tag}\r\n__exception__\r\n".encode()
            self._send_piece(deflater.compress(notice) if deflater else notice, chunked)
            self.close_connection = True
        if deflater:
            self._send_piece(deflater.finish(), chunked)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _send_piece(self, piece: bytes, chunked: bool) -> None:
        if not piece:
            return
        if chunked:
            self.wfile.write(b"%x\r\n" % len(piece))
        self.wfile.write(piece)
        if chunked:
            self.wfile.write(b"\r\n")
        self.wfile.flush()

    def _fail(self, error: EngineError, *, keep: bool = False) -> None:
        """Send an error; unless `keep`, the rest of the request is unread and the connection ends."""
        if self._begun:
            self.close_connection = True
            return
        if not keep:
            self.close_connection = True
        text = error.message
        if "(version " not in text:
            text += f" (version {self.server.engine.version} (embedded chDB))"
        headers = {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._send(_STATUSES.get(error.code, 500), headers, text.encode("utf-8", "replace") + b"\n")

    def _refuse(self, status: int, text: str) -> None:
        self._begun, self._query_id = False, ""
        self.close_connection = True
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._send(status, {"Content-Type": "text/plain; charset=UTF-8"}, text.encode() + b"\n")

    def _drain(self, raw: Iterator[bytes]) -> None:
        """Read what is left of the body: a client that still sends would not see the answer otherwise."""
        left = _DRAIN_LIMIT_BYTES
        try:
            for piece in raw:
                left -= len(piece)
                if left < 0:
                    self.close_connection = True
                    return
        except (BodyEndedEarlyError, ConnectionError, TimeoutError, EngineError):
            self.close_connection = True


def _summary(answer: Answer) -> str:
    progress = answer.progress
    return json.dumps(
        {
            "read_rows": str(progress.read_rows),
            "read_bytes": str(progress.read_bytes),
            "written_rows": str(progress.written_rows),
            "written_bytes": str(progress.written_bytes),
            "total_rows_to_read": str(progress.read_rows),
            "result_rows": str(progress.result_rows),
            "result_bytes": str(progress.result_bytes),
            "elapsed_ns": str(int(progress.elapsed_s * 1e9)),
        },
        separators=(",", ":"),
    )
