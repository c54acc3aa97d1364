"""A landing folder of Parquet files.

Belongs here: finding files, reading their columns. Does not belong here: rules about rows (`sources.rows`).
"""

import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from label_assets.catalog.granularities import GRANULARITIES
from label_assets.catalog.granularities import granularity as granularity_named
from label_assets.errors import SourceEmptyError, SourceUnreadableError
from label_assets.kernels.arrays import FloatArray, IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.market.validation import CandleColumns
from label_assets.sources.batch import CandleBatch
from label_assets.sources.rows import FileRows, Window, assemble, file_rows

_PRICES = ("open", "high", "low", "close")
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_ANY_FILE = re.compile(rf"(?P<instrument>[A-Z0-9_.]{{3,20}}?)_(?:{'|'.join(GRANULARITIES)})(?:_.*)?\.parquet")

# About 70 bytes a row: 350 MB. Thirty years of M15 are 0.75 million rows, of M1 11 million.
_CACHED_ROWS = 5_000_000


class ParquetLandingFolder:
    """Parquet files `<INSTRUMENT>_<GRANULARITY>.parquet` or `<INSTRUMENT>_<GRANULARITY>_<anything>.parquet`.

    Columns: `ts` (open time; a timestamp of any unit, without a zone it is UTC), `open`, `high`, `low`, `close` and, if
    there is one, `volume` (integer, floating or decimal numbers; volume 0 where the column is absent). Other columns
    and other files are ignored. Which row is stored, rejected or dropped: `sources.rows.assemble`.

    A file is read once and kept until it changes (modification time or size); the oldest ones are let go beyond
    5 million rows. An object is for one thread.
    """

    def __init__(self, folder: Path, calendar: SessionCalendar) -> None:
        """Remember the folder; nothing is opened yet.

        Args:
            folder: Folder with the files; subfolders are ignored.
            calendar: Trading session that H4, D and W follow.
        """
        self._folder = folder
        self._calendar = calendar
        self._cache: OrderedDict[tuple[Path, int, int], FileRows] = OrderedDict()

    def read(self, instrument: str, granularity: str, start_ts: int, end_ts: int, now_ts: int) -> CandleBatch:
        """Rows of all files of the instrument and granularity with start_ts ≤ ts < end_ts; see `sources.batch.Source`.

        Raises:
            SourceUnreadableError: a file cannot be read, or lacks a column, or has one of a wrong type.
            SourceEmptyError: there is no file for the instrument and granularity.
        """
        paths = self.files(instrument, granularity)
        if not paths:
            raise self._empty(instrument, granularity)
        rows = [self._rows(path) for path in paths]
        return assemble(instrument, granularity, rows, Window(start_ts, end_ts, now_ts), self._calendar)

    def span(self, instrument: str, granularity: str) -> tuple[int, int] | None:
        """Stamps of the first and the last row, rejected ones included [epoch s]; None without files or rows.

        Raises:
            SourceUnreadableError: as `read`.
        """
        filed = [self._rows(path).filed_ts for path in self.files(instrument, granularity)]
        filed = [ts for ts in filed if len(ts)]
        if not filed:
            return None
        return min(int(ts[0]) for ts in filed), max(int(ts[-1]) for ts in filed)

    def describe(self) -> str:
        """One line for logs and metadata."""
        return f"Parquet files in {self._folder}"

    def files(self, instrument: str, granularity: str) -> list[Path]:
        """Files of one instrument and granularity, by name. Opens none.

        Raises:
            CatalogError: for a granularity that does not exist.
        """
        name = granularity_named(granularity).name
        pattern = re.compile(rf"{re.escape(instrument)}_{name}(_.*)?\.parquet")
        return [path for path in self._all_files() if pattern.fullmatch(path.name)]

    def _all_files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.suffix == ".parquet" and path.is_file())

    def _rows(self, path: Path) -> FileRows:
        try:
            status = path.stat()
        except OSError as error:
            raise _unreadable(path, str(error)) from error
        key = (path, status.st_mtime_ns, status.st_size)
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        rows = read_file(path, status.st_mtime_ns)
        for old in [old for old in self._cache if old[0] == path]:
            del self._cache[old]
        self._cache[key] = rows
        while len(self._cache) > 1 and sum(len(kept.line) for kept in self._cache.values()) > _CACHED_ROWS:
            self._cache.popitem(last=False)
        return rows

    def _empty(self, instrument: str, granularity: str) -> SourceEmptyError:
        matches = (_ANY_FILE.fullmatch(path.name) for path in self._all_files())
        there = sorted({match["instrument"] for match in matches if match})
        found = f"files of {', '.join(there)}" if there else "no candle files"
        if not self._folder.is_dir():
            found = "no such folder"
        return SourceEmptyError(
            asked=f"{instrument} {granularity} in folder {self._folder}",
            found=found,
            allowed=f"{instrument}_{granularity}.parquet or {instrument}_{granularity}_<anything>.parquet",
            action="put such a file there, or take the instrument out of the settings",
        )


def read_file(path: Path, modified_ns: int) -> FileRows:
    """Read one Parquet file whole, without applying any rule to its rows.

    Args:
        path: The file.
        modified_ns: Its modification time [ns since 1970].

    Raises:
        SourceUnreadableError: the file cannot be read, lacks a column, has one of a wrong type, or has rows but none
            with a usable stamp.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_schema(path, file.schema_arrow)
            wanted = [name for name in ("ts", *_PRICES, "volume") if name in file.schema_arrow.names]
            table = file.read(columns=wanted)
        stamps = table.column("ts")
        units = _UNITS_PER_SECOND[stamps.type.unit]
        raw = pc.fill_null(stamps.cast(pa.int64()), 0).to_numpy()
        open_, high, low, close = (_numbers(table.column(name)) for name in _PRICES)
        volume = _numbers(table.column("volume")) if "volume" in wanted else np.zeros(len(raw))
        has_stamp = pc.is_valid(stamps).to_numpy()
        columns = CandleColumns(raw // units, has_stamp, raw % units != 0, open_, high, low, close, volume)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    return file_rows(path.name, modified_ns, columns, lambda lines: _stamp_texts(stamps, lines))


def _check_schema(path: Path, schema: pa.Schema) -> None:
    for name in ("ts", *_PRICES, "volume"):
        count = schema.names.count(name)
        if count == 0 and name == "volume":
            continue
        if count != 1:
            raise _unreadable(path, f"{count or 'no'} columns {name!r} among {', '.join(schema.names) or 'none'}")
        kind = schema.field(name).type
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        if not (pa.types.is_timestamp(kind) if name == "ts" else is_number):
            raise _unreadable(path, f"column {name!r} of type {kind}")


def _numbers(column: pa.ChunkedArray) -> FloatArray:
    """Values as float64, NaN where missing."""
    if pa.types.is_decimal(column.type):
        # Arrow's own cast is not correctly rounded: 109,338 of 200,000 random decimal128(20, 5) differed from float().
        column = column.cast(pa.string())
    numbers: FloatArray = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def _stamp_texts(stamps: pa.ChunkedArray, lines: IntArray) -> list[str | None]:
    """Time stamps of 1-based lines as text; Arrow keeps those with a zone as UTC, which the Z says."""
    naive = stamps.take(pa.array(lines - 1)).cast(pa.timestamp(stamps.type.unit))
    suffix = "Z" if stamps.type.tz else ""
    texts: list[str | None] = [None if text is None else text + suffix for text in naive.cast(pa.string()).to_pylist()]
    return texts


def _unreadable(path: Path, found: str) -> SourceUnreadableError:
    return SourceUnreadableError(
        asked=f"candles of file {path.name}",
        found=found,
        allowed="a Parquet file with columns ts (timestamp), open, high, low, close and, if wanted, volume (numbers)",
        action="replace the file or take it away; nothing of its partition was changed",
    )
