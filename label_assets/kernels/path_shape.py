"""Labels 27–34: how the price came from entry to exit (LABELS.md §4, path_shape).

Belongs here: smoothness, straightness and depth of the way. Does not belong here: barriers and excursions.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.spans import Spans, checked_spans
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows


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


_LANES = 32
"""Windows of one number of bars, followed side by side. A sum must add bar after bar to be the same to the bit in
every slice, so no single window can be vectorized; 32 of them can, and take half the time."""

(
    _ENTRY,  # P
    _PEAK,
    _TROUGH,
    _DOWN,  # least C_t/peak
    _UP,  # greatest C_t/trough
    _UNDERWATER,
    _LENGTH,
    _MEAN_RETURN,  # of r_t, t = 1..n; its sum before that
    _MEAN_RELATIVE,  # of C_t/P, t = 0..n; its sum before that
    _SECOND,  # Σ of squared deviations of r_t
    _THIRD,
    _PRODUCT,  # Σ (t − n/2)(C_t/P − mean), t = 0..n
    _SLOPE,
    _RESIDUALS,  # Σ of squared residuals of the regression
    _FIELDS,
) = (field * _LANES for field in range(15))
"""Where each field of the state begins: one array, for LLVM vectorizes no loop over so many that might overlap."""


def path_shape(
    path: Candles, windows: Windows, end_extremum_cap: float = 10.0, spans: Spans | None = None
) -> PathShape:
    """Compute labels 27–34 over the path bars t = 1..n, both ends included, C_0 = P.

    NULL unless the window is complete. Also NULL: path_sharpe and path_skewness when σ(r) < 1e-12; path_skewness and
    trend_t_value when n < 3; trend_t_value when the standard error is < 1e-12 (a constant or perfectly straight
    path); end_extremum_gap when |P_X − P| < 1e-12 · P, thus when P_X = P; path_efficiency when the length of the path
    is < 1e-12 · P; runup_height when a price that is divided by is < 1e-12 · P. Moments are central, in two passes.

    Args:
        path: Path bars, in time order.
        windows: Windows made from that path.
        end_extremum_cap: Bound of end_extremum_gap.
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

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
    spans = checked_spans(path, windows, spans)
    labels: PathShape = _kernel(path, windows, spans, float(end_extremum_cap))
    return labels


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(path: Candles, windows: Windows, spans: Spans, cap: float) -> PathShape:
    labels, rows = _null_labels(len(spans.start)), _complete_by_length(windows.window_status, windows.path_bars)
    room = (windows.path_bars[rows[-1]] + 1 if len(rows) > 0 else 0) * _LANES
    closes, relative = np.ones(room), np.ones(room)  # C_t and C_t/P, t = 0..n, of one lane after the other
    state = np.ones(_FIELDS)
    begin = 0
    while begin < len(rows):
        n, end = windows.path_bars[rows[begin]], begin
        while end < min(begin + _LANES, len(rows)) and windows.path_bars[rows[end]] == n:
            row, lane = rows[end], end - begin
            state[_ENTRY + lane] = windows.entry_price[row]
            _spread(path.close[spans.start[row] : spans.start[row] + n], closes[_LANES + lane :])
            end += 1
        _walk(closes, relative, state, n)
        _regress(relative, state, n)
        _write(labels, rows[begin:end], state, windows, spans, cap)
        begin = end
    return labels


@njit(cache=True, nogil=True)
def _complete_by_length(window_status: NDArray[np.int8], path_bars: IntColumn) -> IntArray:
    """Rows of the complete windows by their number of path bars, then time: sorted by counting."""
    position = np.zeros((path_bars.max() if len(path_bars) > 0 else 0) + 2, np.int64)
    for i in range(len(path_bars)):
        if window_status[i] == COMPLETE:
            position[path_bars[i] + 1] += 1
    for n in range(len(position) - 1):
        position[n + 1] += position[n]
    rows = np.empty(position[-1], np.int64)
    for i in range(len(path_bars)):
        if window_status[i] == COMPLETE:
            rows[position[path_bars[i]]] = i
            position[path_bars[i]] += 1
    return rows


@njit(cache=True, nogil=True)
def _null_labels(count: int) -> PathShape:
    real = np.full((7, count), np.nan)
    underwater = np.full(count, NULL_INT, np.int32)
    return PathShape(real[0], real[1], underwater, real[2], real[3], real[4], real[5], real[6])


@njit(cache=True, nogil=True)
def _spread(closes: FloatArray, lane: FloatArray) -> None:
    """Write the closes of a window to every `_LANES`-th element."""
    for t in range(len(closes)):
        lane[t * _LANES] = closes[t]


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(closes: FloatArray, relative: FloatArray, state: FloatArray, n: int) -> None:
    """First pass over the closes; lanes without a window hold some other numbers."""
    for k in range(_LANES):
        entry = state[_ENTRY + k]
        closes[k] = state[_PEAK + k] = state[_TROUGH + k] = entry
        state[_DOWN + k] = state[_UP + k] = state[_MEAN_RELATIVE + k] = 1.0
        state[_UNDERWATER + k] = state[_LENGTH + k] = state[_MEAN_RETURN + k] = 0.0
    for t in range(1, n + 1):
        previous, present = closes[(t - 1) * _LANES : t * _LANES], closes[t * _LANES : (t + 1) * _LANES]
        relatives = relative[t * _LANES : (t + 1) * _LANES]
        for k in range(_LANES):
            close, entry, peak, trough = present[k], state[_ENTRY + k], state[_PEAK + k], state[_TROUGH + k]
            relatives[k] = close / entry
            state[_MEAN_RETURN + k] += relatives[k] - 1.0
            state[_MEAN_RELATIVE + k] += relatives[k]
            peak = close if close > peak else peak
            trough = close if close < trough else trough
            state[_PEAK + k], state[_TROUGH + k] = peak, trough
            below, above = close / peak, close / trough
            state[_DOWN + k] = below if below < state[_DOWN + k] else state[_DOWN + k]
            state[_UP + k] = above if above > state[_UP + k] else state[_UP + k]
            state[_UNDERWATER + k] += 1.0 if close < entry else 0.0
            state[_LENGTH + k] += abs(close - previous[k])
    for k in range(_LANES):
        state[_MEAN_RETURN + k] /= n
        state[_MEAN_RELATIVE + k] /= n + 1


@njit(cache=True, nogil=True, error_model="numpy")
def _regress(relative: FloatArray, state: FloatArray, n: int) -> None:
    """Second pass: moments and slope. Third: residuals, which are summed and not differences."""
    middle = n / 2.0
    for k in range(_LANES):
        state[_SECOND + k] = state[_THIRD + k] = 0.0
        state[_PRODUCT + k] = -middle * (1.0 - state[_MEAN_RELATIVE + k])
    for t in range(1, n + 1):
        relatives = relative[t * _LANES : (t + 1) * _LANES]
        for k in range(_LANES):
            deviation = relatives[k] - 1.0 - state[_MEAN_RETURN + k]
            state[_SECOND + k] += deviation * deviation
            state[_THIRD + k] += deviation * deviation * deviation
            state[_PRODUCT + k] += (t - middle) * (relatives[k] - state[_MEAN_RELATIVE + k])
    for k in range(_LANES):
        state[_SLOPE + k] = state[_PRODUCT + k] / _squared_times(n)
        residual = 1.0 - state[_MEAN_RELATIVE + k] + state[_SLOPE + k] * middle
        state[_RESIDUALS + k] = residual * residual
    for t in range(1, n + 1):
        relatives = relative[t * _LANES : (t + 1) * _LANES]
        for k in range(_LANES):
            residual = relatives[k] - state[_MEAN_RELATIVE + k] - state[_SLOPE + k] * (t - middle)
            state[_RESIDUALS + k] += residual * residual


@njit(cache=True, nogil=True)
def _squared_times(n: int) -> float:
    """Σ (t − n/2)², t = 0..n."""
    return n * (n + 1.0) * (n + 2.0) / 12.0


@njit(cache=True, nogil=True, error_model="numpy")
def _write(
    labels: PathShape,
    rows: IntArray,
    state: FloatArray,
    windows: Windows,
    spans: Spans,
    cap: float,
) -> None:
    """Write the labels of the windows of a block. A call a window would take as long as all of its labels."""
    n = windows.path_bars[rows[0]]
    spread = _squared_times(n)
    for lane in range(len(rows)):
        i = rows[lane]
        entry, end, length = windows.entry_price[i], windows.exit_price[i], state[_LENGTH + lane]
        moved = abs(end - entry)
        sigma = math.sqrt(state[_SECOND + lane] / n)
        if sigma >= MINIMUM_DENOMINATOR:
            labels.path_sharpe[i] = (end / entry - 1.0) / sigma
            if n >= 3:
                labels.path_skewness[i] = state[_THIRD + lane] / n / (sigma * sigma * sigma)
        error = math.sqrt(state[_RESIDUALS + lane] / (n - 1) / spread)
        if n >= 3 and error >= MINIMUM_DENOMINATOR:
            labels.trend_t_value[i] = state[_SLOPE + lane] / error
        labels.drawdown_depth[i] = state[_DOWN + lane] - 1.0
        labels.time_underwater[i] = int(state[_UNDERWATER + lane])
        if state[_TROUGH + lane] / entry >= MINIMUM_DENOMINATOR:
            labels.runup_height[i] = state[_UP + lane] - 1.0
        if moved / entry >= MINIMUM_DENOMINATOR:
            extreme = spans.highest[i] if end > entry else spans.lowest[i]
            labels.end_extremum_gap[i] = min(cap, abs(end - extreme) / moved)
        if length / entry >= MINIMUM_DENOMINATOR:
            labels.path_efficiency[i] = moved / length
