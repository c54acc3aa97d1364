"""Zero look-ahead, shown: whatever comes after the entry leaves what is known at entry, after the horizon end all.

The noise replaces base candles, so every coarser candle and the path change with it.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_assets.catalog.families import FAMILIES
from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.levels import level_history
from label_assets.kernels.arrays import Candles
from label_assets.kernels.atr import average_true_range
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.settings import LabelSettings, Settings
from label_assets.sources.synthetic import SyntheticMarket

CALENDAR = SessionCalendar("17:00 America/New_York")
PATHS = {"H1": "M15", "H4": "H1", "D": "H4"}
HORIZON = 6
LABELS = LabelSettings(numbers={"H1": {"quantile_sample": 300}, "H4": {"quantile_sample": 300}})
KNOWN_AT_ENTRY = {"entry_ts", "entry_price", "atr"} | {
    column.name for family in FAMILIES for column in family.table.columns if column.known_at_entry
}


def synthetic_base() -> Candles:
    settings = Settings()
    market = SyntheticMarket(11, settings.instruments, CALENDAR)
    return market.read("EURUSD", "M15", 1_696_118_400, 1_711_929_600, 2_145_916_800).candles


def real_base(folder: Path) -> Candles:
    table = pq.read_table(folder / "GBPUSD_M15.parquet")
    ts = table["ts"].cast(pa.timestamp("s", tz="UTC")).cast(pa.int64()).to_numpy()
    inside = (ts >= 1_640_995_200) & (ts < 1_656_633_600)
    prices = [table[name].to_numpy().astype(float)[inside] for name in ("open", "high", "low", "close", "volume")]
    return Candles(ts[inside], ts[inside] + 900, *prices)


def with_noise(base: Candles, from_ts: int, seed: int) -> Candles:
    """Every candle that opens at `from_ts` or later is replaced by a wild walk; the times stay."""
    after = base.ts >= from_ts
    generator = np.random.default_rng(seed)
    count = int(after.sum())
    walk = base.close[~after][-1] * np.exp(np.cumsum(generator.normal(0, 0.01, count + 1)))
    wick = np.abs(generator.normal(0, 0.01, (2, count)))
    changed = {name: getattr(base, name).copy() for name in ("open", "high", "low", "close", "volume")}
    changed["open"][after], changed["close"][after] = walk[:-1], walk[1:]
    changed["high"][after] = np.maximum(walk[:-1], walk[1:]) * (1 + wick[0])
    changed["low"][after] = np.minimum(walk[:-1], walk[1:]) * (1 - wick[1])
    return base._replace(**changed)


def slice_of(base: Candles, granularity: str) -> MarketSlice:
    rungs = {"M15": base, **ladder(base, "M15", CALENDAR)}
    return MarketSlice("TEST", granularity, 0, 2**32 - 1, rungs[granularity], rungs[PATHS[granularity]])


def all_rows(market: MarketSlice) -> dict[str, pa.Table]:
    return {table.name: compute_rows(table, market, HORIZON, LABELS).rows for table in COMPUTED_TABLES}


def row(rows: dict[str, pa.Table], ts: int) -> dict[str, object]:
    """Every column of the row that opens at `ts`, with the floats' bits."""
    values: dict[str, object] = {}
    for table in rows.values():
        place = int(np.searchsorted(table["ts"].to_numpy(), ts))
        assert table["ts"][place].as_py() == ts
        values |= {name: table[name][place].as_py() for name in table.column_names}
    return values


@pytest.fixture(params=["synthetic", "real"])
def base(request: pytest.FixtureRequest) -> Candles:
    if request.param == "synthetic":
        return synthetic_base()
    return real_base(request.getfixturevalue("oanda_v20"))


@pytest.mark.parametrize("granularity", PATHS)
def test_the_future_does_not_enter_a_row(base: Candles, granularity: str) -> None:
    market = slice_of(base, granularity)
    rows = all_rows(market)
    count = len(market.candles.ts)
    sampled = np.random.default_rng(5).choice(np.arange(count // 2, count - HORIZON - 2), 6, replace=False)
    moved: set[str] = set()
    for number, i in enumerate(sampled.tolist()):
        ts, entry_ts = int(market.candles.ts[i]), int(market.candles.close_ts[i])
        end_ts = int(market.candles.close_ts[i + HORIZON])
        expected = row(rows, ts)
        assert expected["entry_ts"] == entry_ts
        assert expected["horizon_end_ts"] == end_ts
        after_end = row(all_rows(slice_of(with_noise(base, end_ts, number), granularity)), ts)
        assert after_end == expected
        after_entry = row(all_rows(slice_of(with_noise(base, entry_ts, number), granularity)), ts)
        assert {name: after_entry[name] for name in KNOWN_AT_ENTRY} == {name: expected[name] for name in KNOWN_AT_ENTRY}
        moved |= {name for name, value in expected.items() if after_entry[name] != value}
    assert {"forward_return", "mfe", "realized_volatility", "enhanced_triple_barrier_label", "etb_end_ts"} <= moved, (
        "the noise must reach labels, or this shows nothing"
    )


@pytest.mark.parametrize("granularity", PATHS)
def test_levels_before_an_instant_do_not_know_what_follows(base: Candles, granularity: str) -> None:
    """Levels, roles, events and intervals up to the entry are the same bits with any future."""

    def history_until(candles: Candles, instant: int) -> tuple[object, ...]:
        atr = average_true_range(candles, LABELS.atr_period)
        found = level_history(candles, atr, LABELS, granularity)
        born = found.levels.created_at <= instant
        events = found.events.ts <= instant
        started = found.intervals.valid_from <= instant
        ended = np.where(
            (found.intervals.valid_to != -(2**31)) & (found.intervals.valid_to <= instant), found.intervals.valid_to, -1
        )
        return (
            *(column[born].tolist() for column in found.levels),
            *(column[events].tolist() for column in found.events),
            *(column[started].tolist() for column in found.intervals._replace(valid_to=ended)),
        )

    market = slice_of(base, granularity)
    count = len(market.candles.ts)
    for number, i in enumerate(np.random.default_rng(6).choice(np.arange(count // 3, count - 2), 5, replace=False)):
        entry_ts = int(market.candles.close_ts[i])
        expected = history_until(market.candles, entry_ts)
        assert len(expected[0]) > 5
        changed = slice_of(with_noise(base, entry_ts, number), granularity)
        assert history_until(changed.candles, entry_ts) == expected


def test_only_declared_columns_are_known_at_entry() -> None:
    assert {"etb_upper", "etb_lower", "level_adjusted", "etb_baseline", "levels_considered"} <= KNOWN_AT_ENTRY
    assert {"nearest_level_distance", "nearest_level_role", "first_level_baseline"} <= KNOWN_AT_ENTRY
