"""Golden rows of the level labels, with the reason beside each. Entry 100, ATR 1, w = 0.1, b = 0.25."""

import math

import numpy as np
import pytest

from label_assets.kernels.active_levels import ConsideredLevels
from label_assets.kernels.arrays import NULL_INT
from label_assets.kernels.level_barriers import BARRIER_HITS, LevelBarriers, level_barriers
from label_assets.kernels.level_breaks import NEXT_EVENTS, BurstParameters, LevelBreaks, level_breaks
from label_assets.kernels.level_touches import LevelTouches, level_touches
from label_assets.kernels.levels import NO_ROLE, RESISTANCE, ROLES, SUPPORT, Levels
from label_assets.kernels.sample_weights import WeightParameters, sample_weights
from label_assets.kernels.windows import COMPLETE, GAP, OPEN, WindowParameters, path_windows
from label_assets_tests.kernels.test_golden_inputs import HOUR, Bar, bars, flat, window

Zone = tuple[float, int]
R, S = RESISTANCE, SUPPORT
QUIET = (100.0, 100.2, 99.8, 100.0)


def around(zones: list[Zone], rows: int = 1) -> tuple[Levels, ConsideredLevels]:
    """Levels (price, role) that every one of `rows` entries considers, in the given order."""
    count = len(zones)
    index, zero = np.zeros(count, np.int32), np.zeros(count, np.int64)
    is_support = np.array([role == S for _, role in zones], np.int8)
    prices = np.array([price for price, _ in zones], np.float64)
    found = Levels(index, index, is_support, prices, np.full(count, 0.1), np.full(count, 0.25), zero)
    nearest = (prices[0], zones[0][1]) if zones else (math.nan, NO_ROLE)
    considered = ConsideredLevels(
        np.arange(rows + 1, dtype=np.int64) * count,
        np.tile(np.arange(count, dtype=np.int32), rows),
        np.tile(is_support, rows),
        np.full(rows, nearest[0]),
        np.full(rows, nearest[1], np.int8),
    )
    return found, considered


def touches(zones: list[Zone], rows: list[Bar], status: int = COMPLETE, atr: float = 1.0) -> tuple[int, ...]:
    path = bars(rows)
    labels: LevelTouches = level_touches(path, window(path, 100.0, 100.0, atr, status), *around(zones))
    return tuple(int(column[0]) for column in labels)


def breaks(zones: list[Zone], rows: list[Bar], status: int = COMPLETE, atr: float = 1.0) -> LevelBreaks:
    path = bars(rows)
    inputs = (path, window(path, 100.0, 100.0, atr, status), *around(zones))
    return level_breaks(*inputs, level_touches(*inputs), BurstParameters(1))


def barrier_row(zones: list[Zone], rows: list[Bar], status: int = COMPLETE, atr: float = 1.0) -> LevelBarriers:
    path = bars(rows)
    return level_barriers(path, window(path, 100.0, 100.5, atr, status), *around(zones))


def test_touch_then_break_of_a_resistance() -> None:
    rows = [
        QUIET,
        (100.0, 100.9, 100.0, 100.5),  # reaches 101 − w: touch
        (100.5, 100.95, 100.4, 100.6),  # contact, no new touch
        (100.6, 100.7, 100.4, 100.5),
        (100.5, 101.2, 100.5, 101.25),  # touch; the close is at l + b, no break
        (101.2, 101.5, 101.0, 101.3),  # break: no longer a contact
        (101.3, 101.4, 101.0, 101.2),  # in the zone, but the level is broken; closes above l: it flips
    ]
    # retouches, most of one level, levels, first touch, bars at a level, longest run (2, 3, 5: at most 2 apart)
    assert touches([(101.0, R)], rows) == (2, 2, 1, 2, 3, 3)
    row = breaks([(101.0, R)], rows)
    assert (row.breakout_occurred[0], ROLES[row.breakout_side[0]], row.breakout_time[0]) == (1, "resistance", 6)
    assert math.isclose(row.breakout_distance[0], 0.3 / 101.0)
    assert (row.flip_occurred[0], row.flip_count[0], row.flip_time[0]) == (1, 1, 7)
    assert (row.level_holds[0], row.false_breakout[0]) == (0, 0)
    assert (NEXT_EVENTS[row.next_event_type[0]], row.time_to_next_event[0]) == ("touch", 2)
    assert row.event_count[0] == 4  # two touches, a break, a flip
    assert math.isclose(row.max_penetration_depth[0], 0.5 / 101.0)


def test_a_close_back_through_the_zone_ends_the_hope_of_a_flip() -> None:
    through = [(100.0, 101.5, 100.0, 101.3), (101.3, 101.3, 100.5, 100.7), (100.7, 101.4, 100.7, 101.2)]
    row = breaks([(101.0, R)], through)  # the third bar is a retest, too late
    assert (row.breakout_occurred[0], row.false_breakout[0], row.flip_count[0]) == (1, 1, 0)
    assert row.flip_time[0] == NULL_INT
    into = [through[0], (101.3, 101.3, 100.5, 100.75), through[2]]  # closes at l − b: not through the whole zone
    row = breaks([(101.0, R)], into)
    assert (row.false_breakout[0], row.flip_count[0], row.flip_time[0]) == (0, 1, 3)


def test_flip_then_back_through() -> None:
    rows = [(100.0, 101.5, 100.0, 101.3), (101.3, 101.4, 101.1, 101.2), (101.2, 101.2, 100.5, 100.7)]
    row = breaks([(101.0, R)], rows)
    assert (row.flip_time[0], row.false_breakout[0]) == (2, 1)


def test_two_breaks_in_one_bar_count_for_the_nearest() -> None:
    row = breaks([(100.3, R), (100.5, R)], [(100.0, 101.0, 100.0, 100.9)])
    assert math.isclose(row.breakout_distance[0], 0.6 / 100.3)
    assert (row.breakout_time[0], row.event_count[0]) == (1, 2)


def test_a_level_exactly_at_the_price() -> None:
    # contact at 0: the first bar's contact is no touch; it is neither above nor below P
    assert touches([(100.0, R)], [QUIET, QUIET]) == (0, 0, 1, NULL_INT, 2, 2)
    row = breaks([(100.0, R)], [QUIET, QUIET])
    assert (row.nearest_level_distance[0], ROLES[row.nearest_level_role[0]]) == (0.0, "resistance")
    assert (row.first_level_reached[0], row.level_holds[0]) == (0, NULL_INT)
    assert math.isnan(row.first_level_baseline[0])
    assert math.isclose(row.max_penetration_depth[0], 0.002)
    # once left, coming back is a touch
    assert touches([(100.0, R)], [(99.8, 99.85, 99.5, 99.5), QUIET])[0] == 1


def test_contact_at_the_entry_is_by_the_width() -> None:
    assert touches([(100.125, R)], [QUIET])[0] == 1  # 0.125 away: not in contact at 0
    assert touches([(100.0625, R)], [QUIET])[0] == 0


@pytest.mark.parametrize(
    ("bar", "reached"),
    [
        ((100.0, 101.0, 99.5, 100.0), 1),  # reaching is enough
        ((100.0, 100.5, 98.0, 100.0), -1),
        ((100.0, 101.0, 98.0, 100.0), 1),  # both: R is 1 from the open, S 2
        ((99.0, 101.0, 98.0, 100.0), -1),
        ((99.5, 101.0, 98.0, 100.0), -1),  # equally near
        ((100.0, 100.9, 98.1, 100.0), 0),
    ],
)
def test_first_level_reached(bar: Bar, reached: int) -> None:
    row = breaks([(101.0, R), (98.0, S)], [bar])
    assert row.first_level_reached[0] == reached
    assert row.first_level_baseline[0] == 2.0 / 3.0


@pytest.mark.parametrize(("status", "atr", "known"), [(OPEN, 1.0, True), (GAP, 1.0, True), (COMPLETE, math.nan, False)])
def test_what_is_known_at_entry(status: int, atr: float, known: bool) -> None:
    zones, rows = [(101.0, R), (99.0, S)], [(100.0, 103.0, 97.0, 100.0)]
    assert touches(zones, rows, status, atr) == (*[NULL_INT] * 2, 2 if known else NULL_INT, *[NULL_INT] * 3)
    row = breaks(zones, rows, status, atr)
    assert (row.nearest_level_distance[0], row.nearest_level_role[0]) == (0.01, R)  # needs no ATR
    assert math.isnan(row.first_level_baseline[0]) is not known
    assert row.event_count[0] == row.breakout_side[0] == row.next_event_type[0] == NULL_INT
    placed = barrier_row(zones, rows, status, atr)
    assert bool(placed.etb_upper[0] == 100.9) is known
    assert placed.level_adjusted[0] == (1 if known else NULL_INT)


def test_without_levels_counts_are_zero() -> None:
    assert touches([], [QUIET]) == (0, 0, 0, NULL_INT, 0, 0)
    row = breaks([], [QUIET])
    assert (row.event_count[0], row.flip_count[0], row.breakout_occurred[0], row.false_breakout[0]) == (0, 0, 0, 0)
    assert (ROLES[row.breakout_side[0]], NEXT_EVENTS[row.next_event_type[0]]) == ("none", "none")
    assert (ROLES[row.nearest_level_role[0]], row.level_holds[0]) == ("none", NULL_INT)
    assert math.isnan(row.max_penetration_depth[0])
    assert math.isnan(row.nearest_level_distance[0])


def test_more_bars_than_a_word_holds() -> None:
    rows = [QUIET] * 63 + [(100.0, 100.95, 100.0, 100.5)] * 3 + [QUIET] * 70 + [(100.0, 101.0, 100.0, 100.5)]
    # contact in bars 64, 65, 66 is one touch although a word ends between them
    assert touches([(101.0, R)], rows) == (2, 2, 1, 64, 4, 3)


@pytest.mark.parametrize(
    ("zones", "upper", "lower"),
    [
        ([(101.5, R), (98.5, S)], 101.5 - 0.1, 98.5 + 0.1),  # before both levels
        ([(100.4, R)], 102.0, 98.0),  # nearer than half an ATR: where the price is
        ([(100.4, R), (101.0, R)], 101.0 - 0.1, 98.0),  # the next one lies ahead
        ([(100.5, R)], 100.5 - 0.1, 98.0),  # exactly half an ATR
        ([(99.5, S)], 102.0, 99.5 + 0.1),
        ([(102.5, R)], 102.0, 98.0),  # beyond the barrier
        ([(101.0, S), (99.0, R)], 102.0, 98.0),  # supports above and resistances below do not count
    ],
)
def test_where_levels_put_the_barriers(zones: list[Zone], upper: float, lower: float) -> None:
    row = barrier_row(zones, [QUIET])
    assert (row.etb_upper[0], row.etb_lower[0]) == (upper, lower)
    assert row.level_adjusted[0] == (upper != 102.0 or lower != 98.0)
    assert row.etb_baseline[0] == (100.0 - lower) / (upper - lower)


@pytest.mark.parametrize(
    ("bar", "hit", "exit_price", "ambiguous"),
    [
        ((100.0, 101.5, 98.0, 100.0), "upper", 101.5 - 0.1, 1),  # both in one bar: the upper one is nearer to the open
        ((99.0, 101.5, 98.0, 100.0), "lower", 98.0, 1),
        ((101.75, 102.5, 101.5, 102.0), "upper", 101.75, 0),  # opened through the barrier: filled at the open
        ((97.5, 102.0, 97.0, 101.0), "lower", 97.5, 0),  # the open had decided
        (QUIET, "none", 100.5, 0),  # ends at P_X
    ],
)
def test_the_touching_bar(bar: Bar, hit: str, exit_price: float, ambiguous: int) -> None:
    row = barrier_row([(101.5, R)], [QUIET, bar])
    assert (BARRIER_HITS[row.etb_barrier_hit[0]], row.etb_ambiguous[0]) == (hit, ambiguous)
    assert row.enhanced_triple_barrier_label[0] == {"upper": 1, "lower": -1, "none": 0}[hit]
    assert (row.etb_time_to_barrier[0], row.etb_end_ts[0]) == (2, 2 * HOUR)
    assert (row.etb_exit_price[0], row.etb_return[0]) == (exit_price, exit_price / 100.0 - 1.0)


def test_a_weekend_inside_the_window_counts_no_bars() -> None:
    path = bars([QUIET, (100.0, 100.95, 100.0, 100.5), (100.5, 100.95, 100.5, 100.6)], opens=[0, HOUR, 50 * HOUR])
    row = window(path, 100.0, 100.0, 1.0)
    labels = level_touches(path, row, *around([(101.0, R)]))
    assert (labels.retouch_count[0], labels.next_touch_time[0], labels.consecutive_touch_run[0]) == (1, 2, 2)
    placed = level_barriers(path, row, *around([(101.0, R)]))
    assert (placed.etb_time_to_barrier[0], placed.etb_end_ts[0]) == (2, 2 * HOUR)


def test_event_burst_is_more_than_two_deviations_above_the_mean() -> None:
    touch, quiet = (100.0, 101.0, 100.0, 100.0), (100.0, 100.1, 99.9, 100.0)
    candles = bars([touch if k in {1, 60, 61} else quiet for k in range(80)])
    windows = path_windows(candles, candles, WindowParameters(1, 1, 5 * 24 * HOUR, atr_period=1))
    inputs = (candles, windows, *around([(101.0, R)], 80))
    row = level_breaks(*inputs, level_touches(*inputs), BurstParameters(1, 50, 50))
    assert row.event_count[[58, 59, 60, 61]].tolist() == [0, 1, 1, 0]
    assert row.event_burst[[50, 51]].tolist() == [NULL_INT, 0]  # candle 0 has no ATR: of 0..49 only 49 windows count
    assert row.event_burst[59] == 1  # mean 0, deviation 0
    assert row.event_burst[60] == 1  # mean 0.02, deviation 0.14
    assert row.event_burst[61] == 0  # nothing happens


def test_weights_of_overlapping_labels() -> None:
    closes = [100.0, 101.0, 100.0, 101.0, 100.0, 103.5, 103.5, 103.5]
    candles = bars(flat(closes))
    windows = path_windows(candles, candles, WindowParameters(2, 1, 5 * 24 * HOUR, atr_period=1))
    placed = level_barriers(candles, windows, *around([], len(closes)))
    row = sample_weights(candles, candles, windows, placed, WeightParameters(2, 5 * 24 * HOUR))
    # ATR_i = |close_i − close_{i−1}| = 1 for i = 1..4: row 3 (barriers 99, 103) and row 4 (98, 102) end with candle 5
    assert placed.etb_barrier_hit[1:5].tolist() == [0, 0, 1, 1]
    # N_3 counts rows 1 and 2; row 0 has no ATR. N_2 counts row 1. N_4: 2 and 3. N_5: 3 and 4, touched at its close
    assert row.concurrency.tolist()[:5] == [NULL_INT, 2, 2, 2, 2]
    assert row.average_uniqueness[1] == (1 / 1 + 1 / 2) / 2
    assert row.average_uniqueness[4] == 1 / 2  # its life is candle 5 alone
    assert math.isclose(row.return_weight[1], abs(math.log(100 / 101) + math.log(101 / 100) / 2))
    assert math.isclose(row.return_weight[4], math.log(103.5 / 100) / 2)


def test_weights_are_null_beside_a_gap() -> None:
    closes = [100.0, 101.0] * 5
    opens = [HOUR * (k + (200 if k >= 6 else 0)) for k in range(10)]
    candles = bars(flat(closes), opens=opens)
    windows = path_windows(candles, candles, WindowParameters(1, 1, 5 * 24 * HOUR, atr_period=1))
    placed = level_barriers(candles, windows, *around([], 10))
    row = sample_weights(candles, candles, windows, placed, WeightParameters(1, 5 * 24 * HOUR))
    assert windows.window_status.tolist() == [COMPLETE] * 5 + [GAP] + [COMPLETE] * 3 + [OPEN]
    # row 5 spans the gap; row 6 begins after it but is beside it: i − H .. i + H is 5 .. 7
    assert [value == NULL_INT for value in row.concurrency.tolist()] == [
        True,
        *[False] * 4,
        True,
        True,
        False,
        False,
        True,
    ]
