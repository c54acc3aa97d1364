"""Golden rows of the family path_shape, with the reason beside each. Entry 100."""

import math

import pytest

from label_assets.kernels.arrays import NULL_INT
from label_assets.kernels.path_shape import PathShape, path_shape
from label_assets.kernels.windows import COMPLETE, GAP, OPEN
from label_assets_tests.kernels.test_golden_inputs import Bar, bars, flat, window


def labels(rows: list[Bar], end: float | None = None, status: int = COMPLETE) -> PathShape:
    path = bars(rows)
    return path_shape(path, window(path, 100.0, rows[-1][3] if end is None else end, status=status))


def test_moments_are_those_of_the_population() -> None:
    # r = 0, 0, 0.3: mean 0.1, variance 0.02, third moment 0.002
    row = labels(flat([100.0, 100.0, 130.0]))
    assert row.path_sharpe[0] == pytest.approx(0.3 / math.sqrt(0.02), rel=1e-12)
    assert row.path_skewness[0] == pytest.approx(0.002 / 0.02**1.5, rel=1e-12)


def test_trend_is_fitted_from_the_entry_on() -> None:
    # y = 1, 1.25, 1, 1.25 on 0..3: slope 0.25/5, squared residuals 0.05 over 2 degrees of freedom
    row = labels(flat([125.0, 100.0, 125.0]))
    assert row.trend_t_value[0] == pytest.approx(0.05 / math.sqrt(0.05 / 2 / 5), rel=1e-12)


def test_drawdown_and_runup_start_at_the_entry() -> None:
    falls = labels(flat([75.0, 90.0, 50.0]))
    assert falls.drawdown_depth[0] == -0.5  # from C_0 = 100
    assert falls.runup_height[0] == 90.0 / 75.0 - 1.0
    assert falls.time_underwater[0] == 3
    rises = labels(flat([125.0, 150.0, 200.0]))
    assert rises.drawdown_depth[0] == 0.0
    assert rises.runup_height[0] == 1.0
    assert rises.time_underwater[0] == 0


def test_a_close_at_the_entry_is_not_underwater() -> None:
    assert labels(flat([100.0, 99.0, 100.0])).time_underwater[0] == 1


def test_end_extremum_gap_looks_to_the_side_of_the_exit() -> None:
    bars_up: list[Bar] = [(100.0, 130.0, 60.0, 110.0), (110.0, 120.0, 90.0, 120.0)]
    assert labels(bars_up).end_extremum_gap[0] == 0.5  # (130 − 120)/20
    bars_down: list[Bar] = [(100.0, 130.0, 60.0, 110.0), (110.0, 120.0, 80.0, 80.0)]
    assert labels(bars_down).end_extremum_gap[0] == 1.0  # (80 − 60)/20
    assert labels([(100.0, 130.0, 60.0, 101.0)]).end_extremum_gap[0] == 10.0  # 29, capped


def test_efficiency_is_net_over_gross() -> None:
    assert labels(flat([110.0, 90.0, 110.0])).path_efficiency[0] == 0.2  # 10 of 10 + 20 + 20
    assert labels(flat([110.0, 120.0, 130.0])).path_efficiency[0] == 1.0


def test_back_at_the_entry() -> None:
    row = labels(flat([110.0, 90.0, 100.0]))
    assert math.isnan(row.end_extremum_gap[0])  # P_X = P: no side, and nothing to divide by
    assert row.path_efficiency[0] == 0.0
    assert row.path_sharpe[0] == 0.0


def test_constant_prices_have_no_shape() -> None:
    row = labels(flat([100.0] * 5))
    for field in ("path_sharpe", "path_skewness", "end_extremum_gap", "path_efficiency", "trend_t_value"):
        assert math.isnan(getattr(row, field)[0]), field
    assert (row.drawdown_depth[0], row.runup_height[0], row.time_underwater[0]) == (0.0, 0.0, 0)


def test_a_jump_and_nothing_after_it_has_no_deviation() -> None:
    # all r equal to 0.1, of which the mean is not exactly 0.1: below 1e-12 all the same
    row = labels(flat([110.0] * 7))
    assert math.isnan(row.path_sharpe[0])
    assert math.isnan(row.path_skewness[0])
    assert math.isfinite(row.trend_t_value[0])


def test_a_straight_line_has_no_standard_error() -> None:
    assert math.isnan(labels(flat([110.0, 120.0, 130.0, 140.0])).trend_t_value[0])


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_bars(n: int) -> None:
    row = labels(flat([110.0, 90.0][:n]))
    assert math.isnan(row.path_skewness[0])
    assert math.isnan(row.trend_t_value[0])
    assert math.isnan(row.path_sharpe[0]) == (n == 1)  # one value has no deviation


def test_the_exit_price_is_that_of_the_candle() -> None:
    # the last path bars are missing: P_X = 150 although C_n = 110
    row = labels(flat([110.0, 90.0, 110.0]), end=150.0)
    assert row.path_efficiency[0] == 1.0  # 50 over 50
    assert row.end_extremum_gap[0] == 0.8  # |150 − 110|/50


@pytest.mark.parametrize("status", [OPEN, GAP])
def test_nothing_is_set_unless_complete(status: int) -> None:
    row = labels(flat([110.0, 90.0, 110.0]), status=status)
    for field in PathShape._fields:
        value = getattr(row, field)[0]
        assert value == NULL_INT if field == "time_underwater" else math.isnan(value), field
