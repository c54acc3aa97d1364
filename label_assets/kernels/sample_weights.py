"""Weights for training on overlapping labels (LABELS.md §4, sample_weights).

Belongs here: how many labels share a candle, and what a label is worth then. Does not belong here: the labels.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_array, checked_candles, require_within
from label_assets.kernels.level_barriers import LevelBarriers
from label_assets.kernels.spans import Spans, start_of
from label_assets.kernels.windows import COMPLETE, GAP, Windows, checked_windows


class WeightParameters(NamedTuple):
    """Settings of one granularity and horizon.

    Attributes:
        horizon: H of the windows [candles].
        gap_limit_s: Two successive candles that open further apart than this are a gap [s].
    """

    horizon: int
    gap_limit_s: int


class SampleWeights(NamedTuple):
    """Family `sample_weights`, one element for every candle.

    Attributes:
        concurrency: N_m, labels alive when the last candle of this label's life opens (int32).
        average_uniqueness: Mean of 1/N_j over the life, in (0, 1].
        return_weight: |Σ over the life of ln(close_j/close_{j−1})/N_j|, ≥ 0.
    """

    concurrency: IntColumn
    average_uniqueness: FloatArray
    return_weight: FloatArray


class _Touches(NamedTuple):
    """The barriers of 11.a and when they were touched."""

    end_ts: IntArray
    upper: FloatArray
    lower: FloatArray


def sample_weights(
    candles: Candles,
    path: Candles,
    windows: Windows,
    barriers: LevelBarriers,
    parameters: WeightParameters,
    spans: Spans | None = None,
) -> SampleWeights:
    """Compute the weights.

    The life of label i: candles i+1 .. m, both included, where m is the candle with ts < etb_end_ts ≤ close_ts. N_j:
    rows k in j−H .. j−1 with a defined ATR of which no path bar with close_ts ≤ ts_j has touched a barrier of 11.a,
    whatever the status of their window.

    NULL unless window i is complete with a defined ATR, and where two successive candles within i−H .. i+H (as far
    back as there are candles) open further apart than the limit. return_weight also when a price that is divided by
    is below 1e-12 · P.

    Args:
        candles: n candles that the windows belong to, with H more before the first row that is kept.
        path: Path bars, with low ≤ open, close ≤ high.
        windows: Windows made from both.
        barriers: Labels 11.a of those windows.
        parameters: Settings that the windows were made with.
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

    Returns:
        n elements a field.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if the windows reach outside the path or the
            candles, or if a parameter is out of its bounds.

    References:
        López de Prado (2018), Advances in Financial Machine Learning, §4.3 (concurrency), §4.4 (average uniqueness)
        and §4.10 (weights by return attribution).
    """
    require_within("parameters.horizon", parameters.horizon, 1, 100)
    require_within("parameters.gap_limit_s", parameters.gap_limit_s, 1)
    candles, path = checked_candles("candles", candles), checked_candles("path", path)
    windows = checked_windows(windows, len(candles.ts))
    if (windows.window_status[-parameters.horizon :] == COMPLETE).any():
        raise ValueError(f"horizon is {parameters.horizon}; it must be the horizon that the windows were made with")
    touches = _Touches(
        checked_array("barriers.etb_end_ts", barriers.etb_end_ts, "int64", len(candles.ts)),
        checked_array("barriers.etb_upper", barriers.etb_upper, "float64", len(candles.ts)),
        checked_array("barriers.etb_lower", barriers.etb_lower, "float64", len(candles.ts)),
    )
    normal = WeightParameters(int(parameters.horizon), int(parameters.gap_limit_s))
    alive = _alive(candles, path, windows, start_of(path, windows, spans), touches, normal.horizon)
    weights: SampleWeights = _kernel(candles, windows, touches.end_ts, alive, normal)
    return weights


@njit(cache=True, nogil=True)
def _alive(
    candles: Candles, path: Candles, windows: Windows, start: IntArray, touches: _Touches, horizon: int
) -> IntColumn:
    """N_j of every candle j, in whole numbers from its changes."""
    count = len(candles.ts)
    alive = np.zeros(count + 1, np.int32)
    for k in range(count - 1):
        if math.isnan(windows.atr[k]):
            continue
        end_ts = touches.end_ts[k]
        if windows.window_status[k] == GAP:  # 11.a is NULL there, but the row lives until it is touched
            end_ts = _touch_end(path, start[k], windows.path_bars[k], touches.upper[k], touches.lower[k])
        last = min(k + horizon, count - 1)
        if end_ts != NULL_INT:
            while candles.ts[last] >= end_ts:
                last -= 1
        alive[k + 1] += 1
        alive[last + 1] -= 1
    for j in range(1, count):
        alive[j] += alive[j - 1]
    return alive[:count]


@njit(cache=True, nogil=True)
def _touch_end(path: Candles, first: int, n: int, upper: float, lower: float) -> int:
    """close_ts of the first bar that reaches a barrier, NULL_INT if none. A bar that opens beyond one reaches it."""
    for bar in range(first, first + n):
        if path.high[bar] >= upper or path.low[bar] <= lower:
            end_ts: int = path.close_ts[bar]
            return end_ts
    return NULL_INT


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(
    candles: Candles, windows: Windows, end_ts: IntArray, alive: IntColumn, parameters: WeightParameters
) -> SampleWeights:
    count, horizon = len(alive), parameters.horizon
    concurrency = np.full(count, NULL_INT, np.int32)
    average_uniqueness = np.full(count, np.nan)
    return_weight = np.full(count, np.nan)
    share, attributed = _attributed(candles.close, alive)
    whole = _whole(candles.ts, parameters)
    for i in range(count):
        if windows.window_status[i] != COMPLETE or math.isnan(windows.atr[i]) or not whole[i]:
            continue
        uniqueness, weight, lowest, m = 0.0, 0.0, windows.entry_price[i], i
        while m < i + horizon and candles.close_ts[m] < end_ts[i]:
            lowest = min(lowest, candles.close[m])
            m += 1
            uniqueness += share[m]
            weight += attributed[m]
        if m == i or not candles.ts[m] < end_ts[i] <= candles.close_ts[m]:
            continue
        concurrency[i] = alive[m]
        average_uniqueness[i] = uniqueness / (m - i)
        if lowest / windows.entry_price[i] >= MINIMUM_DENOMINATOR:
            return_weight[i] = abs(weight)
    return SampleWeights(concurrency, average_uniqueness, return_weight)


@njit(cache=True, nogil=True, error_model="numpy")
def _attributed(close: FloatArray, alive: IntColumn) -> tuple[FloatArray, FloatArray]:
    """1/N_j and ln(close_j/close_{j−1})/N_j of every candle: once a candle, as each is in up to H lives."""
    share = np.full(len(close), np.nan)
    attributed = np.full(len(close), np.nan)
    for j in range(1, len(close)):
        if alive[j] > 0:
            share[j] = 1.0 / alive[j]
            attributed[j] = math.log(close[j] / close[j - 1]) / alive[j]
    return share, attributed


@njit(cache=True, nogil=True)
def _whole(ts: IntArray, parameters: WeightParameters) -> NDArray[np.bool_]:
    """Whether no two successive candles within i−H .. i+H open further apart than the limit."""
    whole = np.empty(len(ts), np.bool_)
    gap, next_gap = -parameters.horizon - 1, 0  # last and next candle before a gap
    for i in range(len(ts)):
        begin, end = max(0, i - parameters.horizon), min(len(ts) - 1, i + parameters.horizon)
        while next_gap < end:
            if ts[next_gap + 1] - ts[next_gap] > parameters.gap_limit_s:
                gap = next_gap
            next_gap += 1
        whole[i] = gap < begin
    return whole
