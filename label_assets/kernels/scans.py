"""Scans of bars, 32 at a time.

A loop over a fixed number of bars that sets a bit for each becomes vector instructions without a branch; one that
stops at a bar is foretold wrongly once a window, and takes twice as long for windows of 24 bars.

Belongs here: what compiled functions of several files call. Does not belong here: what a label's definition decides.
"""

import numpy as np

from label_assets.kernels.arrays import FloatArray, Index
from label_assets.kernels.caching import njit

WORD = 32
"""Bars of a scan. A loop over so many with two comparisons each is too long for LLVM to unroll it before it thinks of
vectors; one with a single comparison is not, and takes four times as long."""

Mask = np.uint64

_ONE, _AFTER = Mask(1), Mask(1 << WORD)
_PAIRS, _QUADS = Mask(0x5555555555555555), Mask(0x3333333333333333)
_BYTES, _SUM = Mask(0x0F0F0F0F0F0F0F0F), Mask(0x0101010101010101)


@njit(cache=True, nogil=True)
def count_bits(mask: Mask) -> int:
    """Number of set bits; LLVM makes one instruction of it."""
    mask -= (mask >> _ONE) & _PAIRS
    mask = (mask & _QUADS) + ((mask >> Mask(2)) & _QUADS)
    mask = (mask + (mask >> Mask(4))) & _BYTES
    return int((mask * _SUM) >> Mask(56))


@njit(cache=True, nogil=True)
def lowest_bit(mask: Mask) -> int:
    """Position of the lowest set bit, 64 if there is none; one instruction too."""
    return int(count_bits(~mask & (mask - _ONE)))


@njit(cache=True, nogil=True)
def bars_before_reaching(high: FloatArray, low: FloatArray, first: int, n: int, upper: float, lower: float) -> int:
    """Number of bars of a window before the first with high ≥ upper or low ≤ lower, n if there is none.

    Args:
        high: Of the whole path.
        low: Of the whole path.
        first: Index of the first bar of the window.
        n: Its bars.
        upper: A price, or infinity.
        lower: A price, or minus infinity.
    """
    begin = 0
    while first + begin + WORD <= len(high):
        reached = _AFTER
        for k in range(WORD):
            bar = Index(first + begin + k)
            reached |= Mask((high[bar] >= upper) | (low[bar] <= lower)) << Mask(k)
        t = lowest_bit(reached)
        begin += WORD
        if (t < WORD) | (begin >= n):
            return min(n, begin - WORD + t)
    while begin < n and (high[Index(first + begin)] < upper) & (low[Index(first + begin)] > lower):
        begin += 1
    return min(n, begin)
