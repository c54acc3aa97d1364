"""Golden rows of the family returns, with the reason beside each."""

import math

import numpy as np
import pytest

from label_assets.kernels.arrays import NULL_INT
from label_assets.kernels.returns import ReturnParameters, Returns, returns
from label_assets.kernels.windows import COMPLETE, GAP, OPEN, Windows
from label_assets_tests.kernels.test_golden_inputs import HOUR

ONE_AHEAD = ReturnParameters(1, quantile_sample=4, quantile_minimum=2)


def rows(exits: list[float], atr: float = 1.0, statuses: list[int] | None = None) -> Windows:
    """Windows that enter at 100."""
    count = len(exits)
    ts = HOUR * np.arange(count, dtype=np.int64)
    return Windows(
        ts,
        np.full(count, 100.0),
        np.full(count, atr),
        ts + HOUR,
        np.array(exits),
        np.ones(count, np.int32),
        np.ones(count),
        np.array(statuses if statuses is not None else [COMPLETE] * count, np.int8),
    )


def one(end: float, atr: float = 1.0, flat_return: float = 0.0) -> Returns:
    return returns(rows([end], atr), ReturnParameters(1, flat_return))


def test_values_of_one_window() -> None:
    row = one(125.0, atr=5.0)
    assert row.forward_return[0] == 0.25
    assert row.vol_scaled_return[0] == 5.0
    assert row.vol_scaled_bounded[0] == 0
    assert row.return_sign[0] == 1
    assert row.log_return[0] == math.log(1.25)
    assert row.return_quantile[0] == NULL_INT  # no window before it


@pytest.mark.parametrize(
    ("end", "scaled", "bounded"),
    [
        (110.0, 10.0, 0),  # at the bound: nothing was changed
        (110.5, 10.0, 1),
        (90.0, -10.0, 0),
        (89.5, -10.0, 1),
    ],
)
def test_bounded_says_that_the_clip_acted(end: float, scaled: float, bounded: int) -> None:
    row = one(end)
    assert row.vol_scaled_return[0] == scaled
    assert row.vol_scaled_bounded[0] == bounded


def test_without_atr_only_the_scaled_return_is_null() -> None:
    row = one(125.0, atr=math.nan)
    assert math.isnan(row.vol_scaled_return[0])
    assert row.vol_scaled_bounded[0] == NULL_INT
    assert row.forward_return[0] == 0.25


@pytest.mark.parametrize(
    ("end", "flat_return", "sign"),
    [
        (100.0, 0.0, 0),
        (75.0, 0.0, -1),
        (125.0, 0.25, 0),  # at most: the bound itself is flat
        (75.0, 0.25, 0),
        (62.5, 0.25, -1),
    ],
)
def test_flat_return_has_sign_zero(end: float, flat_return: float, sign: int) -> None:
    assert one(end, flat_return=flat_return).return_sign[0] == sign


@pytest.mark.parametrize("status", [OPEN, GAP])
def test_nothing_is_set_unless_complete(status: int) -> None:
    row = returns(rows([125.0], statuses=[status]), ReturnParameters(1))
    assert np.isnan([row.forward_return[0], row.vol_scaled_return[0], row.log_return[0]]).all()
    assert [row.vol_scaled_bounded[0], row.return_sign[0], row.return_quantile[0]] == [NULL_INT] * 3


def test_quantile_looks_at_the_windows_that_ended_by_entry() -> None:
    # H = 1, N = 4: the sample of row 5 is rows 1..4, of exits 101..104; row 0 is too old
    exits = [200.0, 101.0, 102.0, 103.0, 104.0]
    for end, bucket in (
        (100.0, 1),  # 1 + 5·0 div 4
        (101.0, 2),  # less 0, equal 1: 1 + 5·1 div 4
        (102.5, 6),  # less 2: 1 + 5·4 div 4
        (104.0, 9),  # less 3, equal 1: 1 + 5·7 div 4 = 1 + 8
        (105.0, 10),  # less 4: 1 + 10, at most 10
    ):
        assert returns(rows([*exits, end]), ONE_AHEAD).return_quantile[5] == bucket


def test_quantile_skips_incomplete_windows_and_needs_enough() -> None:
    statuses = [COMPLETE, GAP, GAP, COMPLETE, GAP, COMPLETE, GAP, COMPLETE]
    quantile = returns(rows([101.0] * 8, statuses=statuses), ONE_AHEAD).return_quantile
    # row 3: rows 0..2 hold one complete window, fewer than 2; row 5: rows 1..4 hold one; row 7: rows 3..6 hold two
    assert quantile.tolist() == [NULL_INT] * 7 + [6]  # all equal: 1 + 5·2 div 2


def test_half_a_window_of_minimum_rounds_up() -> None:
    # "fewer than 2.5" is "fewer than 3"
    parameters = ReturnParameters(1, quantile_sample=5, quantile_minimum=2.5)
    assert returns(rows([101.0] * 4), parameters).return_quantile.tolist() == [NULL_INT] * 3 + [6]
