"""Golden rows of the family excursions, with the reason beside each. Entry 100."""

import math

import pytest

from label_assets.kernels.arrays import NULL_INT
from label_assets.kernels.excursions import Excursions, excursions
from label_assets.kernels.windows import COMPLETE, GAP, OPEN
from label_assets_tests.kernels.test_golden_inputs import Bar, bars, flat, window


def labels(rows: list[Bar], status: int = COMPLETE) -> Excursions:
    path = bars(rows)
    return excursions(path, window(path, 100.0, rows[-1][3], status=status))


def test_extremes_are_highs_and_lows_and_the_first_counts() -> None:
    row = labels([(100.0, 112.5, 100.0, 110.0), (110.0, 125.0, 75.0, 100.0), (100.0, 125.0, 75.0, 90.0)])
    assert (row.mfe[0], row.time_to_mfe[0]) == (0.25, 2)  # bar 3 has the same high
    assert (row.mae[0], row.time_to_mae[0]) == (-0.25, 2)
    assert row.profit_factor[0] == 1.0


def test_a_path_above_the_entry_has_no_adverse_excursion() -> None:
    row = labels([(101.0, 125.0, 100.0, 110.0)])
    assert (row.mfe[0], row.time_to_mfe[0]) == (0.25, 1)
    assert (row.mae[0], row.time_to_mae[0]) == (0.0, NULL_INT)
    assert math.isnan(row.profit_factor[0])  # not infinity, not 100


def test_a_path_below_the_entry_has_no_favorable_excursion() -> None:
    row = labels([(99.0, 99.0, 75.0, 80.0)])
    assert (row.mfe[0], row.time_to_mfe[0]) == (0.0, NULL_INT)
    assert (row.mae[0], row.time_to_mae[0]) == (-0.25, 1)
    assert row.profit_factor[0] == 0.0


def test_constant_prices() -> None:
    row = labels(flat([100.0, 100.0]))
    assert (row.mfe[0], row.mae[0]) == (0.0, 0.0)
    assert math.copysign(1.0, row.mae[0]) == 1.0
    assert (row.time_to_mfe[0], row.time_to_mae[0]) == (NULL_INT, NULL_INT)
    assert math.isnan(row.profit_factor[0])


def test_profit_factor_is_capped() -> None:
    assert labels([(100.0, 200.0, 99.75, 150.0)]).profit_factor[0] == 100.0  # 1/0.0025


@pytest.mark.parametrize("status", [OPEN, GAP])
def test_nothing_is_set_unless_complete(status: int) -> None:
    row = labels([(101.0, 125.0, 75.0, 110.0)], status)
    assert math.isnan(row.mfe[0])
    assert math.isnan(row.mae[0])
    assert math.isnan(row.profit_factor[0])
    assert (row.time_to_mfe[0], row.time_to_mae[0]) == (NULL_INT, NULL_INT)
