"""Rows of `labels` of the synthetic market, computed as a run does and stored without Dagster."""

from functools import cache

import pyarrow as pa

from label_assets.catalog.families import LABELS
from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.labels import joined_rows
from label_assets.market.resampling import ladder
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.live.markets import CALENDAR, at, base_candles

FIRST, START, END = at("2024-01-01"), at("2024-02-20"), at("2024-03-20")
PATHS = {"H1": "M15", "H4": "H1", "D": "H4", "W": "D"}


@cache
def label_rows(instrument: str, granularity: str, horizon: int = 6, start: int = START, end: int = END) -> pa.Table:
    """Rows that open from start to end, in the wire schema; the last ones are open."""
    settings = load_settings(instruments=[instrument])
    base = base_candles(settings, instrument, FIRST, end)
    rungs = {"M15": base, **ladder(base, "M15", CALENDAR)}
    market = MarketSlice(instrument, granularity, start, end, rungs[granularity], rungs[PATHS[granularity]])
    tables = {table.name: compute_rows(table, market, horizon, settings.labels).rows for table in COMPUTED_TABLES}
    return joined_rows(instrument, tables["path_windows"], tables, "1-test", start).combine_chunks()


def store(warehouse: Warehouse, rows: pa.Table, start_ts: int = START, end_ts: int = END) -> None:
    """Make the rows of one instrument and granularity be exactly these."""
    first = rows.slice(0, 1).to_pylist()[0]
    scope = Scope(first["instrument_id"], start_ts, end_ts, first["granularity"])
    warehouse.upsert(LABELS, scope, rows)


def store_all(warehouse: Warehouse, settings: Settings) -> None:
    """Store the rows of every section."""
    for instrument in settings.instruments:
        for granularity in settings.granularities:
            store(warehouse, pa.concat_tables([label_rows(instrument.name, granularity, h) for h in settings.horizons]))
