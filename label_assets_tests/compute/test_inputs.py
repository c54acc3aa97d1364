"""A reader that has seen candles written gives what one gives that reads all of them."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from label_assets.assets.partitions import month_start
from label_assets.catalog.tables import CANDLES
from label_assets.compute.inputs import MarketReader
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

FIRST, FROM, UNTIL, LAST = (month_start(month) for month in ("2023-11", "2024-01", "2024-03", "2024-05"))
NAME = "EURUSD"


def candle_rows(settings: Settings, start_ts: int, end_ts: int) -> pa.Table:
    calendar = SessionCalendar(settings.session_open)
    base = SyntheticMarket(7, settings.instruments, calendar).read(NAME, "M15", FIRST, LAST, 2**32).candles
    rungs = {"M15": base, **ladder(base, "M15", calendar)}
    parts = []
    for granularity, candles in rungs.items():
        inside = (candles.ts >= start_ts) & (candles.ts < end_ts)
        constants = {"instrument_id": NAME, "granularity": granularity}
        parts.append(rows_from_arrays(CANDLES, constants, candles._asdict(), inside))
    return pa.concat_tables(parts)


def assert_equal(left: Candles, right: Candles) -> None:
    for name, a, b in zip(Candles._fields, left, right, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("is_disturbed", [False, True])
@pytest.mark.parametrize(("stored_from", "stored_until"), [(FIRST, LAST), (FROM, UNTIL)], ids=["around", "alone"])
def test_candles_that_were_written_need_no_reading(
    make_settings: Callable[..., Settings], stored_from: int, stored_until: int, is_disturbed: bool
) -> None:
    numbers = {name: {"level_lifetime": 40, "quantile_sample": 30, "burst_sample": 20} for name in ("H1", "H4", "D")}
    settings = make_settings(granularities=("H1", "H4", "D"), labels={"numbers": numbers})
    other = Warehouse(settings)
    other.upsert(CANDLES, Scope(NAME, FIRST, LAST), candle_rows(settings, stored_from, stored_until))
    writing = Warehouse(settings, kept_bytes=2**26)
    scope = Scope(NAME, FROM, UNTIL)
    writing.upsert(CANDLES, scope, candle_rows(settings, FROM, UNTIL))
    if is_disturbed:
        rows = candle_rows(settings, FROM, UNTIL)
        other.upsert(CANDLES, scope, rows.set_column(4, rows.schema.field(4), pa.array(np.full(rows.num_rows, 1.0))))
    seen, fresh = MarketReader(writing, settings), MarketReader(other, settings)
    seen.expect_written(scope)
    for start_ts, end_ts in ((FROM, UNTIL), (month_start("2024-02"), UNTIL), (month_start("2023-12"), LAST)):
        for granularity in settings.granularities:
            key = (NAME, granularity, start_ts, end_ts)
            assert_equal(seen.level_candles(*key), fresh.level_candles(*key))
            ours, theirs = seen.slice(*key), fresh.slice(*key)
            assert_equal(ours.candles, theirs.candles)
            assert_equal(ours.path, theirs.path)
            assert len(ours.path.ts) > len(ours.candles.ts) > 20
    other.close()
    writing.close()
