"""The arrays that kernels share: candles, and how NULL is written.

Belongs here: named tuples of arrays without behaviour. Does not belong here: arithmetic.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NULL_INT = -(2**31)
"""NULL in an integer array. Floats use NaN."""

MINIMUM_DENOMINATOR = 1e-12
"""A label whose denominator is smaller in magnitude is NULL (LABELS.md §2); prices are divided by P for the test."""

Index = np.uint64
"""An index that is not negative. With a signed one of which LLVM cannot know that, numba asks at each access whether it
counts from the end, and the loop is not vectorized: a sum of two numbers, say."""

IntArray = NDArray[np.int64]
IntColumn = NDArray[np.int32]
FloatArray = NDArray[np.float64]


class Candles(NamedTuple):
    """Candles of one instrument and granularity in time order, one element a candle.

    Attributes:
        ts: Open time [epoch s, UTC], strictly increasing.
        close_ts: Open time of the next bucket [epoch s, UTC]; the candle covers [ts, close_ts).
        open: First price.
        high: Highest price.
        low: Lowest price.
        close: Last price.
        volume: Volume in the source's own unit.
    """

    ts: IntArray
    close_ts: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
