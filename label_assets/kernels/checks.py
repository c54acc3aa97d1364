"""What every public kernel function asks of its arrays before it computes.

Belongs here: refusals (`ValueError` naming parameter, value and bound) and the one normalisation, to contiguous
writeable arrays, which keeps every compiled kernel at a single specialisation. Does not belong here: anything of one
family alone.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import Candles, FloatArray, IntArray
from label_assets.kernels.caching import njit

_CANDLE_DTYPES = {
    "ts": "int64",
    "close_ts": "int64",
    "open": "float64",
    "high": "float64",
    "low": "float64",
    "close": "float64",
    "volume": "float64",
}


def checked_array(name: str, array: NDArray[Any], dtype: str, length: int) -> NDArray[Any]:
    """Give `array` back contiguous and writeable; copy it only if it is not.

    Raises:
        ValueError: if it is not one-dimensional, of that dtype and of that length.
    """
    if array.ndim != 1 or array.dtype != np.dtype(dtype) or len(array) != length:
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}; it must be {dtype} of shape ({length},), an element a row"
        )
    # np.require takes 3 µs even where there is nothing to do: a quarter of the time of a short slice's labels.
    return array if array.flags.carray else np.require(array, requirements=["C", "W", "A"])


def checked_candles(name: str, candles: Candles) -> Candles:
    """Check dtypes and lengths of every field; O(1), so every family can afford it."""
    length = len(candles.ts)
    fields = (
        checked_array(f"{name}.{field}", getattr(candles, field), dtype, length)
        for field, dtype in _CANDLE_DTYPES.items()
    )
    return Candles(*fields)


def require_time_order(name: str, candles: Candles) -> None:
    """Refuse candles of which ts or close_ts does not strictly increase, or that close before they open."""
    for field, times in (("ts", candles.ts), ("close_ts", candles.close_ts)):
        row = _first_unordered(times)
        if row > 0:
            raise ValueError(
                f"{name}.{field}[{row}] is {times[row]} after {times[row - 1]}; it must be greater: sort by time and "
                "drop duplicates"
            )
    if not (candles.close_ts > candles.ts).all():
        row = int(np.argmin(candles.close_ts > candles.ts))
        raise ValueError(f"{name}.close_ts[{row}] is {candles.close_ts[row]}; it must be > ts {candles.ts[row]}")


def require_positive_prices(name: str, candles: Candles) -> None:
    """Refuse candles of which a low or close is not positive, or a high or close is not finite."""
    for field, prices in (("low", candles.low), ("high", candles.high), ("close", candles.close)):
        row = _first_unusable(prices)
        if row >= 0:
            raise ValueError(f"{name}.{field}[{row}] is {prices[row]}; a price must be finite and > 0")


def require_within(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a parameter outside [low, high], NaN included."""
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}; it must be >= {low}" + (f" and <= {high}" if high < math.inf else ""))


@njit(cache=True, nogil=True)
def _first_unordered(times: IntArray) -> int:
    """First row that is not greater than the one before, −1 if none. Counting first is a vectorised sweep."""
    later, earlier = times[1:], times[:-1]
    unordered = 0
    for row in range(len(later)):
        unordered += later[row] <= earlier[row]
    if unordered > 0:
        for row in range(len(later)):
            if later[row] <= earlier[row]:
                return row + 1
    return -1


@njit(cache=True, nogil=True)
def _first_unusable(prices: FloatArray) -> int:
    """First row that is not a finite price > 0, −1 if none."""
    usable = 0
    for row in range(len(prices)):
        usable += (prices[row] > 0.0) & (prices[row] < np.inf)
    if usable < len(prices):
        for row in range(len(prices)):
            if not 0.0 < prices[row] < np.inf:
                return row
    return -1
