"""Labels 6–8: the first touch of an upper or lower barrier on the path (LABELS.md §4, barriers).

Belongs here: the first touch and every family that is made of it. Does not belong here: levels, which only give a
price to touch.
"""

import math
from typing import NamedTuple

import numpy as np

from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, Index, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.scans import bars_before_reaching
from label_assets.kernels.spans import Spans, start_of
from label_assets.kernels.windows import COMPLETE, GAP, Windows, checked_windows


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


def barriers(path: Candles, windows: Windows, width: BarrierWidth, spans: Spans | None = None) -> Barriers:
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
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

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
    start = start_of(path, windows, spans)
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
        status, n, top, bottom = windows.window_status[i], windows.path_bars[i], upper[i], lower[i]
        is_known = (status != GAP) & (top == top) & (bottom == bottom)  # noqa: PLR0124 - math.isnan is a branch
        scanned = n if is_known else 0
        t = bars_before_reaching(path.high, path.low, start[i], scanned, top, bottom)
        is_touched = t < scanned
        if not is_touched and not (is_known and status == COMPLETE):
            label[i], ambiguous[i], time[i], end_ts[i], exit_price[i] = NULL_INT, NULL_INT, NULL_INT, NULL_INT, np.nan
            continue
        # of an untouched window the last bar, for nothing: choosing values is cheaper than branches
        bar = Index(start[i] + t - (not is_touched))
        side, both = _side(path.open[bar], path.high[bar], path.low[bar], top, bottom)
        label[i], ambiguous[i], time[i] = side * is_touched, both & is_touched, t + is_touched
        end_ts[i] = path.close_ts[bar] if is_touched else windows.horizon_end_ts[i]
        exit_price[i] = path.open[bar]
    for i in range(count):  # apart, because prices are chosen without a branch only where the loop is vectorized
        top, bottom, price = upper[i], lower[i], exit_price[i]
        barrier = top if label[i] > 0 else bottom
        price = price if (price >= top) | (price <= bottom) else barrier
        price = windows.exit_price[i] if label[i] == 0 else price
        exit_price[i] = np.nan if label[i] == NULL_INT else price
    return _FirstTouch(label, ambiguous, time, end_ts, exit_price)


@njit(cache=True, nogil=True)
def _side(bar_open: float, high: float, low: float, upper: float, lower: float) -> tuple[int, bool]:
    """Label and ambiguity of a bar that reaches a barrier. Written without branches: see above."""
    above, below = bar_open >= upper, bar_open <= lower
    both = (high >= upper) & (low <= lower) & (not above) & (not below)
    up = above | ((not below) & (high >= upper) & ((low > lower) | (upper - bar_open < bar_open - lower)))
    return 2 * int(up) - 1, both
