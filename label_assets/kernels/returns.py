"""Labels 1–5: the return at the horizon end in several units (LABELS.md §4, returns).

Belongs here: what needs nothing but entry and exit. Does not belong here: anything that reads path bars.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import NULL_INT, FloatArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import require_within
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows


class ReturnParameters(NamedTuple):
    """Settings of one granularity and horizon.

    Attributes:
        horizon: H of the windows [candles].
        flat_return: A forward_return of this magnitude or less has sign 0 [share of P].
        clip_atr: Bound of vol_scaled_return [ATR].
        quantile_sample: N, candles in the reference sample of return_quantile.
        quantile_minimum: Fewest complete windows in that sample; LABELS.md has min(100, N/2).
    """

    horizon: int
    flat_return: float = 0.0
    clip_atr: float = 10.0
    quantile_sample: int = 1000
    quantile_minimum: float = 100.0


class Returns(NamedTuple):
    """Family `returns`, one element for every candle.

    Attributes:
        forward_return: P_X/P − 1.
        vol_scaled_return: (P_X − P)/ATR, clipped to ± clip_atr [ATR].
        vol_scaled_bounded: 1 if the clip changed the value, otherwise 0 (int32).
        return_sign: −1, 0, 1 (int32).
        return_quantile: Decile 1..10 of forward_return in the reference sample (int32).
        log_return: ln(P_X/P).
    """

    forward_return: FloatArray
    vol_scaled_return: FloatArray
    vol_scaled_bounded: IntColumn
    return_sign: IntColumn
    return_quantile: IntColumn
    log_return: FloatArray


def returns(windows: Windows, parameters: ReturnParameters) -> Returns:
    """Compute labels 1–5.

    NULL unless the window is complete; vol_scaled_* also while ATR is undefined; return_quantile also with fewer than
    `quantile_minimum` complete windows among candles i−H−(N−1) .. i−H (both ends count; the window of i−H ends at E).
    Ties: return_quantile counts half of the equal values as less, in integers: bucket =
    min(10, 1 + (5·(2·less + equal)) div size), floats compared exactly; |forward_return| = flat_return is flat.

    Args:
        windows: Windows of n candles, with H + N candles before the first row that is kept.
        parameters: Settings.

    Returns:
        n elements a field.

    Raises:
        ValueError: if arrays differ in length or have another dtype, or a parameter is out of its bounds.
    """
    require_within("horizon", parameters.horizon, 1, 100)
    require_within("flat_return", parameters.flat_return, 0.0)
    require_within("clip_atr", parameters.clip_atr, 0.0)
    require_within("quantile_sample", parameters.quantile_sample, 1)
    minimum = math.ceil(parameters.quantile_minimum)  # "fewer than 78.5" is "fewer than 79"
    require_within("quantile_minimum", minimum, 1, parameters.quantile_sample)
    windows = checked_windows(windows)
    scaled = _scaled(windows, float(parameters.flat_return), float(parameters.clip_atr))
    forward, vol_scaled, bounded, sign, log_return = scaled
    decile = _decile(forward, int(parameters.horizon), int(parameters.quantile_sample), minimum, 0)
    return Returns(forward, vol_scaled, bounded, sign, decile, log_return)


@njit(cache=True, nogil=True, error_model="numpy")
def _scaled(
    windows: Windows, flat_return: float, clip_atr: float
) -> tuple[FloatArray, FloatArray, IntColumn, IntColumn, FloatArray]:
    count = len(windows.entry_price)
    forward_return = np.full(count, np.nan)
    vol_scaled = np.full(count, np.nan)
    bounded = np.full(count, NULL_INT, np.int32)
    sign = np.full(count, NULL_INT, np.int32)
    log_return = np.full(count, np.nan)
    for i in range(count):
        if windows.window_status[i] != COMPLETE:
            continue
        entry, end = windows.entry_price[i], windows.exit_price[i]
        forward = end / entry - 1.0
        forward_return[i] = forward
        log_return[i] = math.log(end / entry)
        sign[i] = 0 if abs(forward) <= flat_return else (1 if forward > 0.0 else -1)
        if not math.isnan(windows.atr[i]):
            scaled = (end - entry) / windows.atr[i]
            bounded[i] = 1 if abs(scaled) > clip_atr else 0
            vol_scaled[i] = min(max(scaled, -clip_atr), clip_atr)
    return forward_return, vol_scaled, bounded, sign, log_return


@njit(cache=True, nogil=True)
def _decile(value: FloatArray, horizon: int, sample: int, minimum: int, first: int) -> IntColumn:
    """Decile of every value from `first` on among the `sample` values of which the last is `horizon` before it.

    NaN is no value; what stands before `first` is only counted.

    Comparing with all of them is one vectorized sweep: a sorted window took more than twice as long. It sweeps keys of
    16 bits, of which a vector holds four times as many as of values; an equal key among them tells nothing, and then
    the values are compared.
    """
    keys, are_countable = _keys(value), sample < 2**15
    decile = np.full(len(value), NULL_INT, np.int32)
    size = 0
    for i in range(horizon, len(value)):
        begin = i - horizon - sample + 1
        size += not math.isnan(value[i - horizon])
        if begin > 0:
            size -= not math.isnan(value[begin - 1])
        own = value[i]
        if i < first or size < minimum or math.isnan(own):
            continue
        less, equal = 0, 1
        if are_countable:
            less, equal = _counts_of_keys(keys[max(0, begin) : i - horizon + 1], keys[i])
        if equal > 0:
            less, equal = _counts(value[max(0, begin) : i - horizon + 1], own)
        decile[i] = min(10, 1 + (5 * (2 * less + equal)) // size)
    return decile


@njit(cache=True, nogil=True, error_model="numpy")
def _keys(value: FloatArray) -> NDArray[np.int16]:
    """Keys in the order of the values; different values may share one, near to each other or far out. NaN has the last.

    The unit is 1/8192 of the mean magnitude: of a thousand normal values one in some twenty finds its key again.
    """
    total, count = 0.0, 0
    for i in range(len(value)):
        if not math.isnan(value[i]):
            total, count = total + abs(value[i]), count + 1
    scale = 8192.0 * count / total
    keys = np.zeros(len(value), np.int16)
    if not 0.0 < scale < np.inf:
        return keys
    for i in range(len(value)):
        scaled = min(max(value[i] * scale, -32_767.0), 32_766.0)
        keys[i] = 32_767 if math.isnan(value[i]) else math.floor(scaled)
    return keys


@njit(cache=True, nogil=True)
def _counts_of_keys(others: NDArray[np.int16], own: int) -> tuple[int, int]:
    """How many are less, and how many equal; at most 32,767, so that sums of 16 bits hold them."""
    less, equal = np.int16(0), np.int16(0)
    for k in range(len(others)):
        less = np.int16(less + (others[k] < own))
        equal = np.int16(equal + (others[k] == own))
    return int(less), int(equal)


@njit(cache=True, nogil=True)
def _counts(others: FloatArray, own: float) -> tuple[int, int]:
    less, equal = 0, 0
    for k in range(len(others)):
        less += others[k] < own
        equal += others[k] == own
    return less, equal
