"""Labels 6–8: the first touch of an upper or lower barrier on the path (LABELS.md §4, barriers).

Belongs here: the first touch and every family that is made of it. Does not belong here: levels, which only give a
price to touch.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.windows import COMPLETE, GAP, Windows, checked_windows, path_start


class BarrierWidth(NamedTuple):
    """Distance of either barrier from P; exactly one of the two is not 0.

    Attributes:
        atr_multiple: Distance [ATR]; needs a defined ATR.
        price_share: Distance as a share of P (0.01 is 1 %), below 1; needs no ATR.
    """

    atr_multiple: float = 0.0
    price_share: float = 0.0


class Barriers(NamedTuple):
    """Labels 6–8, one element for every candle.

    Attributes:
        triple_barrier_label: 1 upper barrier first, −1 lower barrier first, 0 neither until X (int32).
        triple_barrier_ambiguous: 1 if one bar that opened between the barriers reached both (int32).
        time_to_barrier: t of the touch, n if none [path bars] (int32).
        barrier_end_ts: Close time of that bar, X if none [epoch s, UTC].
        barrier_return: exit price/P − 1.
    """

    triple_barrier_label: IntColumn
    triple_barrier_ambiguous: IntColumn
    time_to_barrier: IntColumn
    barrier_end_ts: IntArray
    barrier_return: FloatArray


class _FirstTouch(NamedTuple):
    label: IntColumn
    ambiguous: IntColumn
    time: IntColumn
    end_ts: IntArray
    exit_price: FloatArray


def barriers(path: Candles, windows: Windows, width: BarrierWidth) -> Barriers:
    """Compute labels 6–8 with barriers P ± atr_multiple·ATR or P ± price_share·P.

    A bar that opens at or beyond a barrier touches it at its open. Otherwise high ≥ upper or low ≤ lower touches at
    the barrier price; a bar that reaches both counts for the barrier nearer to its open (tie: lower) and is marked
    ambiguous. Never touched: label 0, time n, end X, exit price P_X.

    Set as soon as a barrier is touched, in open windows too; NULL in an open window while untouched, in every gap
    window, and while a needed ATR is undefined.

    Args:
        path: Path bars, with low ≤ open, close ≤ high.
        windows: Windows made from that path.
        width: Distance of the barriers.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if the windows reach outside the path, or if
            not exactly one of the widths is positive.

    References:
        López de Prado (2018), Advances in Financial Machine Learning, §3.4 (triple-barrier method) and §3.6.
    """
    require_within("width.atr_multiple", width.atr_multiple, 0.0)
    require_within("width.price_share", width.price_share, 0.0, math.nextafter(1.0, 0.0))
    if (width.atr_multiple > 0.0) == (width.price_share > 0.0):
        raise ValueError(f"width is {width}; exactly one of atr_multiple and price_share must be > 0")
    path, windows = checked_candles("path", path), checked_windows(windows)
    start = path_start(path, windows)
    labels: Barriers = _kernel(path, windows, start, float(width.atr_multiple), float(width.price_share))
    return labels


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(path: Candles, windows: Windows, start: IntArray, atr_multiple: float, price_share: float) -> Barriers:
    count = len(start)
    upper = np.empty(count, np.float64)
    lower = np.empty(count, np.float64)
    for i in range(count):
        entry = windows.entry_price[i]
        distance = atr_multiple * windows.atr[i] if atr_multiple > 0.0 else price_share * entry
        upper[i] = entry + distance
        lower[i] = entry - distance
    touch = _first_touch(path, windows, start, upper, lower)
    barrier_return = touch.exit_price
    for i in range(count):
        barrier_return[i] = barrier_return[i] / windows.entry_price[i] - 1.0
    return Barriers(touch.label, touch.ambiguous, touch.time, touch.end_ts, barrier_return)


@njit(cache=True, nogil=True)
def _first_touch(path: Candles, windows: Windows, start: IntArray, upper: FloatArray, lower: FloatArray) -> _FirstTouch:
    """First touch of one upper and one lower price a row.

    NULL in every field: in a gap window, where a price is NaN, and in an open window while untouched.
    """
    count = len(start)
    label = np.empty(count, np.int32)
    ambiguous = np.empty(count, np.int32)
    time = np.empty(count, np.int32)
    end_ts = np.empty(count, np.int64)
    exit_price = np.empty(count, np.float64)
    for i in range(count):
        status, first, n = windows.window_status[i], start[i], windows.path_bars[i]
        known = status != GAP and not math.isnan(upper[i]) and not math.isnan(lower[i])
        scanned = n if known else 0
        t = _touching_bar(path.high[first : first + scanned], path.low[first : first + scanned], upper[i], lower[i])
        touched = t < scanned
        if not touched and (not known or status != COMPLETE):
            label[i], ambiguous[i], time[i], end_ts[i], exit_price[i] = NULL_INT, NULL_INT, NULL_INT, NULL_INT, np.nan
            continue
        # of an untouched window the last bar, for nothing: choosing values is cheaper than branches (37 ns, not 55)
        bar = first + t - (0 if touched else 1)
        side, both, price = _touch(path.open[bar], path.high[bar], path.low[bar], upper[i], lower[i])
        label[i] = side if touched else 0
        ambiguous[i] = both if touched else 0
        time[i] = t + 1 if touched else n
        end_ts[i] = path.close_ts[bar] if touched else windows.horizon_end_ts[i]
        exit_price[i] = price if touched else windows.exit_price[i]
    return _FirstTouch(label, ambiguous, time, end_ts, exit_price)


@njit(cache=True, nogil=True)
def _touching_bar(high: FloatArray, low: FloatArray, upper: float, lower: float) -> int:
    """Index of the first bar that reaches a barrier, their number if none. A bar that opens beyond one reaches it."""
    t = 0
    while t < len(high) and (high[t] < upper) & (low[t] > lower):
        t += 1
    return t


@njit(cache=True, nogil=True)
def _touch(bar_open: float, high: float, low: float, upper: float, lower: float) -> tuple[int, int, float]:
    """Label, ambiguity and exit price of a bar that reaches a barrier. Written without branches: see above."""
    above, below = bar_open >= upper, bar_open <= lower
    both = (high >= upper) & (low <= lower) & (not above) & (not below)
    up = above | ((not below) & (high >= upper) & ((low > lower) | (upper - bar_open < bar_open - lower)))
    price = bar_open if above | below else (upper if up else lower)
    return 1 if up else -1, 1 if both else 0, price
