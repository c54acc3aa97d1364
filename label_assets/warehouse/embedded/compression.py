"""Content-Encoding in both directions: lz4, zstd, gzip and deflate.

A request body may hold several frames one after the other: clickhouse-connect sends one frame a block. A body that
ends within a frame is an error, so that half an insert is never taken for a whole one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import lz4.frame
import zstandard


class CorruptBodyError(Exception):
    """A compressed body that cannot be read, or that ends within a frame."""


class UnknownEncodingError(Exception):
    """A Content-Encoding that this server does not speak."""


class _Inflater(Protocol):
    """What the decompressors of the three libraries share."""

    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes) -> bytes:
        """Take compressed bytes, return what they give."""


_INFLATERS: dict[str, Callable[[], Any]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "deflate": lambda: zlib.decompressobj(wbits=15),
}

RESPONSE_ENCODINGS = ("lz4", "zstd", "gzip", "deflate")


def decompressed(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Decompress a request body as it arrives.

    Args:
        chunks: The body as sent.
        encoding: Content-Encoding; empty or `identity` passes the body through.

    Raises:
        UnknownEncodingError: At once, for an encoding that is not spoken.
        CorruptBodyError: While reading, for a body that is broken or ends within a frame.
    """
    if encoding in {"", "identity"}:
        return iter(chunks)
    if encoding not in _INFLATERS:
        raise UnknownEncodingError(f"Content-Encoding {encoding!r}; this server reads {', '.join(_INFLATERS)}")
    return _frames(chunks, _INFLATERS[encoding])


def _frames(chunks: Iterable[bytes], new_frame: Callable[[], _Inflater]) -> Iterator[bytes]:
    frame: _Inflater | None = None
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                frame = frame or new_frame()
                piece = frame.decompress(rest)
                rest = b""
                if frame.eof:
                    rest = frame.unused_data or b""
                    frame = None
                if piece:
                    yield piece
    except (RuntimeError, zlib.error, zstandard.ZstdError, EOFError) as error:
        raise CorruptBodyError(f"compressed body cannot be read: {error}") from error
    if frame is not None:
        raise CorruptBodyError("compressed body ends within a frame")


class Deflater:
    """Compresses a response as one frame, piece by piece."""

    def __init__(self, encoding: str) -> None:
        """Open a frame of one of `RESPONSE_ENCODINGS`."""
        self._head = b""
        self._compressor: Any
        if encoding == "lz4":
            self._compressor = lz4.frame.LZ4FrameCompressor()
            self._head = self._compressor.begin()
        elif encoding == "zstd":
            self._compressor = zstandard.ZstdCompressor(level=1).compressobj()
        else:
            self._compressor = zlib.compressobj(level=3, wbits=31 if encoding == "gzip" else 15)

    def compress(self, piece: bytes) -> bytes:
        """Add a piece; what can be sent so far is returned."""
        head, self._head = self._head, b""
        rest: bytes = self._compressor.compress(piece)
        return head + rest

    def finish(self) -> bytes:
        """Close the frame and return its rest."""
        head, self._head = self._head, b""
        rest: bytes = self._compressor.flush()
        return head + rest


def negotiate(accept_encoding: str) -> str | None:
    """Choose the first encoding of an Accept-Encoding header that this server speaks; None for none."""
    for entry in accept_encoding.lower().split(","):
        name, _, weight = entry.partition(";")
        if name.strip() in RESPONSE_ENCODINGS and weight.replace(" ", "") not in {"q=0", "q=0.0"}:
            return name.strip()
    return None
