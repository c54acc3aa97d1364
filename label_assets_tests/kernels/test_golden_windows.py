"""Golden rows of atr and path_windows, with the reason beside each."""

import math

import numpy as np
import pytest

from label_assets.kernels.arrays import NULL_INT, Candles
from label_assets.kernels.atr import average_true_range, true_range
from label_assets.kernels.windows import COMPLETE, GAP, OPEN, WindowParameters, path_windows
from label_assets_tests.kernels.test_golden_inputs import HOUR, bars, flat

DAY = 24 * HOUR
LIMIT = 5 * DAY
TWO_AHEAD = WindowParameters(2, 2, LIMIT)


def halves(candles: Candles) -> Candles:
    """Two flat path bars of half an hour inside every candle."""
    ts = (candles.ts[:, None] + np.array([0, HOUR // 2])).ravel()
    close = np.repeat(candles.close, 2)
    return Candles(ts, ts + HOUR // 2, close, close, close, close, close)


def keep(path: Candles, rows: list[int]) -> Candles:
    return Candles(*(field[rows] for field in path))


def test_true_range_reaches_back_to_the_previous_close() -> None:
    rows = [
        (100.0, 101.0, 99.0, 100.0),  # no previous close
        (100.0, 103.0, 99.0, 102.0),  # 103 − 99
        (105.0, 106.0, 104.0, 105.0),  # opened above: 106 − previous close 102
        (101.0, 102.0, 100.0, 101.0),  # opened below: previous close 105 − 100
    ]
    np.testing.assert_array_equal(true_range(bars(rows)), [math.nan, 4.0, 4.0, 5.0])


def test_atr_is_undefined_for_the_first_period_candles() -> None:
    closes = [float(100 + k * (k + 1) // 2) for k in range(16)]  # TR_i = i
    atr = average_true_range(bars(flat(closes)))
    assert np.isnan(atr[:14]).all()  # candle 13 would need TR_0
    assert atr[14] == 7.5  # mean of 1..14
    assert atr[15] == 8.5  # mean of 2..15


def test_atr_below_a_billionth_of_the_close_is_undefined() -> None:
    low, just_above = 2.0**-31, 2.0**-29  # 4.7e-10 and 1.9e-9 of a close of about 1
    for step, defined in ((0.0, False), (low, False), (just_above, True)):
        rows = [(1.0, 1.0 + step, 1.0, 1.0)] * 15
        assert np.isfinite(average_true_range(bars(rows))[14]) == defined


def test_entry_is_the_close_and_ends_count() -> None:
    candles = bars(flat([100.0, 101.0, 102.0, 103.0]))
    windows = path_windows(candles, halves(candles), TWO_AHEAD)
    assert windows.entry_ts.tolist() == [3600, 7200, 10800, 14400]
    assert windows.entry_price.tolist() == [100.0, 101.0, 102.0, 103.0]
    # candle i+2; the last two are not observed yet
    assert windows.horizon_end_ts.tolist() == [10800, 14400, NULL_INT, NULL_INT]
    np.testing.assert_array_equal(windows.exit_price, [102.0, 103.0, math.nan, math.nan])
    # the bar that opens at E and the bar that closes at X belong to the window; an open one has what there is so far
    assert windows.path_bars.tolist() == [4, 4, 2, 0]
    assert windows.coverage.tolist() == [1.0, 1.0, 0.5, 0.0]
    assert windows.window_status.tolist() == [COMPLETE, COMPLETE, OPEN, OPEN]


def test_path_bars_after_the_last_candle_are_not_counted() -> None:
    candles = bars(flat([100.0, 101.0, 102.0]))
    windows = path_windows(Candles(*(field[:2] for field in candles)), halves(candles), TWO_AHEAD)
    assert windows.path_bars.tolist() == [2, 0]


def test_a_weekend_is_no_gap_and_does_not_count_as_time() -> None:
    friday, sunday = [0, HOUR], [51 * HOUR, 52 * HOUR]
    candles = bars(flat([100.0, 101.0, 102.0, 103.0]), opens=friday + sunday)
    windows = path_windows(candles, halves(candles), TWO_AHEAD)
    assert windows.horizon_end_ts[0] == 52 * HOUR  # the second next candle that exists
    assert windows.path_bars[0] == 4
    assert windows.window_status[0] == COMPLETE


@pytest.mark.parametrize(("beyond", "status"), [(0, COMPLETE), (1, GAP)])
def test_opens_further_apart_than_the_limit_are_a_gap(beyond: int, status: int) -> None:
    candles = bars(flat([100.0, 101.0, 102.0]), opens=[0, LIMIT + beyond, LIMIT + beyond + HOUR])
    windows = path_windows(candles, halves(candles), TWO_AHEAD)
    assert windows.window_status.tolist() == [status, OPEN, OPEN]  # exactly the limit is none
    assert windows.exit_price[0] == 102.0  # set for a gap, too
    assert windows.path_bars[0] == 4


def test_a_gap_before_or_after_the_window_is_not_its_own() -> None:
    late = 2 * LIMIT
    candles = bars(flat([100.0] * 5), opens=[0, late, late + HOUR, late + 2 * HOUR, 2 * late])
    windows = path_windows(candles, halves(candles), TWO_AHEAD)
    # candle 1 comes after the first gap and ends (candle 3) before the second; candle 3 is a gap although it is open
    assert windows.window_status.tolist() == [GAP, COMPLETE, GAP, GAP, OPEN]


@pytest.mark.parametrize(
    ("kept", "coverage", "status"),
    [
        ([5, 6, 7, 8, 9], 1.0, COMPLETE),
        ([5, 6, 8, 9], 0.8, COMPLETE),  # not below 0.8
        ([5, 6, 8], 0.6, GAP),
        ([0], 0.0, GAP),  # n = 0, even where coverage is allowed to be 0 (below)
    ],
)
def test_a_thin_path_is_a_gap(kept: list[int], coverage: float, status: int) -> None:
    candles = bars(flat([100.0] * 6), opens=[0, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 5 * HOUR])
    path = keep(bars(flat([100.0] * 10), HOUR, [HOUR * (k - 4) for k in range(10)]), kept)
    windows = path_windows(candles, path, WindowParameters(5, 1, LIMIT))
    assert windows.coverage[0] == coverage
    assert windows.window_status[0] == status
    tolerant = path_windows(candles, path, WindowParameters(5, 1, LIMIT, minimum_coverage=0.0))
    assert tolerant.window_status[0] == (GAP if coverage == 0.0 else COMPLETE)


def test_coverage_is_at_most_one() -> None:
    candles = bars(flat([100.0, 101.0, 102.0]))
    windows = path_windows(candles, halves(candles), WindowParameters(2, 1, LIMIT))  # 4 bars where 2 are expected
    assert windows.path_bars[0] == 4
    assert windows.coverage[0] == 1.0


def test_bars_that_cross_entry_or_end_are_outside() -> None:
    candles = bars(flat([100.0, 101.0]))
    path = bars(flat([100.0, 100.0, 100.0]), opens=[1800, 3600, 7199])
    assert path_windows(candles, path, WindowParameters(1, 1, LIMIT)).path_bars[0] == 1
