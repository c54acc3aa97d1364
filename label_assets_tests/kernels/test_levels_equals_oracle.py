"""levels and active_levels: kernel equals oracle, and the laws of LABELS.md §5.

Belongs here too: the inputs that the tests of all level families share.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.active_levels import Consideration, ConsideredLevels, considered_levels
from label_assets.kernels.arrays import NULL_INT, Candles
from label_assets.kernels.levels import (
    EVENT_TYPES,
    ROLES,
    LevelEvents,
    LevelIntervals,
    LevelParameters,
    Levels,
    levels,
)
from label_assets.kernels.windows import Windows
from label_assets_tests.oracles import laws
from label_assets_tests.oracles import levels as oracle
from label_assets_tests.oracles.comparison import differences
from label_assets_tests.strategies import (
    CHARACTERS,
    HORIZONS,
    LABELED,
    Market,
    any_large_market,
    any_small_market,
    as_arrays,
    kernel_windows,
    law_cuts,
    oracle_windows,
    random_market,
)

ID = "TEST:H1:"


@dataclass(frozen=True)
class Setup:
    """Settings of levels for kernel and oracle; widths as (multiple of ATR or share of price, unit)."""

    lifetime: int = 500
    span: int = 5
    touch: float = 0.1
    beyond: float = 0.25
    unit: str = "atr"
    deadline: int = 50
    atr_period: int = 14

    @property
    def parameters(self) -> LevelParameters:
        widths = {f"touch_{self.unit}": self.touch, f"break_{self.unit}": self.beyond}
        none = {"touch_atr": 0.0, "touch_share": 0.0, "break_atr": 0.0, "break_share": 0.0}
        return LevelParameters(self.lifetime, self.span, flip_deadline=self.deadline, **{**none, **widths})

    @property
    def oracle(self) -> oracle.LevelSettings:
        return oracle.LevelSettings(
            lifetime=self.lifetime,
            span=self.span,
            atr_period=self.atr_period,
            touch_width=self.touch,
            break_width=self.beyond,
            width_unit=self.unit,
            retest_patience=self.deadline,
        )

    @property
    def look_back(self) -> int:
        return self.lifetime + max(self.atr_period, 2 * self.span)


DEFAULT = Setup()
BUSY = Setup(lifetime=60, span=2, deadline=8)
"""Many short-lived levels: every kind of event within a hundred candles."""
TINY = Setup(lifetime=7, span=1, touch=0.5, beyond=0.75, deadline=2, atr_period=1)
"""For markets of a dozen candles."""
SHARES = Setup(lifetime=60, span=2, touch=0.001, beyond=0.002, unit="share", deadline=8)
WALKS = [
    (name, horizon, list(CHARACTERS)[(g + h) % len(CHARACTERS)])
    for g, name in enumerate(LABELED)
    for h, horizon in enumerate(HORIZONS)
]
"""Every granularity with every horizon; each of both meets every character."""
SETUPS = {"default": DEFAULT, "busy": BUSY, "shares": SHARES}


class LevelInputs(NamedTuple):
    """What the kernels of level families take."""

    candles: Candles
    path: Candles
    windows: Windows
    levels: Levels
    events: LevelEvents
    intervals: LevelIntervals
    considered: ConsideredLevels


def level_inputs(
    market: Market,
    horizon: int,
    setup: Setup = DEFAULT,
    minimum_coverage: float = 0.8,
    consideration: Consideration | None = None,
) -> LevelInputs:
    """Levels and considered levels of a market, by the kernels."""
    candles = as_arrays(market.candles)
    windows = kernel_windows(market, horizon, setup.atr_period, minimum_coverage)
    found, events, intervals = levels(candles, windows.atr, setup.parameters)
    considered = considered_levels(candles, windows, found, intervals, consideration or Consideration())
    return LevelInputs(candles, as_arrays(market.path), windows, found, events, intervals, considered)


def named(codes: list[int], names: tuple[str, ...]) -> list[str | None]:
    """Names of enum codes; NULL stays NULL."""
    return [None if code == NULL_INT else names[code] for code in codes]


def level_ids(inputs: LevelInputs, level: np.ndarray) -> list[str]:
    found = inputs.levels
    pairs = zip(inputs.candles.ts[found.pivot[level]], found.is_support[level], strict=True)
    return [f"{ID}{ts}:{'S' if is_support else 'R'}" for ts, is_support in pairs]


def event_columns(inputs: LevelInputs) -> dict[str, list]:
    events, candles = inputs.events, inputs.candles
    return {
        "level_id": level_ids(inputs, events.level),
        "ts": events.ts.tolist(),
        "event_type": named(events.event_type.tolist(), EVENT_TYPES),
        "price": inputs.levels.price[events.level].tolist(),
        **{name: getattr(candles, name)[events.candle].tolist() for name in ("open", "high", "low", "close")},
        "penetration": events.penetration.tolist(),
    }


def interval_columns(inputs: LevelInputs) -> dict[str, list]:
    intervals, found = inputs.intervals, inputs.levels
    shared = ("price", "touch_width", "break_width", "created_at")
    return {
        "level_id": level_ids(inputs, intervals.level),
        "role": [ROLES[0] if is_support else ROLES[1] for is_support in intervals.is_support],
        **{name: getattr(found, name)[intervals.level].tolist() for name in shared},
        **{name: getattr(intervals, name).tolist() for name in ("valid_from", "valid_to", "touches_before")},
    }


def considered_columns(inputs: LevelInputs) -> dict[str, list]:
    """For every entry its considered levels, ids with roles, and the nearest active level."""
    considered = inputs.considered
    roles = [ROLES[0] if is_support else ROLES[1] for is_support in considered.is_support]
    pairs = list(zip(level_ids(inputs, considered.level), roles, strict=True))
    bounds = zip(considered.offsets[:-1], considered.offsets[1:], strict=True)
    return {
        "considered": [pairs[begin:end] for begin, end in bounds],
        "nearest_price": considered.nearest_price.tolist(),
        "nearest_role": named(considered.nearest_role.tolist(), ROLES),
    }


def event_differences(market: Market, setup: Setup, inputs: LevelInputs) -> list[str]:
    events = sorted(oracle.level_events(market.candles, setup.oracle), key=lambda row: row["ts"])  # stable
    found = event_columns(inputs)
    intervals = oracle.level_intervals(market.candles, setup.oracle)
    found_intervals = interval_columns(inputs)
    return (
        [f"{len(events)} events, {len(found['ts'])} found"] * (len(events) != len(found["ts"]))
        + [f"{len(intervals)} intervals, {len(found_intervals['role'])} found"]
        * (len(intervals) != len(found_intervals["role"]))
        + differences(events, found)
        + differences(intervals, found_intervals, relative=0.0, absolute={})
    )


def considered_differences(
    market: Market, horizon: int, setup: Setup, inputs: LevelInputs, minimum_coverage: float = 0.8, **numbers: float
) -> list[str]:
    windows = oracle_windows(market, horizon, setup.atr_period, minimum_coverage)
    intervals = oracle.all_intervals(market.candles, setup.oracle)
    rows = []
    for window in windows:
        active = oracle.active_levels(intervals, window)
        considered = oracle.considered_levels(intervals, window, **numbers) or []
        rows.append(
            {
                "considered": [(zone.level_id, zone.role) for zone in considered],
                "nearest_price": active[0].price if active else None,
                "nearest_role": active[0].role if active else "none",
            }
        )
    return differences(rows, considered_columns(inputs), relative=0.0)


@pytest.mark.parametrize("name", LABELED)
@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("character", CHARACTERS)
def test_kernel_equals_oracle(name, setup, character):
    market = random_market(name, 300, len(name), CHARACTERS[character])
    inputs = level_inputs(market, 6, SETUPS[setup])
    assert event_differences(market, SETUPS[setup], inputs) == []
    assert considered_differences(market, 6, SETUPS[setup], inputs) == []


@given(any_small_market(), st.integers(1, 2), st.sampled_from([0.1, 0.5, 1.0]), st.sampled_from([0.25, 0.5]))
@settings(max_examples=80)
def test_kernel_equals_oracle_on_small_markets(market, span, touch, beyond):
    setup = Setup(lifetime=7, span=span, touch=touch, beyond=beyond, deadline=2, atr_period=1)
    if not market.candles:
        return
    inputs = level_inputs(market, 1, setup, 0.5)
    assert event_differences(market, setup, inputs) == []
    assert considered_differences(market, 1, setup, inputs, 0.5) == []


@given(any_large_market(120), st.sampled_from([BUSY, SHARES, Setup(lifetime=40, span=1, touch=0.6, beyond=0.3)]))
@settings(max_examples=40)
def test_kernel_equals_oracle_on_large_markets(market, setup):
    inputs = level_inputs(market, 6, setup)
    assert event_differences(market, setup, inputs) == []
    assert considered_differences(market, 6, setup, inputs) == []


@pytest.mark.parametrize("numbers", [(3.0, 1e-6, 4), (30.0, 0.1, 32), (30.0, 1e-6, 100), (0.5, 1.0, 1), (0.0, 0.1, 32)])
def test_considered_levels_for_other_numbers(numbers):
    market = random_market("H1", 300, 4, CHARACTERS["rough"])
    inputs = level_inputs(market, 6, BUSY, consideration=Consideration(*numbers))
    reach, same, most = numbers
    assert considered_differences(market, 6, BUSY, inputs, reach_atr=reach, same_atr=same, most=most) == []


@given(any_large_market(150), st.data())
@settings(max_examples=25)
def test_laws(market, data):
    def compute(candles, path):
        inputs = level_inputs(Market(market.granularity, candles, path), 6, BUSY)
        return considered_columns(inputs)

    def compute_widths(candles, path):
        inputs = level_inputs(Market(market.granularity, candles, path), 6, BUSY)
        found, considered = inputs.levels, inputs.considered
        numbers = zip(*(array[considered.level].tolist() for array in found[3:]), strict=True)
        numbers = list(numbers)
        return {"zones": [numbers[a:b] for a, b in zip(considered.offsets[:-1], considered.offsets[1:], strict=True)]}

    cuts = data.draw(law_cuts(market))
    names = ("considered", "nearest_price", "nearest_role")
    options = {"horizon": 6, "look_back": BUSY.look_back}
    prices = {"prices": ["nearest_price"]}
    assert laws.all_laws(compute, market.candles, market.path, at_entry=names, **prices, **options, **cuts) == []
    cut, end = cuts["cut"], cuts["end"]
    known = laws.future_is_unknown(
        compute_widths, market.candles, market.path, cut, horizon=6, at_entry=["zones"]
    ) + laws.slices_agree(compute_widths, market.candles, market.path, range(cut, end), **options)
    assert known == []


@given(any_large_market(150), st.data())
@settings(max_examples=25)
def test_events_of_a_slice_are_those_of_all_time(market, data):
    cut = data.draw(law_cuts(market))["cut"]
    whole = level_inputs(market, 6, BUSY)
    part = level_inputs(Market(market.granularity, market.candles[cut:], market.path), 6, BUSY)
    warm = cut + max(BUSY.atr_period, 2 * BUSY.span)  # a level confirmed from there on is the same

    def after(inputs, first):
        old = inputs.levels.confirmation[inputs.events.level] < first
        rows = list(zip(*event_columns(inputs).values(), strict=True))
        return [row for row, is_old in zip(rows, old, strict=True) if not is_old]

    assert after(part, warm - cut) == after(whole, warm)


@given(any_large_market(120), st.integers(-30, 30))
@settings(max_examples=25)
def test_events_do_not_depend_on_scale(market, exponent):
    factor = 2.0**exponent
    scaled = Market(market.granularity, laws.scaled(market.candles, factor), laws.scaled(market.path, factor))
    before, after = level_inputs(market, 6, BUSY), level_inputs(scaled, 6, BUSY)
    for name in LevelEvents._fields:
        np.testing.assert_array_equal(getattr(after.events, name), getattr(before.events, name))
    for name in LevelIntervals._fields:
        np.testing.assert_array_equal(getattr(after.intervals, name), getattr(before.intervals, name))
    for name in ("price", "touch_width", "break_width"):
        np.testing.assert_array_equal(getattr(after.levels, name), getattr(before.levels, name) * factor)


def test_columns_are_the_fields_of_the_tuples():
    inputs = level_inputs(random_market("H1", 60, 1), 6, BUSY)
    assert {array.dtype.name for array in inputs.levels} == {"int32", "int8", "float64", "int64"}
    assert math.isclose(inputs.levels.touch_width[0] * 2.5, inputs.levels.break_width[0])
