"""Labels 22, 23, 25, 26: how much the market moves after the entry (LABELS.md §4, volatility).

Belongs here: size of movement without direction. Does not belong here: the average true range (atr).
"""

import math
from typing import NamedTuple

import numpy as np

from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, Candles, FloatArray, IntArray
from label_assets.kernels.atr import true_range
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.spans import Spans, start_of
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows


class Volatility(NamedTuple):
    """Family `volatility`, one element for every candle.

    Attributes:
        range_expansion: Widest relative range among candles i+1..i+H over that of candle i, − 1.
        realized_volatility: sqrt(Σ_t ln²(C_t/C_{t−1})) over the path, not annualised.
        volatility_ratio: mean(TR_{i+1..i+H})/ATR_i.
        max_bar_move: max_t |C_t − C_{t−1}|/ATR_i [ATR].
    """

    range_expansion: FloatArray
    realized_volatility: FloatArray
    volatility_ratio: FloatArray
    max_bar_move: FloatArray


def volatility(
    candles: Candles, path: Candles, windows: Windows, horizon: int, spans: Spans | None = None
) -> Volatility:
    """Compute labels 22, 23, 25, 26: candles i+1..i+H and path bars t = 1..n, both ends included, C_0 = P.

    NULL unless the window is complete; volatility_ratio and max_bar_move also while ATR is undefined;
    range_expansion also when candle i has a relative range below 1e-12; either of the first two also when a price
    that is divided by is below 1e-12 · P.

    Args:
        candles: The candles that the windows belong to.
        path: Path bars, in time order.
        windows: Windows made from both.
        horizon: H of the windows [candles].
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if the windows reach outside the path or the
            candles, or if the horizon is not 1..100.

    References:
        Andersen, Bollerslev, Diebold & Labys (2003), Econometrica 71(2), doi:10.1111/1468-0262.00418 (realized
        volatility, here without mean and annualisation).
    """
    require_within("horizon", horizon, 1, 100)
    candles, path = checked_candles("candles", candles), checked_candles("path", path)
    windows = checked_windows(windows, len(candles.ts))
    if (windows.window_status[-horizon:] == COMPLETE).any():
        raise ValueError(f"horizon is {horizon}; it must be the horizon that the windows were made with")
    start = start_of(path, windows, spans)
    relative_range = (candles.high - candles.low) / candles.close
    ahead = _Ahead(candles.close, relative_range, true_range(candles))
    labels: Volatility = _kernel(ahead, path.close, windows, start, int(horizon))
    return labels


class _Ahead(NamedTuple):
    """What is asked of candles i+1..i+H."""

    close: FloatArray
    relative_range: FloatArray
    true_range: FloatArray


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(ahead: _Ahead, path_close: FloatArray, windows: Windows, start: IntArray, horizon: int) -> Volatility:
    count = len(start)
    range_expansion = np.full(count, np.nan)
    realized_volatility = np.full(count, np.nan)
    volatility_ratio = np.full(count, np.nan)
    max_bar_move = np.full(count, np.nan)
    squares = _squared_returns(path_close)
    for i in range(count):
        if windows.window_status[i] != COMPLETE:
            continue
        entry, atr, first, n = windows.entry_price[i], windows.atr[i], start[i], windows.path_bars[i]
        own, after = ahead.relative_range[i], slice(i + 1, i + 1 + horizon)
        widest, lowest = _widest(ahead.relative_range[after], ahead.close[after])
        if own >= MINIMUM_DENOMINATOR and lowest / entry >= MINIMUM_DENOMINATOR:
            range_expansion[i] = widest / own - 1.0
        closes = path_close[first : first + n]
        if _lowest_divisor(closes, entry) / entry >= MINIMUM_DENOMINATOR:
            total = math.log(closes[0] / entry) ** 2
            for bar in range(first + 1, first + n):
                total += squares[bar]
            realized_volatility[i] = math.sqrt(total)
        if not math.isnan(atr):
            volatility_ratio[i] = _mean(ahead.true_range[after]) / atr
            max_bar_move[i] = _largest_move(closes, entry) / atr
    return Volatility(range_expansion, realized_volatility, volatility_ratio, max_bar_move)


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_returns(close: FloatArray) -> FloatArray:
    """ln²(C_t/C_{t−1}) of every bar but the first: once a bar, as each is in H · bars per bar windows."""
    squares = np.full(len(close), np.nan)
    for bar in range(1, len(close)):
        log_return = math.log(close[bar] / close[bar - 1])
        squares[bar] = log_return * log_return
    return squares


@njit(cache=True, nogil=True)
def _widest(relative: FloatArray, close: FloatArray) -> tuple[float, float]:
    """Widest relative range and lowest close."""
    widest, lowest = relative[0], close[0]
    for j in range(1, len(close)):
        widest = relative[j] if relative[j] > widest else widest
        lowest = close[j] if close[j] < lowest else lowest
    return widest, lowest


@njit(cache=True, nogil=True, error_model="numpy")
def _mean(values: FloatArray) -> float:
    total = 0.0
    for j in range(len(values)):
        total += values[j]
    mean: float = total / len(values)
    return mean


@njit(cache=True, nogil=True)
def _lowest_divisor(closes: FloatArray, entry: float) -> float:
    """min C_0..C_{n−1}."""
    lowest = entry
    for t in range(len(closes) - 1):
        lowest = closes[t] if closes[t] < lowest else lowest
    return lowest


@njit(cache=True, nogil=True)
def _largest_move(closes: FloatArray, entry: float) -> float:
    """max_t |C_t − C_{t−1}|."""
    largest: float = abs(closes[0] - entry)
    for t in range(1, len(closes)):
        move = abs(closes[t] - closes[t - 1])
        largest = move if move > largest else largest
    return largest
