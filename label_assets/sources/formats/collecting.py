"""From blocks of rows to the rows of a file, with what was wrong and the time stamps as they stood.

Belongs here: what every reader does with its rows. Does not belong here: how a format is read.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.kernels.arrays import FloatArray, IntArray
from label_assets.market.validation import UNREADABLE_STAMP, reason_code
from label_assets.sources.declaration import PRICES
from label_assets.sources.formats.stamps import Stamps
from label_assets.sources.raw_rows import LONGEST_DETAIL, RawRows, StampTexts

REPORTED_ROWS = 250_000
"""Rows between two messages about progress."""

_KINDS: dict[str, type[np.generic]] = {
    "line": np.int64,
    "stamp_s": np.int64,
    "has_stamp": np.bool_,
    "has_fraction": np.bool_,
    **dict.fromkeys((*PRICES, "volume"), np.float64),
}
_LOG = logging.getLogger("label_assets.sources")
_TEXT_SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string())])
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="zstd")


class Block(NamedTuple):
    """Some rows of a file, as `RawRows` has them; one element a row."""

    line: IntArray
    stamps: Stamps
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray


class _Column:
    """An array that grows in its place: joining parts at the end would need room for all of them twice."""

    def __init__(self, kind: type[np.generic]) -> None:
        self._array = np.zeros(0, kind)
        self._length = 0

    def append(self, part: NDArray[Any]) -> None:
        end = self._length + len(part)
        if end > len(self._array):
            self._array.resize(max(end, len(self._array) * 5 // 4), refcheck=False)
        self._array[self._length : end] = part
        self._length = end

    def values(self) -> NDArray[Any]:
        self._array.resize(self._length, refcheck=False)
        return self._array


class RowCollector:
    """The rows of one file, block by block in the order of the file."""

    def __init__(self, name: str) -> None:
        """No rows yet.

        Args:
            name: Name of the file, for messages.
        """
        self._name = name
        self._columns = {name: _Column(kind) for name, kind in _KINDS.items()}
        self._texts: list[tuple[int, pa.Buffer]] = []
        self._faults: dict[int, tuple[int, str]] = {}
        self._rows = 0

    def add(self, block: Block, stamp_texts: pa.Array, share_read: Callable[[], float]) -> None:
        """Keep rows.

        Args:
            block: The rows.
            stamp_texts: Their time stamps as the file has them; null where there is none.
            share_read: Gives the share of the file that has been read, for the message every 250,000 rows.
        """
        if not len(block.line):
            return
        stamp_s, has_stamp, has_fraction = block.stamps
        parts = block._asdict() | {"stamp_s": stamp_s, "has_stamp": has_stamp, "has_fraction": has_fraction}
        for name, column in self._columns.items():
            column.append(parts[name])
        self._texts.append((int(block.line[0]), _packed(block.line, stamp_texts)))
        reported = self._rows // REPORTED_ROWS
        self._rows += len(block.line)
        if self._rows // REPORTED_ROWS > reported:
            _LOG.info("%s: %s rows, %.0f %% of the bytes", self._name, f"{self._rows:,}", 100 * share_read())

    def add_fault(self, line: int, reason: str, detail: str) -> None:
        """What is wrong with a row; of several reasons the first in `REASONS` stays, with all its details."""
        code = reason_code(reason)
        known, details = self._faults.get(line, (code, ""))
        if code <= known:
            self._faults[line] = (code, f"{details}, {detail}" if details and code == known else detail)

    def add_unread_stamps(self, line: IntArray, texts: pa.Array, stamps: Stamps, form: str) -> None:
        """Fault the rows that have a time stamp which could not be read.

        Args:
            line: Number of each row.
            texts: Their time stamps; null where there is none.
            stamps: What was read of them.
            form: What a time stamp should look like.
        """
        unread = np.flatnonzero(~stamps.is_read & pc.is_valid(texts).to_numpy(zero_copy_only=False))
        for number, text in zip(line[unread].tolist(), texts.take(pa.array(unread)).to_pylist(), strict=True):
            self.add_fault(number, UNREADABLE_STAMP, f"stamp {clipped(text)} does not read as {form}")

    def rows(self, *, is_utc: bool) -> RawRows:
        """All rows; the collector must not be used afterwards.

        Args:
            is_utc: The stamps carried their offset from UTC.
        """
        columns: dict[str, Any] = {name: column.values() for name, column in self._columns.items()}
        fault = np.zeros(len(columns["line"]), np.int8)
        faulty = np.array(sorted(self._faults), np.int64)
        fault[np.searchsorted(columns["line"], faulty)] = [self._faults[number][0] for number in faulty.tolist()]
        return RawRows(
            is_utc=is_utc,
            fault=fault,
            fault_details={number: detail for number, (_, detail) in self._faults.items()},
            stamp_texts=_text_finder(self._texts),
            **columns,
        )


def clipped(found: object, longest: int = LONGEST_DETAIL) -> str:
    """What was found, in quotes where it is a text, at most so many characters of it."""
    text = found if isinstance(found, str) else repr(found)
    short = text if len(text) <= longest else text[:longest] + "…"
    return repr(short) if isinstance(found, str) else short


def _packed(line: IntArray, texts: pa.Array) -> pa.Buffer:
    """Lines and texts, compressed: 2 bytes a row instead of 30, and few are ever looked at."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _TEXT_SCHEMA, options=_COMPRESSED) as writer:
        writer.write_batch(pa.record_batch([pa.array(line), texts], schema=_TEXT_SCHEMA))
    return sink.getvalue()


def _text_finder(packed: list[tuple[int, pa.Buffer]]) -> StampTexts:
    """Finds texts among packed blocks, each with its first line."""
    first_lines = [first for first, _ in packed]

    def texts_of(lines: IntArray) -> list[str | None]:
        block_of = np.searchsorted(first_lines, lines, side="right") - 1
        found: dict[int, str | None] = {}
        for number in np.unique(block_of[block_of >= 0]).tolist():
            table = pa.ipc.open_stream(packed[number][1]).read_all()
            wanted = table.filter(pc.is_in(table["line"], value_set=pa.array(lines[block_of == number])))
            found.update(zip(wanted["line"].to_pylist(), wanted["text"].to_pylist(), strict=True))
        return [found.get(line) for line in lines.tolist()]

    return texts_of
