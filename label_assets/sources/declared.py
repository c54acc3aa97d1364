"""Sources that a file declares: files of every format and tables, merged instrument by instrument.

Belongs here: which declarations an instrument has, finding their files, which of two declarations wins. Does not belong
here: what can be declared (`sources.declaration`), rules about rows (`sources.rows`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from label_assets.catalog.granularities import GRANULARITIES
from label_assets.catalog.granularities import granularity as granularity_named
from label_assets.catalog.instruments import Instrument
from label_assets.errors import SettingsError, SourceEmptyError
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.sources.batch import CandleBatch
from label_assets.sources.clocks import parse_clock
from label_assets.sources.declaration import Declaration, TableDeclaration
from label_assets.sources.files import FileCache
from label_assets.sources.formats.table import read_table, table_fingerprint
from label_assets.sources.resampled import BasePart, base_part
from label_assets.sources.rows import (
    ANOTHER_SOURCE_WINS,
    FileRows,
    Rules,
    Window,
    assemble,
    file_rows,
    rests_at_weekends,
)

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class DeclaredSources:
    """Candles of declared files and tables.

    Of two declarations of one instrument the later one wins where both have a candle. An object is for one thread.
    """

    def __init__(
        self,
        declarations: Sequence[Declaration],
        folder: Path,
        calendar: SessionCalendar,
        instruments: Sequence[Instrument] = (),
        connect: "Callable[[], Client] | None" = None,
    ) -> None:
        """Remember the declarations; nothing is opened yet.

        Args:
            declarations: What is declared, in order.
            folder: Folder that file patterns are relative to.
            calendar: Trading session that H4, D and W follow.
            instruments: Configured instruments; their kind says whether weekend filler is dropped.
            connect: Opens the server of declared tables.
        """
        self._declarations = tuple(declarations)
        self._folder = folder
        self._calendar = calendar
        self._kinds: Mapping[str, str] = {instrument.name: instrument.kind for instrument in instruments}
        self._connect = connect
        self._client: Client | None = None
        self._files = FileCache()
        self._tables: dict[str, tuple[str, FileRows]] = {}

    def read(self, instrument: str, granularity: str, start_ts: int, end_ts: int, now_ts: int) -> CandleBatch:
        """Candles of a granularity from every declaration of an instrument; see `sources.batch.Source`.

        Raises:
            SourceUnreadableError: a declared file or table cannot be read as declared.
            SourceEmptyError: nothing is declared for the instrument, only what is coarser, or no file is there.
            SettingsError: a declaration lacks a clock, or has one too many.
        """
        window = Window(start_ts, end_ts, now_ts)
        declarations = self.declared(instrument, granularity)
        self._check_each_file_once(declarations)
        return merged([self._part(declaration, granularity, window) for declaration in declarations])

    def span(self, instrument: str, granularity: str) -> tuple[int, int] | None:
        """Stamps of the first and the last row, rejected ones included [epoch s]; None without rows.

        Raises:
            SourceUnreadableError: as `read`.
            SourceEmptyError: as `read`.
            SettingsError: as `read`.
        """
        ends: list[int] = []
        for declaration in self.declared(instrument, granularity):
            rules = self._rules(declaration)
            for rows in self._rows(declaration):
                inside = rows.filed_ts[(rows.filed_ts >= rules.first_ts) & (rows.filed_ts < rules.end_ts)]
                ends += [int(ts) for ts in (*inside[:1], *inside[-1:])]
        return (min(ends), max(ends)) if ends else None

    def describe(self) -> str:
        """One line for logs and metadata."""
        names = sorted({declaration.format for declaration in self._declarations})
        return f"{len(self._declarations)} declared sources ({', '.join(names)})"

    def declared(self, instrument: str, granularity: str) -> tuple[Declaration, ...]:
        """Declarations of an instrument that are not coarser than a granularity, in order.

        Raises:
            SourceEmptyError: there is none.
            CatalogError: for a granularity that does not exist.
        """
        order = list(GRANULARITIES)
        base = order.index(granularity_named(granularity).name)
        all_of_it = [item for item in self._declarations if item.instrument == instrument]
        usable = tuple(item for item in all_of_it if order.index(item.granularity) <= base)
        if usable:
            return usable
        names = sorted({item.instrument for item in self._declarations})
        coarser = ", ".join(sorted({item.granularity for item in all_of_it}, key=order.index))
        raise SourceEmptyError(
            asked=f"{instrument} {granularity} of the declared sources",
            found=f"only {coarser}, which cannot be split into {granularity}"
            if all_of_it
            else f"declarations of {', '.join(names)}",
            allowed=f"a source of {granularity} or finer ({', '.join(order[: base + 1])}), which is resampled",
            action=f"declare one, set base_granularity to {coarser.split(', ')[0]}, or take the instrument out of the "
            "settings"
            if all_of_it
            else "declare one, or take the instrument out of the settings",
        )

    def watched(self, instrument: str, granularity: str) -> dict[str, Path | str]:
        """What an instrument is read from, by name: the path of a file, or for a table a text that changes with it.

        Raises:
            SourceEmptyError: nothing is declared for the instrument, or only what is coarser.
            WarehouseUnavailableError: the server of a table does not answer.
        """
        found: dict[str, Path | str] = {}
        for declaration in self.declared(instrument, granularity):
            if isinstance(declaration, TableDeclaration):
                found[declaration.table] = table_fingerprint(self._opened(declaration), declaration)
            found |= {self._name(path): path for path in self.files(declaration)}
        return found

    def files(self, declaration: Declaration) -> list[Path]:
        """Files of a declaration, by name; empty for a table. Opens none."""
        if isinstance(declaration, TableDeclaration):
            return []
        found = {path for pattern in declaration.files for path in _matching(self._folder, pattern) if path.is_file()}
        return sorted(found)

    def _check_each_file_once(self, declarations: Sequence[Declaration]) -> None:
        seen: dict[str, Path] = {}
        for path in [path for declaration in declarations for path in self.files(declaration)]:
            other = seen.setdefault(self._name(path), path)
            if other is not path:
                raise SettingsError(
                    asked=f"{declarations[0].instrument} of the declared sources",
                    found=f"the file {self._name(path)} twice",
                    allowed="each file in one declaration of an instrument, under a name of its own",
                    action="narrow the patterns of `files`, or rename one of the two files",
                )

    def _part(self, declaration: Declaration, granularity: str, window: Window) -> BasePart:
        files = self._rows(declaration)

        def read(part: Window) -> CandleBatch:
            return assemble(
                declaration.instrument, declaration.granularity, files, part, self._calendar, self._rules(declaration)
            )

        return base_part(read, declaration.granularity, granularity, window, self._calendar)

    def _rows(self, declaration: Declaration) -> list[FileRows]:
        if isinstance(declaration, TableDeclaration):
            return [self._table_rows(declaration)]
        paths = self.files(declaration)
        if not paths:
            raise SourceEmptyError(
                asked=f"{declaration.instrument} {declaration.granularity} from {', '.join(declaration.files)}",
                found=f"no such file in {self._folder}",
                allowed="patterns that match at least one file",
                action="put a file there, or correct `files` in the declaration",
            )
        return [self._files.rows(path, declaration, self._name(path)) for path in paths]

    def _name(self, path: Path) -> str:
        """What a file is called in `rejected_candles`: its path below the folder of the declarations."""
        return path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else path.name

    def _opened(self, declaration: TableDeclaration) -> "Client":
        if self._connect is None:
            raise SourceEmptyError(
                asked=f"table {declaration.table}",
                found="no ClickHouse server given to the source",
                allowed="a source made with a connection",
                action="run it through label-assets or Dagster",
            )
        self._client = self._client or self._connect()
        return self._client

    def _table_rows(self, declaration: TableDeclaration) -> FileRows:
        client = self._opened(declaration)
        fingerprint = table_fingerprint(client, declaration)
        key = declaration.model_dump_json()
        known = self._tables.get(key)
        if known is None or known[0] != fingerprint:
            raw = read_table(client, declaration)
            clock = declaration.parsed_clock or (None if raw.is_utc else parse_clock("UTC"))
            known = (fingerprint, file_rows(declaration.table, 0, raw, clock))
            self._tables[key] = known
        return known[1]

    def _rules(self, declaration: Declaration) -> Rules:
        drops = declaration.weekend_filler == "drop" or (
            declaration.weekend_filler is None and rests_at_weekends(self._kinds.get(declaration.instrument))
        )
        rules = Rules(drops_weekend_filler=drops)
        if declaration.first is not None:
            rules = rules._replace(first_ts=_midnight(declaration.first))
        if declaration.last is not None:
            rules = rules._replace(end_ts=_midnight(declaration.last, days=1))
        return rules


def merged(parts: Sequence[BasePart]) -> CandleBatch:
    """One batch from the declarations of an instrument; of several candles of one time the last declaration's is kept.

    Args:
        parts: At least one, in the order of declaration.
    """
    if len(parts) == 1:
        return parts[0].batch
    taken = np.empty(0, np.int64)
    columns, lost, kept = [], 0, 0
    for part in reversed(parts):
        is_new = ~np.isin(part.batch.candles.ts, taken)
        columns.append(Candles._make(column[is_new] for column in part.batch.candles))
        taken = np.concatenate([taken, columns[-1].ts])
        kept += int(part.source_rows[is_new].sum())
        lost += int(part.source_rows[~is_new].sum())
    order = np.argsort(taken, kind="stable")
    batches = [part.batch for part in parts]
    dropped = _sums([batch.dropped for batch in batches] + ([{ANOTHER_SOURCE_WINS: lost}] if lost else []))
    batch = replace(
        batches[0],
        candles=Candles._make(np.concatenate(column)[order] for column in zip(*columns, strict=True)),
        rejected=tuple(sorted((row for batch in batches for row in batch.rejected), key=lambda row: row.ts)),
        dropped=dropped,
        rows_in=sum(batch.rows_in for batch in batches),
        files=tuple(name for batch in batches for name in batch.files),
        spans=tuple(span for batch in batches for span in batch.spans),
        notes=_sums([batch.notes for batch in batches]),
        rows_kept=kept,
    )
    batch.check_accounting()
    return batch


def _sums(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for name, count in part.items():
            total[name] = total.get(name, 0) + count
    return total


def _matching(folder: Path, pattern: str) -> list[Path]:
    """Paths that match a pattern, relative to a folder or absolute."""
    path = Path(pattern).expanduser()
    if path.is_absolute():
        return list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    return list(folder.glob(str(path)))


def _midnight(day: str, days: int = 0) -> int:
    return int((datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=days)).timestamp())
