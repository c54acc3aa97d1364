"""Labels 9–10: how far the path went for and against a long entry (LABELS.md §4, excursions).

Belongs here: the extremes of the path and when they came. Does not belong here: the way between them (path_shape).
"""

from typing import NamedTuple

import numpy as np

from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, NULL_INT, Candles, FloatArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.scans import bars_before_reaching
from label_assets.kernels.spans import Spans, checked_spans
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows


class Excursions(NamedTuple):
    """Family `excursions`, one element for every candle.

    Attributes:
        mfe: Maximum favorable excursion max(0, max H_t/P − 1), ≥ 0 [share of P].
        time_to_mfe: First t of the highest high [path bars] (int32); NULL if mfe = 0.
        mae: Maximum adverse excursion min(0, min L_t/P − 1), ≤ 0 [share of P].
        time_to_mae: First t of the lowest low [path bars] (int32); NULL if mae = 0.
        profit_factor: min(cap, mfe/|mae|); NULL if |mae| < 1e-12.
    """

    mfe: FloatArray
    time_to_mfe: IntColumn
    mae: FloatArray
    time_to_mae: IntColumn
    profit_factor: FloatArray


def excursions(
    path: Candles, windows: Windows, profit_factor_cap: float = 100.0, spans: Spans | None = None
) -> Excursions:
    """Compute labels 9–10 over the path bars t = 1..n, both ends included.

    Signs are those of a long entry: favorable is up. NULL unless the window is complete. Ties: the first bar of the
    extreme counts.

    Args:
        path: Path bars, in time order.
        windows: Windows made from that path.
        profit_factor_cap: Bound of profit_factor.
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, or the windows reach outside the path.

    References:
        Sweeney (1997), Maximum Adverse Excursion, Wiley.
    """
    require_within("profit_factor_cap", profit_factor_cap, 0.0)
    path, windows = checked_candles("path", path), checked_windows(windows)
    spans = checked_spans(path, windows, spans)
    labels: Excursions = _kernel(path.high, path.low, windows, spans, float(profit_factor_cap))
    return labels


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(high: FloatArray, low: FloatArray, windows: Windows, spans: Spans, cap: float) -> Excursions:
    count = len(spans.start)
    mfe = np.full(count, np.nan)
    time_to_mfe = np.full(count, NULL_INT, np.int32)
    mae = np.full(count, np.nan)
    time_to_mae = np.full(count, NULL_INT, np.int32)
    profit_factor = np.full(count, np.nan)
    for i in range(count):
        if windows.window_status[i] != COMPLETE:
            continue
        entry, highest, lowest = windows.entry_price[i], spans.highest[i], spans.lowest[i]
        first, n = spans.start[i], windows.path_bars[i]
        mfe[i] = max(0.0, highest / entry - 1.0)
        mae[i] = min(0.0, lowest / entry - 1.0)
        if mfe[i] > 0.0:
            time_to_mfe[i] = bars_before_reaching(high, low, first, n, highest, -np.inf) + 1
        if mae[i] < 0.0:
            time_to_mae[i] = bars_before_reaching(high, low, first, n, np.inf, lowest) + 1
        if -mae[i] >= MINIMUM_DENOMINATOR:
            profit_factor[i] = min(cap, mfe[i] / -mae[i])
    return Excursions(mfe, time_to_mfe, mae, time_to_mae, profit_factor)
