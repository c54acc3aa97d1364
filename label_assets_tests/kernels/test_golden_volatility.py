"""Golden rows of the family volatility, with the reason beside each."""

import math

import numpy as np
import pytest

from label_assets.kernels.volatility import Volatility, volatility
from label_assets.kernels.windows import WindowParameters, path_windows
from label_assets_tests.kernels.test_golden_inputs import HOUR, Bar, bars, flat

FIRST = (100.0, 101.0, 99.0, 100.0)  # relative range 0.02


def labels(candles: list[Bar], closes: list[float], period: int = 1) -> Volatility:
    """Candles of an hour, one flat path bar in each; horizon 2."""
    rows = bars(candles)
    path = bars(flat(closes))
    windows = path_windows(rows, path, WindowParameters(2, 1, 5 * 24 * HOUR, atr_period=period))
    return volatility(rows, path, windows, 2)


def test_values_of_one_window() -> None:
    candles = [FIRST, FIRST, (100.0, 102.0, 100.0, 100.0), (104.0, 104.0, 100.0, 100.0)]
    row = labels(candles, [100.0, 100.0, 50.0, 100.0])
    # candle 1: widest of 0.02 and 0.04 over 0.02; its own range is not among the two that follow
    assert row.range_expansion[1] == 0.04 / 0.02 - 1.0
    # C = 100, 50, 100: ln² twice
    assert row.realized_volatility[1] == math.sqrt(2 * math.log(2.0) ** 2)
    # TR_2 = 2, TR_3 = 4, ATR_1 = TR_1 = 2
    assert row.volatility_ratio[1] == 1.5
    assert row.max_bar_move[1] == 25.0


def test_the_first_move_is_from_the_entry_price() -> None:
    # the path bar before the window closed at 60, the candle at 100 (a source that disagrees with itself)
    candles = [FIRST] * 4
    row = labels(candles, [60.0, 60.0, 50.0, 50.0])
    assert row.realized_volatility[1] == math.log(2.0)
    assert row.max_bar_move[1] == 25.0


def test_without_atr_only_its_ratios_are_null() -> None:
    row = labels([FIRST] * 4, [100.0, 100.0, 50.0, 100.0], period=14)
    assert math.isnan(row.volatility_ratio[0])
    assert math.isnan(row.max_bar_move[0])
    assert row.range_expansion[0] == 0.0
    assert row.realized_volatility[0] == math.log(2.0)


def test_a_candle_without_range_cannot_be_expanded() -> None:
    row = labels([*flat([100.0]), FIRST, FIRST], [100.0] * 3)
    assert math.isnan(row.range_expansion[0])
    assert row.realized_volatility[0] == 0.0  # no movement is a value, not unknown


@pytest.mark.parametrize("field", Volatility._fields)
def test_nothing_is_set_unless_complete(field: str) -> None:
    values = getattr(labels([FIRST] * 4, [100.0] * 4), field)
    assert np.isnan(values[2:]).all()  # candles 2 and 3 wait for candles 4 and 5
    assert not np.isnan(values[1])
