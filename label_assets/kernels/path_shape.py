"""Labels 27–34: how the price came from entry to exit (LABELS.md §4, path_shape).

Belongs here: smoothness, straightness and depth of the way. Does not belong here: barriers and excursions.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows, path_start


class PathShape(NamedTuple):
    """Family `path_shape`, one element for every candle; r_t = C_t/P − 1, σ(r) its population deviation.

    Attributes:
        path_sharpe: forward_return/σ(r), t = 1..n.
        drawdown_depth: min(0, min_t (C_t/max(C_0..C_t) − 1)), ≤ 0.
        time_underwater: Number of t with C_t < P [path bars] (int32).
        path_skewness: Population skewness of r, t = 1..n.
        end_extremum_gap: |P_X − ext|/|P_X − P|, bounded above; ext = highest high if P_X > P, lowest low if P_X < P.
        path_efficiency: |P_X − P|/Σ_t|C_t − C_{t−1}|.
        runup_height: max(0, max_t (C_t/min(C_0..C_t) − 1)), ≥ 0.
        trend_t_value: Slope over its standard error in the OLS of C_t/P on t, t = 0..n, n − 1 degrees of freedom.
    """

    path_sharpe: FloatArray
    drawdown_depth: FloatArray
    time_underwater: IntColumn
    path_skewness: FloatArray
    end_extremum_gap: FloatArray
    path_efficiency: FloatArray
    runup_height: FloatArray
    trend_t_value: FloatArray


class _Walk(NamedTuple):
    """What the first pass over the closes of a window gives."""

    drawdown: float
    runup: float
    lowest_close: float
    underwater: int
    length: float
    mean_return: float  # of r_t, t = 1..n
    mean_relative: float  # of C_t/P, t = 0..n


class _Moments(NamedTuple):
    """What the second pass gives."""

    sigma: float  # of r_t, t = 1..n
    third: float  # central moment of r_t, t = 1..n
    product: float  # Σ (t − n/2)(C_t/P − mean), t = 0..n


def path_shape(path: Candles, windows: Windows, end_extremum_cap: float = 10.0) -> PathShape:
    """Compute labels 27–34 over the path bars t = 1..n, both ends included, C_0 = P.

    NULL unless the window is complete. Also NULL: path_sharpe and path_skewness when σ(r) < 1e-12; path_skewness and
    trend_t_value when n < 3; trend_t_value when the standard error is < 1e-12 (a constant or perfectly straight
    path); end_extremum_gap when |P_X − P| < 1e-12 · P, thus when P_X = P; path_efficiency when the length of the path
    is < 1e-12 · P; runup_height when a price that is divided by is < 1e-12 · P. Moments are central, in two passes.

    Args:
        path: Path bars, in time order.
        windows: Windows made from that path.
        end_extremum_cap: Bound of end_extremum_gap.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, or the windows reach outside the path.

    References:
        Kaufman (1995), Smarter Trading, "efficiency ratio" (path_efficiency); Magdon-Ismail & Atiya (2004), Maximum
        Drawdown, Risk 17(10) (drawdown_depth); López de Prado (2020), Machine Learning for Asset Managers, §5.4
        "trend-scanning" (trend_t_value: there the regression that is chosen among horizons, here of one horizon).
    """
    require_within("end_extremum_cap", end_extremum_cap, 0.0)
    path, windows = checked_candles("path", path), checked_windows(windows)
    start = path_start(path, windows)
    labels: PathShape = _kernel(path, windows, start, float(end_extremum_cap))
    return labels


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(path: Candles, windows: Windows, start: IntArray, cap: float) -> PathShape:
    count = len(start)
    sharpe = np.full(count, np.nan)
    drawdown_depth = np.full(count, np.nan)
    time_underwater = np.full(count, NULL_INT, np.int32)
    skewness = np.full(count, np.nan)
    end_gap = np.full(count, np.nan)
    efficiency = np.full(count, np.nan)
    runup_height = np.full(count, np.nan)
    trend = np.full(count, np.nan)
    buffer = np.empty(windows.path_bars.max() if count > 0 else 0, np.float64)
    for i in range(count):
        if windows.window_status[i] != COMPLETE:
            continue
        entry, end = windows.entry_price[i], windows.exit_price[i]
        bars = slice(start[i], start[i] + windows.path_bars[i])
        relative = buffer[: windows.path_bars[i]]
        walk = _walk(path.close[bars], entry, relative)
        moments = _moments(relative, walk)
        if moments.sigma >= MINIMUM_DENOMINATOR:
            sharpe[i] = (end / entry - 1.0) / moments.sigma
            if len(relative) >= 3:
                skewness[i] = moments.third / (moments.sigma * moments.sigma * moments.sigma)
        if len(relative) >= 3:
            trend[i] = _t_value(relative, walk.mean_relative, moments.product)
        drawdown_depth[i] = walk.drawdown
        time_underwater[i] = walk.underwater
        if walk.lowest_close / entry >= MINIMUM_DENOMINATOR:
            runup_height[i] = walk.runup
        moved = abs(end - entry)
        if moved / entry >= MINIMUM_DENOMINATOR:
            extreme = _highest(path.high[bars]) if end > entry else _lowest(path.low[bars])
            end_gap[i] = min(cap, abs(end - extreme) / moved)
        if walk.length / entry >= MINIMUM_DENOMINATOR:
            efficiency[i] = moved / walk.length
    return PathShape(sharpe, drawdown_depth, time_underwater, skewness, end_gap, efficiency, runup_height, trend)


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(closes: FloatArray, entry: float, relative: FloatArray) -> _Walk:
    """One pass over the closes; also writes C_t/P, t = 1..n, to `relative`."""
    peak = trough = previous = entry
    down, up, length, underwater = 1.0, 1.0, 0.0, 0  # down, up: extreme C_t/peak and C_t/trough
    total_return, total_relative = 0.0, 1.0
    for t in range(len(closes)):
        close = closes[t]
        relative[t] = close / entry
        total_return += relative[t] - 1.0
        total_relative += relative[t]
        peak = close if close > peak else peak
        trough = close if close < trough else trough
        below, above = close / peak, close / trough
        down = below if below < down else down
        up = above if above > up else up
        underwater += close < entry
        length += abs(close - previous)
        previous = close
    n = len(closes)
    return _Walk(down - 1.0, up - 1.0, trough, underwater, length, total_return / n, total_relative / (n + 1))


@njit(cache=True, nogil=True)
def _highest(prices: FloatArray) -> float:
    highest: float = prices[0]
    for t in range(1, len(prices)):
        highest = prices[t] if prices[t] > highest else highest
    return highest


@njit(cache=True, nogil=True)
def _lowest(prices: FloatArray) -> float:
    lowest: float = prices[0]
    for t in range(1, len(prices)):
        lowest = prices[t] if prices[t] < lowest else lowest
    return lowest


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(relative: FloatArray, walk: _Walk) -> _Moments:
    n = len(relative)
    middle = n / 2.0
    second, third = 0.0, 0.0
    product = -middle * (1.0 - walk.mean_relative)
    for t in range(n):
        deviation = relative[t] - 1.0 - walk.mean_return
        second += deviation * deviation
        third += deviation * deviation * deviation
        product += (t + 1 - middle) * (relative[t] - walk.mean_relative)
    return _Moments(math.sqrt(second / n), third / n, product)


@njit(cache=True, nogil=True, error_model="numpy")
def _t_value(relative: FloatArray, mean: float, product: float) -> float:
    """Slope over standard error of 1, relative_1..relative_n on t = 0..n; residuals are summed, not differences."""
    n = len(relative)
    middle = n / 2.0
    spread = n * (n + 1.0) * (n + 2.0) / 12.0  # Σ (t − n/2)²
    slope = product / spread
    residual = 1.0 - mean + slope * middle
    squares = residual * residual
    for t in range(n):
        residual = relative[t] - mean - slope * (t + 1 - middle)
        squares += residual * residual
    error = math.sqrt(squares / (n - 1) / spread)
    return slope / error if error >= MINIMUM_DENOMINATOR else math.nan
