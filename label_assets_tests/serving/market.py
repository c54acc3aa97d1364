"""A synthetic market in ClickHouse as runs leave it, without Dagster: candles, levels, labels."""

from typing import Any

import numpy as np
import pyarrow as pa

from label_assets.catalog.columns import Table
from label_assets.catalog.families import LABELS
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.catalog.tables import CANDLES
from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.labels import joined_rows
from label_assets.compute.levels import owned_levels_of
from label_assets.compute.rows import rows_from_arrays
from label_assets.compute.statistics import day_starts, month_starts, statistics_rows
from label_assets.compute.versions import code_versions
from label_assets.kernels.arrays import Candles
from label_assets.market.resampling import ladder
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.live.markets import CALENDAR, at, base_candles

FIRST, END = at("2024-01-01"), at("2024-03-20")
PATHS = {"H1": "M15", "H4": "H1", "D": "H4", "W": "D"}
COMPUTED_AT = at("2024-03-21")

Row = dict[str, Any]


def store_market(settings: Settings) -> None:
    """Fill the tables that the API reads."""
    warehouse = Warehouse(settings)
    for instrument in settings.instruments:
        base = base_candles(settings, instrument.name, FIRST, END)
        store_candles(warehouse, settings, instrument.name, base)
    warehouse.close()


def store_candles(warehouse: Warehouse, settings: Settings, name: str, base: Candles) -> None:
    """Make the tables hold what follows from these base candles of an instrument."""
    rungs = {settings.base_granularity: base, **ladder(base, settings.base_granularity, CALENDAR)}
    for granularity in settings.ladder:
        rows = candle_rows(name, granularity, rungs[granularity])
        warehouse.upsert(CANDLES, Scope(name, FIRST, END, granularity), rows)
    for granularity in settings.granularities:
        candles = rungs[granularity]
        for owned in owned_levels_of(candles, settings, name, granularity, (FIRST, END)):
            warehouse.upsert(owned.table, owned.scope, owned.rows)
        market = MarketSlice(name, granularity, FIRST, END, candles, rungs[PATHS[granularity]])
        parts = [label_rows(settings, market, horizon) for horizon in settings.horizons]
        warehouse.upsert(LABELS, Scope(name, FIRST, END, granularity), pa.concat_tables(parts))


def candle_rows(name: str, granularity: str, candles: Candles) -> pa.Table:
    constants = {"instrument_id": name, "granularity": granularity}
    return rows_from_arrays(CANDLES, constants, candles._asdict(), np.ones(len(candles.ts), bool))


def label_rows(settings: Settings, market: MarketSlice, horizon: int) -> pa.Table:
    """Rows of `labels` that a run makes of a slice."""
    tables = {table.name: compute_rows(table, market, horizon, settings.labels).rows for table in COMPUTED_TABLES}
    version = code_versions(settings)["labels"]
    return joined_rows(market.instrument_id, tables["path_windows"], tables, version, COMPUTED_AT)


def stored_labels(settings: Settings, name: str, granularity: str, horizon: int) -> pa.Table:
    """Rows of `labels` in the wire types, oldest first."""
    warehouse = Warehouse(settings)
    rows = warehouse.read(LABELS, Scope(name, 0, 2**32 - 1, granularity))
    warehouse.close()
    return rows.filter(pa.compute.equal(rows["horizon"], horizon))


def store_statistics(settings: Settings) -> None:
    """Fill the tables of statistics from the stored labels."""
    warehouse = Warehouse(settings)
    for instrument in settings.instruments:
        for granularity in settings.granularities:
            labels = warehouse.read(LABELS, Scope(instrument.name, 0, 2**32 - 1, granularity))
            for table in (LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY):
                scope = Scope(instrument.name, FIRST, END, granularity)
                warehouse.upsert(table, scope, statistics_of(table, labels))
    warehouse.close()


def statistics_of(table: Table, labels: pa.Table) -> pa.Table:
    """Rows of a table of statistics that follow from labels."""
    starts = month_starts if table is LABEL_STATISTICS_MONTHLY else day_starts
    return statistics_rows(table, labels, starts(labels["ts"].to_numpy().astype(np.int64)))
