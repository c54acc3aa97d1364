"""Where in the path every window lies, and its extremes: what several families begin with.

Belongs here: what is read of a window without asking when it came. Does not belong here: labels.
"""

from typing import NamedTuple

import numpy as np

from label_assets.kernels.arrays import Candles, FloatArray, Index, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_array
from label_assets.kernels.windows import Windows, path_start

_ROOM = 2048  # bars that a block of windows reaches over, at most: what is written of them stays in the nearest caches


class Spans(NamedTuple):
    """One element for every window; prices are NaN where it has no bar.

    Attributes:
        start: Index in the path of its first bar.
        highest: Highest high [price].
        lowest: Lowest low [price].
        highest_close: Highest close [price].
        lowest_close: Lowest close [price].
    """

    start: IntArray
    highest: FloatArray
    lowest: FloatArray
    highest_close: FloatArray
    lowest_close: FloatArray


def path_spans(path: Candles, windows: Windows) -> Spans:
    """Make the spans of windows, once for all families.

    Args:
        path: Path bars.
        windows: Windows made from that path.

    Returns:
        One element for every window.

    Raises:
        ValueError: if a window reaches outside `path`, which then is not the path that it was made from.

    Notes:
        A window of n bars is two stretches of the greatest power of two ≤ n, which may overlap. The extremes of all
        stretches of 2, 4, 8 … bars are made from those of half their length, vectorized.
    """
    spans: Spans = _kernel(path, path_start(path, windows), windows.path_bars)
    return spans


def checked_spans(path: Candles, windows: Windows, spans: Spans | None) -> Spans:
    """Spans that were passed with a path and windows; made if they were not.

    Raises:
        ValueError: if a field has another dtype or length, or a window reaches outside the path.
    """
    if spans is None:
        return path_spans(path, windows)
    count = len(windows.path_bars)
    start = checked_array("spans.start", spans.start, "int64", count)
    if _outside(start, windows.path_bars, len(path.ts)) > 0:
        raise ValueError("spans.start goes outside the path; pass the spans that were made from this path and windows")
    prices = (checked_array(f"spans.{name}", getattr(spans, name), "float64", count) for name in Spans._fields[1:])
    return Spans(start, *prices)


def start_of(path: Candles, windows: Windows, spans: Spans | None) -> IntArray:
    """`start` of spans alone: without spans, their prices are not made for it."""
    return path_start(path, windows) if spans is None else checked_spans(path, windows, spans).start


@njit(cache=True, nogil=True)
def _outside(start: IntArray, path_bars: IntColumn, bars: int) -> int:
    outside = 0
    for i in range(len(start)):
        outside += (start[i] < 0) | (path_bars[i] < 0) | (start[i] + path_bars[i] > bars)
    return outside


@njit(cache=True, nogil=True)
def _kernel(path: Candles, start: IntArray, path_bars: IntColumn) -> Spans:
    count = len(start)
    real = np.full((4, count), np.nan)
    spans = Spans(start, real[0], real[1], real[2], real[3])
    of_bars, wider = np.empty((4, _ROOM), np.float64), np.empty((4, _ROOM), np.float64)
    begin = 0
    while begin < count:
        first, stretch = start[begin], _greatest_power(path_bars[begin])
        end, past = begin, first
        for i in range(begin, count):
            n, bar = path_bars[i], start[i]
            if (n < stretch) | (n >= 2 * stretch) | (bar < first) | (bar + n > first + _ROOM):
                break
            past, end = max(past, bar + n), i + 1
        if end == begin:  # no bar, or more than there is room for
            if path_bars[begin] > 0:
                bars = slice(first, first + path_bars[begin])
                spans.highest[begin], spans.lowest[begin] = path.high[bars].max(), path.low[bars].min()
                spans.highest_close[begin], spans.lowest_close[begin] = path.close[bars].max(), path.close[bars].min()
            begin += 1
            continue
        _copy(path.high[first:past], of_bars[0])
        _copy(path.low[first:past], of_bars[1])
        _copy(path.close[first:past], of_bars[2])
        _copy(path.close[first:past], of_bars[3])
        width = 1
        while width < stretch:
            for side in range(0, 4, 2):
                _higher(of_bars[side], wider[side], width, past - first - width)
                _lower(of_bars[side + 1], wider[side + 1], width, past - first - width)
            of_bars, wider = wider, of_bars
            width *= 2
        _write(spans, path_bars, of_bars, begin, end)
        begin = end
    return spans


@njit(cache=True, nogil=True)
def _greatest_power(n: int) -> int:
    """Greatest power of two ≤ n; 1 for less."""
    power = 1
    while 2 * power <= n:
        power *= 2
    return power


@njit(cache=True, nogil=True)
def _copy(prices: FloatArray, room: FloatArray) -> None:
    for bar in range(len(prices)):
        room[bar] = prices[bar]


@njit(cache=True, nogil=True)
def _higher(prices: FloatArray, wider: FloatArray, width: int, count: int) -> None:
    """Highest of stretches of twice the width, for the first `count` bars."""
    next_prices = prices[width:]
    for bar in range(count):
        wider[bar] = prices[bar] if prices[bar] > next_prices[bar] else next_prices[bar]


@njit(cache=True, nogil=True)
def _lower(prices: FloatArray, wider: FloatArray, width: int, count: int) -> None:
    """Lowest of stretches of twice the width, for the first `count` bars."""
    next_prices = prices[width:]
    for bar in range(count):
        wider[bar] = prices[bar] if prices[bar] < next_prices[bar] else next_prices[bar]


@njit(cache=True, nogil=True)
def _write(spans: Spans, path_bars: IntColumn, stretches: FloatArray, begin: int, end: int) -> None:
    """Write the extremes of a block of windows, from stretches of the greatest power of two that they hold."""
    tops, bottoms, top_closes, bottom_closes = stretches[0], stretches[1], stretches[2], stretches[3]
    first, stretch = spans.start[begin], _greatest_power(path_bars[begin])
    for i in range(begin, end):
        one = Index(spans.start[i] - first)
        two = Index(spans.start[i] - first + path_bars[i] - stretch)
        spans.highest[i] = tops[one] if tops[one] > tops[two] else tops[two]
        spans.lowest[i] = bottoms[one] if bottoms[one] < bottoms[two] else bottoms[two]
        spans.highest_close[i] = top_closes[one] if top_closes[one] > top_closes[two] else top_closes[two]
        spans.lowest_close[i] = bottom_closes[one] if bottom_closes[one] < bottom_closes[two] else bottom_closes[two]
