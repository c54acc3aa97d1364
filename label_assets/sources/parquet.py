"""A landing folder of Parquet files, found by their names: nothing needs to be declared.

Belongs here: which files belong to an instrument. Does not belong here: reading Parquet (`sources.formats.parquet`),
rules about rows (`sources.rows`).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from label_assets.catalog.granularities import GRANULARITIES
from label_assets.catalog.granularities import granularity as granularity_named
from label_assets.catalog.instruments import Instrument
from label_assets.errors import SourceEmptyError
from label_assets.market.calendar import SessionCalendar
from label_assets.sources.batch import CandleBatch
from label_assets.sources.declaration import ParquetDeclaration
from label_assets.sources.files import FileCache
from label_assets.sources.resampled import base_part
from label_assets.sources.rows import FileRows, Rules, Window, assemble, rests_at_weekends

_ANY_FILE = re.compile(rf"(?P<instrument>[A-Z0-9_.]{{3,20}}?)_(?:{'|'.join(GRANULARITIES)})(?:_.*)?\.parquet")


class ParquetLandingFolder:
    """Parquet files `<INSTRUMENT>_<GRANULARITY>.parquet` or `<INSTRUMENT>_<GRANULARITY>_<anything>.parquet`.

    Columns: `ts` (open time; a timestamp of any unit, without a zone it is UTC), `open`, `high`, `low`, `close` and, if
    there is one, `volume` (integer, floating or decimal numbers; volume 0 where the column is absent). Other columns
    and other files are ignored. Which row is stored, rejected or dropped: `sources.rows.assemble`. Where there is no
    file of the granularity, the next finer one is resampled.

    A file is read once and kept until it changes. An object is for one thread.
    """

    def __init__(self, folder: Path, calendar: SessionCalendar, instruments: Sequence[Instrument] = ()) -> None:
        """Remember the folder; nothing is opened yet.

        Args:
            folder: Folder with the files; subfolders are ignored.
            calendar: Trading session that H4, D and W follow.
            instruments: Configured instruments; their kind says whether weekend filler is dropped.
        """
        self._folder = folder
        self._calendar = calendar
        self._kinds = {instrument.name: instrument.kind for instrument in instruments}
        self._cache = FileCache(clock="UTC")

    def read(self, instrument: str, granularity: str, start_ts: int, end_ts: int, now_ts: int) -> CandleBatch:
        """Rows of all files of the instrument and granularity with start_ts ≤ ts < end_ts; see `sources.batch.Source`.

        Raises:
            SourceUnreadableError: a file cannot be read, or lacks a column, or has one of a wrong type.
            SourceEmptyError: there is no file for the instrument and granularity, nor a finer one.
        """
        found = self._finest_needed(instrument, granularity)
        if found is None:
            raise self._empty(instrument, granularity)
        rules = Rules(drops_weekend_filler=rests_at_weekends(self._kinds.get(instrument)))

        def read(window: Window) -> CandleBatch:
            rows = self._rows(instrument, found)
            return assemble(instrument, found, rows, window, self._calendar, rules)

        return base_part(read, found, granularity, Window(start_ts, end_ts, now_ts), self._calendar).batch

    def span(self, instrument: str, granularity: str) -> tuple[int, int] | None:
        """Stamps of the first and the last row, rejected ones included [epoch s]; None without files or rows.

        Raises:
            SourceUnreadableError: as `read`.
        """
        found = self._finest_needed(instrument, granularity)
        filed = [rows.filed_ts for rows in self._rows(instrument, found) if len(rows.filed_ts)] if found else []
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

    def watched(self, instrument: str, granularity: str) -> dict[str, Path | str]:
        """Files that an instrument is read from, by name; see `sources.batch.WatchedSource`."""
        found = self._finest_needed(instrument, granularity)
        return {path.name: path for path in self.files(instrument, found)} if found else {}

    def _finest_needed(self, instrument: str, granularity: str) -> str | None:
        """The granularity itself or the nearest finer one that has files."""
        order = list(GRANULARITIES)
        upto = order[: order.index(granularity_named(granularity).name) + 1]
        return next((name for name in reversed(upto) if self.files(instrument, name)), None)

    def _rows(self, instrument: str, granularity: str) -> list[FileRows]:
        declaration = ParquetDeclaration(
            instrument=instrument, granularity=granularity, format="parquet", files=("*",), clock=None
        )
        return [self._cache.rows(path, declaration) for path in self.files(instrument, granularity)]

    def _all_files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if path.suffix == ".parquet" and path.is_file())

    def _empty(self, instrument: str, granularity: str) -> SourceEmptyError:
        matches = (_ANY_FILE.fullmatch(path.name) for path in self._all_files())
        there = sorted({match["instrument"] for match in matches if match})
        found = f"files of {', '.join(there)}" if there else "no candle files"
        if not self._folder.is_dir():
            found = "no such folder"
        coarser = [name for name in GRANULARITIES if self.files(instrument, name)]
        if coarser:
            found = f"only {', '.join(coarser)}, which cannot be split into {granularity}"
        return SourceEmptyError(
            asked=f"{instrument} {granularity} in folder {self._folder}",
            found=found,
            allowed=f"{instrument}_{granularity}.parquet or {instrument}_{granularity}_<anything>.parquet, "
            "or such files of a finer granularity",
            action="put such a file there, or take the instrument out of the settings",
        )
