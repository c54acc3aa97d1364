"""True range and its simple mean (LABELS.md §1).

Belongs here: the volatility unit that widths, distances and labels are measured in. Does not belong here: labels.
"""

import numpy as np

from label_assets.kernels.arrays import Candles, FloatArray
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles, require_within

ATR_FLOOR = 1e-9
"""An average true range below this share of the close is undefined."""


def true_range(candles: Candles) -> FloatArray:
    """TR_i = max(high_i, close_{i−1}) − min(low_i, close_{i−1}).

    Args:
        candles: n candles in time order.

    Returns:
        n true ranges [price]; the first is NaN, because it has no previous close.

    Raises:
        ValueError: if arrays differ in length or have another dtype.

    References:
        Wilder (1978), New Concepts in Technical Trading Systems, "Volatility".
    """
    candles = checked_candles("candles", candles)
    ranges: FloatArray = _true_range(candles.high, candles.low, candles.close)
    return ranges


def average_true_range(candles: Candles, period: int = 14) -> FloatArray:
    """ATR_i = arithmetic mean of TR_{i−period+1..i}, each summed from its own terms in time order.

    No running total: the value of a candle then does not depend on where the slice begins.

    Args:
        candles: n candles in time order.
        period: Number of true ranges in a mean, both ends included [candles].

    Returns:
        n means [price]; NaN (undefined) for the first `period` candles and where below 1e-9 · close_i.

    Raises:
        ValueError: if arrays differ in length or have another dtype, or period < 1.

    References:
        The simple mean of MetaTrader's iATR, not Wilder's (1978) smoothing, whose memory is unbounded.
    """
    require_within("period", period, 1)
    candles = checked_candles("candles", candles)
    means: FloatArray = _average(_true_range(candles.high, candles.low, candles.close), candles.close, int(period))
    return means


@njit(cache=True, nogil=True, error_model="numpy")
def _true_range(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    ranges = np.empty(len(close), np.float64)
    ranges[:1] = np.nan
    for i in range(1, len(close)):
        previous = close[i - 1]
        top = high[i] if high[i] > previous else previous
        bottom = low[i] if low[i] < previous else previous
        ranges[i] = top - bottom
    return ranges


@njit(cache=True, nogil=True, error_model="numpy")
def _average(ranges: FloatArray, close: FloatArray, period: int) -> FloatArray:
    means = np.full(len(close), np.nan)
    for i in range(period, len(close)):
        total = 0.0
        for j in range(i - period + 1, i + 1):
            total += ranges[j]
        mean = total / period
        if mean >= ATR_FLOOR * close[i]:
            means[i] = mean
    return means
