"""Rows of every table that new candles at the end of a tail can have changed, as a run makes them.

Labels are those that the hot path has made for the cache; the rest comes from the same functions as a run's, on the
tail's candles in place of the warehouse's.

Belongs here: which rows, in which scopes. Does not belong here: values (`compute`), writing (`live.storing`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

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


def appended_parts(appended: Appended, label_version: str, now_ts: int) -> Parts:
    """Rows of every table that the appended candles can have changed, with their scopes.

    Args:
        appended: The candles.
        label_version: Version to write into rows of `labels`.
        now_ts: Time of writing [epoch s].
    """
    view, settings = appended.view, appended.view.settings
    base = between(view.base, appended.first_ts, int(view.base.ts[-1]) + 1)
    parts: Parts = {RAW_CANDLES: [_candle_rows(RAW_CANDLES, view.instrument_id, settings.base_granularity, base)]}
    parts[CANDLES] = [_candle_rows(CANDLES, view.instrument_id, settings.base_granularity, base)]
    for name, first_open in appended.first_opens.items():
        new = between(view.rungs[name], first_open, int(view.rungs[name].ts[-1]) + 1)
        parts[CANDLES].append(_candle_rows(CANDLES, view.instrument_id, name, new))
        if name not in settings.granularities:
            continue
        for owned in _levels(view, name, new):
            parts.setdefault(owned.table, []).append(ScopeRows(owned.scope, owned.rows))
        made = [appended.made[name, horizon] for horizon in settings.horizons]
        for table, part in _made_parts(made, label_version, now_ts).items():
            parts.setdefault(table, []).append(part)
    return parts


def _made_parts(made: Sequence[NewestRows], label_version: str, now_ts: int) -> dict[Table, ScopeRows]:
    """As `label_parts`, of rows of one granularity that are made already."""
    (instrument_id, name, *_), ts = made[0], made[0].columns["ts"]
    scope = Scope(instrument_id, int(ts[0]), int(ts[-1]) + 1, name)
    every = np.ones(len(ts), bool)

    def rows_of(table: Table, rows: NewestRows) -> pa.Table:
        constants: dict[str, str | int] = {
            "instrument_id": instrument_id,
            "granularity": name,
            "horizon": rows.horizon,
        }
        return rows_from_arrays(table, constants, rows.columns, every)

    tables = {
        table: pa.concat_tables([rows_of(table, rows) for rows in made]).combine_chunks() for table in COMPUTED_TABLES
    }
    return _with_labels(scope, tables, label_version, now_ts)


def label_parts(market: MarketSlice, settings: Settings, label_version: str, now_ts: int) -> dict[Table, ScopeRows]:
    """Rows of path windows, families and labels of a slice, every horizon, with their scope."""
    scope = Scope(market.instrument_id, market.start_ts, market.end_ts, market.granularity)
    tables = {
        table: pa.concat_tables(
            [compute_rows(table, market, horizon, settings.labels).rows for horizon in settings.horizons]
        ).combine_chunks()
        for table in COMPUTED_TABLES
    }
    return _with_labels(scope, tables, label_version, now_ts)


def _with_labels(
    scope: Scope, tables: dict[Table, pa.Table], label_version: str, now_ts: int
) -> dict[Table, ScopeRows]:
    families = {family.name: tables[family.table] for family in FAMILIES}
    labels = joined_rows(scope.instrument_id, tables[PATH_WINDOWS], families, label_version, now_ts)
    return {table: ScopeRows(scope, rows) for table, rows in (tables | {LABELS: labels}).items()}


def _candle_rows(table: Table, instrument_id: str, granularity: str, candles: Candles) -> ScopeRows:
    constants: Mapping[str, str | int] = {"instrument_id": instrument_id, "granularity": granularity}
    rows = rows_from_arrays(table, constants, candles._asdict(), np.ones(len(candles.ts), bool))
    return ScopeRows(Scope(instrument_id, int(candles.ts[0]), int(candles.ts[-1]) + 1, granularity), rows)


def _levels(view: TailView, name: str, new: Candles) -> list[OwnedTable]:
    around = reach.level_reach(view.settings, name)
    candles = newest(view.rungs[name], len(new.ts) + around.back + 1)
    time_range = (int(new.ts[0]), int(new.close_ts[-1]) + 1)
    return owned_levels_of(candles, view.settings, view.instrument_id, name, time_range)
