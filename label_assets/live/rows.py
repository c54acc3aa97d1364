"""Rows of every table that new candles at the end of a tail can have changed, as a run makes them.

Labels are those that the hot path has made for the cache; the rest comes from the same functions as a run's, on the
tail's candles in place of the warehouse's.

Belongs here: which rows, in which scopes. Does not belong here: values (`compute`), writing (`live.storing`).
"""

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.columns import Table
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.tables import CANDLES, PATH_WINDOWS, RAW_CANDLES
from label_assets.compute import reach
from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.labels import joined_rows
from label_assets.compute.levels import OwnedTable, owned_levels_of
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.arrays import Candles
from label_assets.live.newest import NewestRows
from label_assets.live.tail import TailView, between, newest
from label_assets.settings import Settings
from label_assets.warehouse.upsert import Scope, ScopeRows

Parts = dict[Table, list[ScopeRows]]
"""What should be in some scopes, by table."""


@dataclass
class Appended:
    """Candles that came to the end of a tail and are not stored yet.

    Attributes:
        view: The tail with them.
        first_ts: Open time of the first base candle [epoch s].
        first_opens: Open time of the first new candle of each coarser granularity that has any [epoch s].
        entry_ids: Entries that are to be acknowledged once this is stored.
        made: By granularity and horizon the rows of labels that the candles can have changed.
        made_us: When the newest of them was taken, before its labels were encoded for the cache [microseconds since
            1970]. The version of what is stored: labels of a later candle that are in the cache already are newer.
    """

    view: TailView
    first_ts: int
    first_opens: dict[str, int] = field(default_factory=dict)
    entry_ids: list[str] = field(default_factory=list)
    made: dict[tuple[str, int], NewestRows] = field(default_factory=dict)
    made_us: int = field(default_factory=lambda: time.time_ns() // 1000)

    def extend(self, later: "Appended") -> None:
        """Take in what came later."""
        self.view = later.view
        self.first_ts = min(self.first_ts, later.first_ts)
        self.first_opens = later.first_opens | self.first_opens
        self.entry_ids += later.entry_ids
        for key, rows in later.made.items():
            self.made[key] = rows.after(self.made[key]) if key in self.made else rows
        self.made_us = max(self.made_us, later.made_us)


class _Piece(NamedTuple):
    """Columns of rows that belong to one instrument and granularity, in time order."""

    instrument_id: str
    granularity: str
    columns: Mapping[str, NDArray[Any]]
    horizon: int = 0

    @property
    def scope(self) -> Scope:
        ts = self.columns["ts"]
        return Scope(self.instrument_id, int(ts[0]), int(ts[-1]) + 1, self.granularity)


def appended_parts(batch: Iterable[Appended], label_version: str, now_ts: int) -> Parts:
    """Rows of every table that appended candles can have changed, with their scopes.

    Rows of all instruments are made together, which takes as long as those of a few.

    Args:
        batch: The candles, each instrument once.
        label_version: Version to write into rows of `labels`.
        now_ts: Time of writing [epoch s].
    """
    raw: list[_Piece] = []
    candles: list[_Piece] = []
    made: list[_Piece] = []
    parts: Parts = {}
    for appended in batch:
        view, settings = appended.view, appended.view.settings
        base = between(view.base, appended.first_ts, int(view.base.ts[-1]) + 1)
        raw.append(_Piece(view.instrument_id, settings.base_granularity, base._asdict()))
        candles.append(raw[-1])
        for name, first_open in appended.first_opens.items():
            new = between(view.rungs[name], first_open, int(view.rungs[name].ts[-1]) + 1)
            candles.append(_Piece(view.instrument_id, name, new._asdict()))
            if name not in settings.granularities:
                continue
            for owned in _levels(view, name, new):
                parts.setdefault(owned.table, []).append(ScopeRows(owned.scope, owned.rows))
            for horizon in settings.horizons:
                made.append(_Piece(view.instrument_id, name, appended.made[name, horizon].columns, horizon))
    parts |= {
        RAW_CANDLES: _by_scope(raw, _rows_of(RAW_CANDLES, raw)),
        CANDLES: _by_scope(candles, _rows_of(CANDLES, candles)),
    }
    if made:
        tables = {table: _rows_of(table, made) for table in COMPUTED_TABLES}
        tables[LABELS] = _labels("these instruments", tables, label_version, now_ts)
        parts |= {table: _by_scope(made, rows) for table, rows in tables.items()}
    return parts


def _rows_of(table: Table, pieces: Sequence[_Piece]) -> pa.Table:
    lengths = [len(piece.columns["ts"]) for piece in pieces]
    columns = {
        name: np.concatenate([piece.columns[name] for piece in pieces])
        for name in pieces[0].columns
        if name in table.names
    }
    keys = {
        "instrument_id": np.repeat([piece.instrument_id for piece in pieces], lengths),
        "granularity": np.repeat([piece.granularity for piece in pieces], lengths),
        "horizon": np.repeat([piece.horizon for piece in pieces], lengths),
    }
    given = {
        column.name: pa.array(keys[column.name], column.type.wire)
        for column in table.all_columns
        if column.name in keys
    }
    return rows_from_arrays(table, given, columns, np.ones(sum(lengths), bool))


def _by_scope(pieces: Sequence[_Piece], rows: pa.Table) -> list[ScopeRows]:
    """Cut rows of pieces, one after the other, into the scopes of these; pieces of all horizons share one."""
    found: list[ScopeRows] = []
    begin = 0
    for scope, same in itertools.groupby(pieces, key=lambda piece: piece.scope):
        length = sum(len(piece.columns["ts"]) for piece in same)
        found.append(ScopeRows(scope, rows.slice(begin, length)))
        begin += length
    return found


def label_parts(market: MarketSlice, settings: Settings, label_version: str, now_ts: int) -> dict[Table, ScopeRows]:
    """Rows of path windows, families and labels of a slice, every horizon, with their scope."""
    scope = Scope(market.instrument_id, market.start_ts, market.end_ts, market.granularity)
    tables = {
        table: pa.concat_tables(
            [compute_rows(table, market, horizon, settings.labels).rows for horizon in settings.horizons]
        ).combine_chunks()
        for table in COMPUTED_TABLES
    }
    tables[LABELS] = _labels(market.instrument_id, tables, label_version, now_ts)
    return {table: ScopeRows(scope, rows) for table, rows in tables.items()}


def _labels(of: str, tables: Mapping[Table, pa.Table], label_version: str, now_ts: int) -> pa.Table:
    families = {family.name: tables[family.table] for family in FAMILIES}
    return joined_rows(of, tables[PATH_WINDOWS], families, label_version, now_ts)


def _levels(view: TailView, name: str, new: Candles) -> list[OwnedTable]:
    around = reach.level_reach(view.settings, name)
    candles = newest(view.rungs[name], len(new.ts) + around.back + 1)
    time_range = (int(new.ts[0]), int(new.close_ts[-1]) + 1)
    return owned_levels_of(candles, view.settings, view.instrument_id, name, time_range)
