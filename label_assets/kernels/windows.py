"""Entry, horizon end and path window of every candle (LABELS.md §2).

Belongs here: where a window begins and ends and whether it can be used. Does not belong here: anything measured
inside a window, which is the families' business.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.atr import average_true_range
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import (
    checked_array,
    checked_candles,
    require_positive_prices,
    require_time_order,
    require_within,
)

WINDOW_STATUS = ("complete", "open", "gap")
"""Name of each status code."""

COMPLETE = 0
OPEN = 1
GAP = 2


class WindowParameters(NamedTuple):
    """Settings of one granularity and horizon.

    Attributes:
        horizon: H, number of next observed candles to the horizon end [candles], 1..100.
        bars_per_bar: Path bars in one candle that has all of them.
        gap_limit_s: Two successive candles that open further apart than this make a window a gap [s].
        minimum_coverage: A window with a smaller coverage is a gap, 0..1.
        atr_period: True ranges in an average true range [candles].
    """

    horizon: int
    bars_per_bar: int
    gap_limit_s: int
    minimum_coverage: float = 0.8
    atr_period: int = 14


class Windows(NamedTuple):
    """Table `path_windows`, one element for every candle of the slice.

    Attributes:
        entry_ts: E = close_ts_i [epoch s, UTC].
        entry_price: P = close_i.
        atr: ATR_i [price]; NaN while undefined.
        horizon_end_ts: X = close_ts_{i+H} [epoch s, UTC]; NULL_INT while candle i+H is not observed.
        exit_price: P_X = close_{i+H}; NaN while candle i+H is not observed.
        path_bars: n, number of path bars (int32).
        coverage: min(1, n / (H · bars per bar)).
        window_status: COMPLETE, OPEN or GAP (int8).
    """

    entry_ts: IntArray
    entry_price: FloatArray
    atr: FloatArray
    horizon_end_ts: IntArray
    exit_price: FloatArray
    path_bars: IntColumn
    coverage: FloatArray
    window_status: NDArray[np.int8]


_WINDOW_DTYPES = {
    "entry_ts": "int64",
    "entry_price": "float64",
    "atr": "float64",
    "horizon_end_ts": "int64",
    "exit_price": "float64",
    "path_bars": "int32",
    "coverage": "float64",
    "window_status": "int8",
}


def path_windows(candles: Candles, path: Candles, parameters: WindowParameters) -> Windows:
    """Make the path window of every candle.

    The path bars of candle i are those with ts ≥ E and close_ts ≤ X (both ends count); while candle i+H is not
    observed, X is replaced by the close_ts of the last candle of the slice, whatever the status. Status, tested in
    this order: gap if two consecutive observed candles among i..min(i+H, last) open more than `gap_limit_s` apart
    (exactly the limit is no gap); open if candle i+H is not observed; gap if n = 0 or coverage < `minimum_coverage`;
    otherwise complete.

    Args:
        candles: Candles of the labelled granularity. The last one is taken for the last one observed, so a slice
            must reach to the end of the data or to candle i+H of the last row that is kept.
        path: Candles of the path granularity that cover the same time.
        parameters: Settings.

    Returns:
        One element for every candle. Every field is set for every status, but for X and P_X (NULL while candle i+H
        is not observed) and atr (NULL while undefined).

    Raises:
        ValueError: if arrays differ in length, have another dtype or are not in time order, if prices are not
            positive and finite, or if a parameter is out of its bounds.

    References:
        The horizon is the vertical barrier of López de Prado (2018), Advances in Financial Machine Learning, §3.4,
        counted in observed candles.
    """
    require_within("horizon", parameters.horizon, 1, 100)
    require_within("bars_per_bar", parameters.bars_per_bar, 1)
    require_within("gap_limit_s", parameters.gap_limit_s, 1)
    require_within("minimum_coverage", parameters.minimum_coverage, 0.0, 1.0)
    candles, path = checked_candles("candles", candles), checked_candles("path", path)
    for name, bars in (("candles", candles), ("path", path)):
        require_time_order(name, bars)
        require_positive_prices(name, bars)
    atr = average_true_range(candles, parameters.atr_period)
    normal = WindowParameters(
        int(parameters.horizon),
        int(parameters.bars_per_bar),
        int(parameters.gap_limit_s),
        float(parameters.minimum_coverage),
        int(parameters.atr_period),
    )
    windows: Windows = _kernel(candles, path.ts, path.close_ts, atr, normal)
    return windows


def path_start(path: Candles, windows: Windows) -> IntArray:
    """Index in `path` of the first path bar of every window: the first with ts ≥ E.

    The path bars of row i are `path_start[i] … path_start[i] + path_bars[i] − 1`.

    Raises:
        ValueError: if a window reaches outside `path`, which then is not the path that it was made from.
    """
    start: IntArray
    start, row = _starts(path.ts, windows.entry_ts, windows.path_bars)
    if row >= 0:
        raise ValueError(
            f"windows.path_bars[{row}] is {windows.path_bars[row]}; it must be >= 0 and "
            f"<= {len(path.ts) - start[row]}, what follows its entry: pass the path that the windows were made from"
        )
    return start


def checked_windows(windows: Windows, length: int | None = None) -> Windows:
    """Check dtypes and lengths; `length` is the number of candles that go with them, if there are any.

    Raises:
        ValueError: if a field has another dtype or length.
    """
    length = len(windows.entry_ts) if length is None else length
    fields = (
        checked_array(f"windows.{field}", getattr(windows, field), dtype, length)
        for field, dtype in _WINDOW_DTYPES.items()
    )
    return Windows(*fields)


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(
    candles: Candles, path_ts: IntArray, path_close_ts: IntArray, atr: FloatArray, parameters: WindowParameters
) -> Windows:
    count, bars, horizon = len(candles.ts), len(path_ts), parameters.horizon
    horizon_end_ts = np.full(count, NULL_INT, np.int64)
    exit_price = np.full(count, np.nan)
    path_bars = np.empty(count, np.int32)
    coverage = np.empty(count, np.float64)
    window_status = np.empty(count, np.int8)
    full = horizon * parameters.bars_per_bar
    gap = _next_gap(candles.ts, parameters.gap_limit_s)
    first = 0  # path bars with ts < E
    last = 0  # path bars with close_ts ≤ X; both only grow with i
    for i in range(count):
        observed = i + horizon < count
        end = candles.close_ts[i + horizon if observed else count - 1]
        while first < bars and path_ts[first] < candles.close_ts[i]:
            first += 1
        while last < bars and path_close_ts[last] <= end:
            last += 1
        n = last - first if last > first else 0
        covered = n / full
        path_bars[i] = n
        coverage[i] = covered if covered < 1.0 else 1.0
        if observed:
            horizon_end_ts[i] = end
            exit_price[i] = candles.close[i + horizon]
        if gap[i] < i + horizon:
            window_status[i] = GAP
        elif not observed:
            window_status[i] = OPEN
        elif n == 0 or coverage[i] < parameters.minimum_coverage:
            window_status[i] = GAP
        else:
            window_status[i] = COMPLETE
    return Windows(
        candles.close_ts.copy(),
        candles.close.copy(),
        atr,
        horizon_end_ts,
        exit_price,
        path_bars,
        coverage,
        window_status,
    )


@njit(cache=True, nogil=True)
def _starts(path_ts: IntArray, entry_ts: IntArray, path_bars: IntColumn) -> tuple[IntArray, int]:
    """What np.searchsorted gives, in a fifth of its time for entries in time order; and the first impossible row."""
    start = np.empty(len(entry_ts), np.int64)
    first, impossible = 0, -1
    for i in range(len(entry_ts)):
        if i > 0 and entry_ts[i] < entry_ts[i - 1]:
            first = 0
        while first < len(path_ts) and path_ts[first] < entry_ts[i]:
            first += 1
        start[i] = first
        if impossible < 0 and not 0 <= path_bars[i] <= len(path_ts) - first:
            impossible = i
    return start, impossible


@njit(cache=True, nogil=True)
def _next_gap(ts: IntArray, limit_s: int) -> IntArray:
    """For every i the smallest j ≥ i of which candle j+1 opens more than limit_s later; a large number if none."""
    gap = np.empty(len(ts), np.int64)
    nearest = np.iinfo(np.int64).max
    for i in range(len(ts) - 1, -1, -1):
        if i + 1 < len(ts) and ts[i + 1] - ts[i] > limit_s:
            nearest = i
        gap[i] = nearest
    return gap
