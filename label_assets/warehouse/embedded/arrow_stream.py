"""One Arrow IPC stream out of many: chDB streams every block as a whole stream with schema and end.

Format: https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format — a message is 0xFFFFFFFF, the length of
its metadata (little-endian), the metadata, the body; a stream begins with the schema and ends with length 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

_CONTINUATION = b"\xff\xff\xff\xff"
_END = _CONTINUATION + b"\0\0\0\0"


def joined_streams(streams: Iterable[bytes]) -> Iterator[bytes]:
    """Join whole streams of one schema: the first keeps its schema, the last its end.

    A schema has no body, so its message is as long as its metadata says. Dictionaries are sent anew by every block,
    which a stream allows.
    """
    first = True
    for stream in streams:
        begin = 0 if first else _schema_length(stream)
        end = len(stream) - len(_END) if stream.endswith(_END) else len(stream)
        first = False
        yield stream[begin:end]
    if not first:
        yield _END


def _schema_length(stream: bytes) -> int:
    (length,) = struct.unpack_from("<i", stream, 4)
    return 8 + int(length)
