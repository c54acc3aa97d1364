"""Labels 11.a: the triple barrier, moved before the nearest level ahead (LABELS.md §4, barriers).

Belongs here: where levels put the barriers. Does not belong here: the first touch, which is that of kernels.barriers.
"""

from typing import NamedTuple

import numpy as np

from label_assets.kernels.active_levels import ConsideredLevels, checked_considered, checked_levels
from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.barriers import _first_touch, _FirstTouch
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles, require_within
from label_assets.kernels.levels import Levels
from label_assets.kernels.spans import Spans, start_of
from label_assets.kernels.windows import Windows, checked_windows

BARRIER_HITS = ("none", "upper", "lower")
"""Name of each code of etb_barrier_hit."""

NO_HIT, UPPER, LOWER = 0, 1, 2


class LevelBarrierWidths(NamedTuple):
    """Settings.

    Attributes:
        barrier_atr: Distance of either barrier from P without levels [ATR].
        ahead_atr: A level nearer to P than this is where the price is, not what lies ahead [ATR].
        margin_atr: Distance of a moved barrier from its level, on the side of P; below ahead_atr [ATR].
    """

    barrier_atr: float = 2.0
    ahead_atr: float = 0.5
    margin_atr: float = 0.1


class LevelBarriers(NamedTuple):
    """Labels 11.a, one element for every candle.

    Attributes:
        enhanced_triple_barrier_label: 1 upper barrier first, −1 lower barrier first, 0 neither until X (int32).
        etb_barrier_hit: Code of BARRIER_HITS (int32).
        etb_time_to_barrier: t of the touch, n if none [path bars] (int32).
        etb_end_ts: Close time of that bar, X if none [epoch s, UTC].
        etb_exit_price: Price at which the barrier, the open beyond it, or X ends the trade [price].
        etb_return: etb_exit_price/P − 1.
        etb_ambiguous: 1 if one bar that opened between the barriers reached both (int32).
        etb_upper: Upper barrier [price]. Known at entry.
        etb_lower: Lower barrier [price]. Known at entry.
        level_adjusted: 1 if a level moved a barrier, otherwise 0 (int32). Known at entry.
        etb_baseline: (P − lower)/(upper − lower), chance of a driftless market without a time limit to reach the
            upper barrier first. Known at entry.
    """

    enhanced_triple_barrier_label: IntColumn
    etb_barrier_hit: IntColumn
    etb_time_to_barrier: IntColumn
    etb_end_ts: IntArray
    etb_exit_price: FloatArray
    etb_return: FloatArray
    etb_ambiguous: IntColumn
    etb_upper: FloatArray
    etb_lower: FloatArray
    level_adjusted: IntColumn
    etb_baseline: FloatArray


def level_barriers(
    path: Candles,
    windows: Windows,
    levels: Levels,
    considered: ConsideredLevels,
    widths: LevelBarrierWidths = LevelBarrierWidths(),  # noqa: B008 - immutable
    spans: Spans | None = None,
) -> LevelBarriers:
    """Compute labels 11.a.

    Upper barrier: P + barrier_atr · ATR, or margin_atr · ATR below the nearest considered resistance at least
    ahead_atr · ATR above P, whichever is lower. Lower barrier: mirrored, with supports. Touches, ties, NULL of the
    first seven fields: as in `barriers.barriers`. The last four are set for every status while ATR is defined.

    Args:
        path: Path bars, with low ≤ open, close ≤ high.
        windows: Windows made from that path.
        levels: Levels.
        considered: Levels considered at each entry.
        widths: Distances.
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if the windows reach outside the path, a
            considered level outside the levels, or a parameter its bounds.

    References:
        López de Prado (2018), Advances in Financial Machine Learning, §3.4 (triple-barrier method); Feller (1968), An
        Introduction to Probability Theory, vol. 1, ch. XIV "gambler's ruin" (the baseline).
    """
    require_within("widths.margin_atr", widths.margin_atr, 0.0)
    require_within("widths.ahead_atr", widths.ahead_atr, widths.margin_atr)
    require_within("widths.barrier_atr", widths.barrier_atr, widths.ahead_atr)
    path, windows, levels = checked_candles("path", path), checked_windows(windows), checked_levels(levels)
    considered = checked_considered(considered, levels, len(windows.entry_ts))
    normal = LevelBarrierWidths(float(widths.barrier_atr), float(widths.ahead_atr), float(widths.margin_atr))
    upper, lower, adjusted, baseline = _place(windows, levels, considered, normal)
    touch = _first_touch(path, windows, start_of(path, windows, spans), upper, lower)
    labels: LevelBarriers = _labels(touch, windows.entry_price, upper, lower, adjusted, baseline)
    return labels


@njit(cache=True, nogil=True, error_model="numpy")
def _labels(
    touch: _FirstTouch,
    entry_price: FloatArray,
    upper: FloatArray,
    lower: FloatArray,
    adjusted: IntColumn,
    baseline: FloatArray,
) -> LevelBarriers:
    hit = np.empty(len(entry_price), np.int32)
    etb_return = np.empty(len(entry_price), np.float64)
    for i in range(len(entry_price)):
        hit[i] = LOWER if touch.label[i] == -1 else touch.label[i]  # 1, 0 and NULL are codes as they are
        etb_return[i] = touch.exit_price[i] / entry_price[i] - 1.0
    return LevelBarriers(
        touch.label,
        hit,
        touch.time,
        touch.end_ts,
        touch.exit_price,
        etb_return,
        touch.ambiguous,
        upper,
        lower,
        adjusted,
        baseline,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _place(
    windows: Windows, levels: Levels, considered: ConsideredLevels, widths: LevelBarrierWidths
) -> tuple[FloatArray, FloatArray, IntColumn, FloatArray]:
    """Upper and lower barrier, whether either moved, and the baseline. upper − lower is at least 2·margin_atr·ATR."""
    count = len(windows.entry_price)
    upper = np.full(count, np.nan)
    lower = np.full(count, np.nan)
    adjusted = np.full(count, NULL_INT, np.int32)
    baseline = np.full(count, np.nan)
    for i in range(count):
        price, atr = windows.entry_price[i], windows.atr[i]
        if np.isnan(atr):
            continue
        resistance, support = np.inf, -np.inf
        for k in range(considered.offsets[i], considered.offsets[i + 1]):
            level = levels.price[considered.level[k]]
            if considered.is_support[k]:
                if support == -np.inf and price - level >= widths.ahead_atr * atr:
                    support = level
            elif resistance == np.inf and level - price >= widths.ahead_atr * atr:
                resistance = level
        top, bottom = price + widths.barrier_atr * atr, price - widths.barrier_atr * atr
        upper[i] = min(top, resistance - widths.margin_atr * atr)
        lower[i] = max(bottom, support + widths.margin_atr * atr)
        adjusted[i] = upper[i] < top or lower[i] > bottom
        baseline[i] = (price - lower[i]) / (upper[i] - lower[i])
    return upper, lower, adjusted, baseline
