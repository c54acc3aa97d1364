"""Golden lives of levels, with the reason beside each. A resistance at 100, ATR 1: w = 0.1, b = 0.25."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_assets.kernels.active_levels import ConsideredLevels, _id_before, considered_levels
from label_assets.kernels.arrays import NULL_INT, Candles
from label_assets.kernels.levels import EVENT_TYPES, ROLES, LevelIntervals, LevelParameters, Levels, levels
from label_assets.kernels.windows import Windows
from label_assets_tests.kernels.test_golden_inputs import HOUR, Bar, bars

PIVOT = [(98.5, 99.0, 98.0, 98.5), (98.5, 100.0, 98.0, 98.5), (98.5, 99.0, 98.0, 98.5)]
FAR = (98.5, 99.0, 98.0, 98.5)  # no contact
BREAK = (99.5, 100.5, 99.4, 100.3)
ABOVE = (100.5, 101.0, 100.4, 100.6)  # no retest
C_TS = 3 * HOUR  # close of the confirming candle


def life(rows: list[Bar], lifetime: int = 20, deadline: int = 50, opens: list[int] | None = None):
    """Events (candles after c, name, penetration) and intervals (role, from, to, touches before; times as candles)."""
    candles = bars(PIVOT + rows, opens=None if opens is None else [0, HOUR, 2 * HOUR, *opens])
    atr = np.full(len(candles.ts), math.nan)
    atr[2] = 1.0  # defined at one confirmation: one level
    found, events, intervals = levels(candles, atr, LevelParameters(lifetime, 1, flip_deadline=deadline))
    assert (found.price.tolist(), found.touch_width.tolist(), found.break_width.tolist()) == ([100.0], [0.1], [0.25])
    candle_of = {int(ts): j - 2 for j, ts in enumerate(candles.close_ts)} | {NULL_INT: None}
    return (
        [
            (int(j) - 2, EVENT_TYPES[code], round(float(depth), 6))
            for j, code, depth in zip(events.candle, events.event_type, events.penetration, strict=True)
        ],
        [
            (ROLES[1 - is_support], candle_of[int(start)], candle_of[int(end)], int(touches))
            for is_support, start, end, touches in zip(*intervals[1:], strict=True)
        ],
    )


def test_touch_then_break() -> None:
    events, intervals = life(
        [
            (99.0, 99.9, 98.9, 99.0),  # reaches l − w: a touch
            (99.0, 99.95, 98.9, 99.0),  # still there: not another one
            FAR,
            (99.0, 100.1, 98.9, 100.0),  # back: a second touch, 0.1 % beyond
            (100.0, 100.3, 99.9, 100.25),  # closes at l + b, not above
            (100.2, 100.6, 100.2, 100.3),  # closes above
        ]
    )
    assert events == [
        (0, "NEW_RESISTANCE", 0.0),
        (1, "TOUCH_UP", 0.0),
        (4, "TOUCH_UP", 0.001),
        (6, "BREAK_RESISTANCE", 0.006),
    ]
    assert intervals == [("resistance", 0, 6, 0)]  # the broken level has no role


def test_a_level_can_flip_twice() -> None:
    events, intervals = life(
        [
            (99.0, 99.95, 98.9, 99.0),
            BREAK,
            (100.3, 100.4, 100.1, 100.2),  # low at l + w, close above l: support now
            (100.2, 100.3, 100.2, 100.2),  # away
            (100.2, 100.3, 99.8, 100.2),  # touched from above, 0.2 % below
            (100.2, 100.3, 99.6, 99.7),  # closes below l − b
            (99.7, 99.9, 99.6, 99.8),  # high at l − w, close below l: resistance again
            BREAK,
        ]
    )
    assert events == [
        (0, "NEW_RESISTANCE", 0.0),
        (1, "TOUCH_UP", 0.0),
        (2, "BREAK_RESISTANCE", 0.005),
        (3, "FLIP_TO_SUPPORT", 0.004),  # penetration of the role that was broken
        (5, "TOUCH_DOWN", 0.002),
        (6, "BREAK_SUPPORT", 0.004),
        (7, "FLIP_TO_RESISTANCE", 0.004),
        (8, "BREAK_RESISTANCE", 0.005),
    ]
    assert intervals == [("resistance", 0, 2, 0), ("support", 3, 6, 1), ("resistance", 7, 8, 2)]


@pytest.mark.parametrize(
    ("rows", "events"),
    [
        # closes below l − b before any retest: the break was false
        ([ABOVE, (100.3, 100.4, 99.5, 99.7)], [(3, "DEACTIVATE_DOWN", 0.004)]),
        # low in the zone but close not above l: no flip; then nothing until the deadline
        ([(100.3, 100.3, 99.9, 100.0), ABOVE, ABOVE], [(4, "DEACTIVATE_UP", 0.01)]),
        # a retest in the candle of the deadline is still a flip
        ([ABOVE, ABOVE, (100.3, 100.3, 100.1, 100.2)], [(4, "FLIP_TO_SUPPORT", 0.003)]),
    ],
)
def test_a_broken_level_must_flip_in_time(rows: list[Bar], events: list[tuple[int, str, float]]) -> None:
    found, intervals = life([BREAK, *rows], deadline=3)
    assert found[2:] == events
    assert intervals[0] == ("resistance", 0, 1, 0)


def test_the_retest_is_by_a_later_candle_than_the_break() -> None:
    events, _ = life([(99.0, 100.5, 99.0, 100.3)])  # its own low is in the zone and its close above l
    assert [name for _, name, _ in events] == ["NEW_RESISTANCE", "BREAK_RESISTANCE"]


def test_expiry_comes_after_what_the_last_candle_does() -> None:
    events, intervals = life([FAR, FAR, (99.0, 100.2, 98.9, 100.0), FAR], lifetime=3)
    assert events[1:] == [(3, "TOUCH_UP", 0.002), (3, "DEACTIVATE_DOWN", 0.002)]  # close at l is not above it
    assert intervals == [("resistance", 0, 3, 0)]


def test_at_the_end_of_the_data_a_level_is_open() -> None:
    events, intervals = life([FAR, FAR], lifetime=3)
    assert events == [(0, "NEW_RESISTANCE", 0.0)]
    assert intervals == [("resistance", 0, None, 0)]


def test_an_interval_without_length_is_not_written() -> None:
    events, intervals = life([FAR, BREAK, (100.3, 100.4, 100.1, 100.2), FAR], lifetime=3)
    assert [(j, name) for j, name, _ in events[1:]] == [
        (2, "BREAK_RESISTANCE"),
        (3, "FLIP_TO_SUPPORT"),
        (3, "DEACTIVATE_UP"),
    ]
    assert intervals == [("resistance", 0, 2, 0)]


def test_a_weekend_is_no_candle() -> None:
    friday, sunday = 3 * HOUR, 52 * HOUR
    inside = (99.0, 99.95, 98.9, 99.0)
    events, _ = life(
        [inside, inside, BREAK, ABOVE, ABOVE],
        deadline=2,
        opens=[friday, sunday, *range(sunday + HOUR, sunday + 4 * HOUR, HOUR)],
    )
    # the Sunday candle follows the Friday one: one touch; the deadline counts candles
    assert [(j, name) for j, name, _ in events[1:]] == [(1, "TOUCH_UP"), (3, "BREAK_RESISTANCE"), (5, "DEACTIVATE_UP")]


def test_of_equal_highs_the_first_is_the_pivot_and_a_resistance_comes_first() -> None:
    flat = [(5.0, 6.0, 4.0, 5.0)] * 2
    candles = bars([*flat, (5.0, 8.0, 2.0, 5.0), (5.0, 8.0, 2.0, 5.0), *flat])
    found, events, _ = levels(candles, np.ones(6), LevelParameters(20, 2))
    assert found.pivot.tolist() == [2, 2]
    assert found.confirmation.tolist() == [4, 4]
    assert found.created_at.tolist() == [5 * HOUR, 5 * HOUR]
    assert (found.is_support.tolist(), found.price.tolist()) == ([0, 1], [8.0, 2.0])
    assert [EVENT_TYPES[code] for code in events.event_type] == ["NEW_RESISTANCE", "NEW_SUPPORT"]


def standing(
    zones: list[tuple[float, str]], price: float, atr: float, pivots: list[int] | None = None
) -> tuple[Candles, Windows, Levels, ConsideredLevels]:
    """One entry among levels (price, role), confirmed by then and alive; ts_p from `pivots`."""
    count = len(zones)
    ts = np.array([*(pivots or range(count)), 2_000_000_000], np.int64)
    values = np.full(len(ts), price)
    candles = Candles(ts, ts + 1, values, values, values, values, values)
    birth = np.array([role == "support" for _, role in zones], np.int8)
    index, zero = np.arange(count, dtype=np.int32), np.zeros(count, np.int64)
    prices = np.array([price for price, _ in zones])
    found = Levels(index, index, birth, prices, np.full(count, 0.1), np.full(count, 0.25), zero)
    intervals = LevelIntervals(index, birth, zero - 1, np.full(count, NULL_INT, np.int64), np.zeros(count, np.int32))
    rows = len(ts)
    windows = Windows(
        candles.close_ts,
        values,
        np.full(rows, atr),
        np.full(rows, NULL_INT, np.int64),
        np.full(rows, math.nan),
        np.zeros(rows, np.int32),
        np.zeros(rows),
        np.ones(rows, np.int8),
    )
    return candles, windows, found, considered_levels(candles, windows, found, intervals)


def chosen(zones: list[tuple[float, str]], price: float, atr: float, pivots: list[int] | None = None) -> list[int]:
    *_, considered = standing(zones, price, atr, pivots)
    return considered.level[considered.offsets[-2] :].tolist()


@pytest.mark.parametrize(
    ("zones", "atr", "expected"),
    [
        ([(100.5, "resistance"), (100.55, "resistance")], 1.0, [0]),  # 0.05 % apart, within 0.1 ATR: one level
        ([(100.5, "resistance"), (100.55, "resistance")], 0.4, [0, 1]),  # the same in a quieter market: two
        ([(100.5, "resistance"), (100.55, "support")], 1.0, [0, 1]),  # of different roles: two
        ([(100.5, "support"), (99.5, "support"), (100.0, "support")], 1.0, [2, 1, 0]),  # at the price; tie: lower
        ([(103.0, "resistance"), (103.125, "resistance")], 1.0, [0]),  # 3 ATR is near enough, more is not
        ([(100.25, "support"), (100.375, "support"), (100.5, "support")], 1.25, [0, 2]),  # dropped ones drop none
        ([(100.5, "support")], math.nan, []),  # unknown what is near
    ],
)
def test_considered_levels(zones: list[tuple[float, str]], atr: float, expected: list[int]) -> None:
    assert chosen(zones, 100.0, atr) == expected


@given(st.lists(st.integers(0, 2**31) | st.sampled_from([1, 10, 11, 100_000_000, 10**9]), min_size=2, max_size=2))
def test_level_ids_are_compared_as_text(pivots: list[int]) -> None:
    # "1000000000:R" < "100000000:R" < "999999999:R": ":" comes after any digit
    ts = np.array(pivots, np.int64)
    assert _id_before(0, 1, ts) == (f"{pivots[0]}:R" < f"{pivots[1]}:S")  # level 0 before level 1 of one pivot
    assert not _id_before(1, 0, ts) or pivots[0] != pivots[1]


def test_the_nearest_of_levels_of_one_price_has_the_first_id() -> None:
    zones = [(100.0, "resistance"), (100.0, "resistance"), (100.0, "support")]
    # numbers grow with time, texts do not: the last one begins with "10"
    assert chosen(zones, 100.0, 1.0, [200_000_000, 999_999_999, 1_000_000_000]) == [2, 0]
    assert chosen(zones, 100.0, 1.0, [1_200_000_000, 1_300_000_000, 1_400_000_000]) == [0, 2]
