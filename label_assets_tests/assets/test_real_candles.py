"""Three months of real candles through Dagster and ClickHouse: every label of every family equals the oracle."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_assets.assets.partitions import month_start, next_month
from label_assets.catalog.columns import ColumnType
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.granularities import granularity
from label_assets.catalog.tables import PATH_WINDOWS
from label_assets.settings import Settings
from label_assets_tests.assets.runs import failures, label_rows, materialize
from label_assets_tests.oracles import (
    barriers,
    excursions,
    level_breaks,
    level_touches,
    levels,
    market,
    path_shape,
    returns,
    sample_weights,
    volatility,
    windows,
)
from label_assets_tests.oracles.candle import Candle

SESSION = "17:00 America/New_York"
RELATIVE_TOLERANCE = 2e-6  # values are stored as Float32


def base_candles(path: Path, start_ts: int, end_ts: int) -> list[Candle]:
    table = pq.read_table(path)
    ts = table["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    inside = np.flatnonzero((ts >= start_ts) & (ts < end_ts))
    return [Candle(int(ts[i]), int(ts[i]) + 900, *(float(column[i]) for column in columns)) for i in inside]


def oracle_rows(instrument: str, rungs: dict[str, list[Candle]], name: str, horizon: int) -> dict[int, dict[str, Any]]:
    """All columns of labels but the bookkeeping, by open time."""
    rung = granularity(name)
    made = windows.make_windows(
        rungs[name],
        rungs[str(rung.path)],
        horizon,
        bars_per_bar=rung.bars_per_bar,
        gap_limit_s=rung.gap_limit_s,
    )
    intervals = levels.all_intervals(rungs[name], levels.LevelSettings(instrument, name, lifetime=rung.level_lifetime))
    tables = [
        windows.path_windows(made),
        returns.returns(made, quantile_sample=rung.quantile_sample),
        barriers.barriers(made),
        excursions.excursions(made),
        volatility.volatility(rungs[name], made),
        path_shape.path_shape(made),
        barriers.enhanced_triple_barrier(made, intervals),
        level_touches.level_touches(made, intervals),
        level_breaks.level_breaks(made, intervals, rung.burst_sample, rung.burst_minimum),
        sample_weights.sample_weights(rungs[name], made, intervals, rung.gap_limit_s),
    ]
    return {
        candle.ts: {key: value for table in tables for key, value in table[i].items()}
        for i, candle in enumerate(rungs[name])
    }


def same(expected: Any, found: Any, kind: ColumnType, scale: float) -> bool:
    if expected is None or found is None:
        return expected is None and found is None
    if kind in {ColumnType.RELATIVE, ColumnType.PRICE}:
        return bool(abs(found - expected) <= RELATIVE_TOLERANCE * max(abs(expected), scale))
    return bool(expected == found)


@pytest.mark.parametrize("instrument", ["EURUSD", "GBPUSD", "USDJPY"])
def test_every_label_equals_the_oracle(
    oanda_v20: Path, make_settings: Callable[..., Settings], instrument: str
) -> None:
    """Three months of H1, H4, D and what there is of W."""
    settings = make_settings(source="landing", landing_folder=oanda_v20)
    compared = compare(settings, oanda_v20, instrument, ("2021-01", "2021-03"))
    assert compared["entry_ts"] > 1_900
    assert [name for name, count in compared.items() if count < 100] == []


@pytest.mark.parametrize("instrument", ["EURUSD", "GBPUSD", "USDJPY"])
def test_every_weekly_label_equals_the_oracle(
    oanda_v20: Path, make_settings: Callable[..., Settings], instrument: str
) -> None:
    """Two years of weekly candles, checked on daily ones."""
    settings = make_settings(source="landing", landing_folder=oanda_v20, granularities=("W",))
    compared = compare(settings, oanda_v20, instrument, ("2021-01", "2022-12"))
    assert compared["entry_ts"] > 100
    assert [name for name, count in compared.items() if count < 10] == []


def compare(settings: Settings, folder: Path, instrument: str, months: tuple[str, str]) -> dict[str, int]:
    """Materialize, then compare every stored label with the oracle; returns how many values of each were not NULL."""
    done = materialize(settings, instrument, months)
    assert done.success, failures(done)
    start, end = month_start(months[0]), month_start(next_month(months[1]))
    base = base_candles(folder / f"{instrument}_M15.parquet", start, end)
    rungs = {"M15": base}
    for name in settings.ladder[1:]:
        made = market.resample(base, market.bucket_function(name, start, end, SESSION))
        # The history begins with these months: a bucket that opens before belongs to one that was not materialized.
        rungs[name] = [candle for candle in made if candle.ts >= start]
    expected = {name: oracle_rows(instrument, rungs, name, 6) for name in settings.granularities}
    kinds = {column.name: column.type for column in LABELS.columns}
    names = [
        column.name for table in (PATH_WINDOWS, *(family.table for family in FAMILIES)) for column in table.columns
    ]
    compared = dict.fromkeys(names, 0)
    wrong = []
    rows = label_rows(settings)
    for row in rows:
        oracle = expected[row["granularity"]][row["ts"]]
        assert set(oracle) == set(names)
        for name, value in oracle.items():
            if not same(value, row[name], kinds[name], 1e-9 if name in NEAR_ZERO else 0.0):
                wrong.append(f"{row['granularity']} {row['ts']} {name}: oracle {value!r}, stored {row[name]!r}")
            compared[name] += value is not None
    assert wrong == []
    assert len(rows) == sum(len(found) for found in expected.values())
    return compared


NEAR_ZERO = {"trend_t_value", "path_skewness", "path_sharpe", "return_weight"}
"""Values that come from a cancellation: kernel and oracle round differently around 0."""
