"""Labels 16–21, 24, 35–37: how the path breaks the considered levels (LABELS.md §4, level_breaks).

Belongs here: breaks, flips, false breaks, depth, and which level comes first. Does not belong here: what happens to a
level until it breaks (level_touches), whose counts are an input.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.active_levels import ConsideredLevels, checked_considered, checked_levels
from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, NULL_INT, Candles, FloatArray, Index, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_array, checked_candles, require_within
from label_assets.kernels.level_touches import LevelTouches
from label_assets.kernels.levels import NO_ROLE, RESISTANCE, SUPPORT, Levels
from label_assets.kernels.scans import bars_before_reaching
from label_assets.kernels.spans import Spans, checked_spans
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows

NEXT_EVENTS = ("none", "touch", "break")
"""Name of each code of next_event_type."""

NO_EVENT, TOUCH, BREAK = 0, 1, 2


class BurstParameters(NamedTuple):
    """Settings of event_burst, of one granularity and horizon.

    Attributes:
        horizon: H of the windows [candles].
        sample: Candles in the reference sample, of which the last is i−H [candles]; W 156.
        minimum: Fewest complete windows with a defined ATR in it; W 30.
    """

    horizon: int
    sample: int = 250
    minimum: int = 50


class LevelBreaks(NamedTuple):
    """Family `level_breaks`, one element for every candle.

    Attributes:
        breakout_occurred: 1 if a considered level breaks, otherwise 0 (int32).
        breakout_side: Role of the first level that breaks, code of levels.ROLES (int32).
        breakout_distance: |C_t − l|/l of that break [share of l]; NULL if none.
        breakout_time: t of that break [path bars] (int32); NULL if none.
        flip_occurred: 1 if a level flips, otherwise 0 (int32).
        flip_count: Levels that are retested after their break before a close back through the zone (int32).
        flip_time: Smallest t of those retests [path bars] (int32); NULL if none.
        level_holds: Of the nearest considered level: 0 if it breaks, 1 if it is touched and never breaks (int32);
            NULL if neither, or no level is considered.
        false_breakout: 1 if a close after the break of a level is back through its whole zone, otherwise 0 (int32).
        next_event_type: Code of NEXT_EVENTS of the first touch or break of any level (int32).
        time_to_next_event: Its t [path bars] (int32); NULL if none.
        event_count: Touches, broken levels and flipped levels (int32).
        event_burst: 1 if event_count is more than two deviations above its mean in the reference sample, otherwise 0
            (int32); NULL with too small a sample.
        max_penetration_depth: How far the path goes beyond a level, at most, ≥ 0 [share of l]; NULL without a
            considered level.
        nearest_level_distance: |l − P|/P of the nearest active level; NULL if none. Known at entry.
        nearest_level_role: Its role, code of levels.ROLES (int8). Known at entry.
        first_level_reached: 1 if the resistance above is reached first, −1 the support below, 0 neither (int32).
        first_level_baseline: (P − S)/(R − S) of those two; NULL unless both exist. Known at entry.
    """

    breakout_occurred: IntColumn
    breakout_side: IntColumn
    breakout_distance: FloatArray
    breakout_time: IntColumn
    flip_occurred: IntColumn
    flip_count: IntColumn
    flip_time: IntColumn
    level_holds: IntColumn
    false_breakout: IntColumn
    next_event_type: IntColumn
    time_to_next_event: IntColumn
    event_count: IntColumn
    event_burst: IntColumn
    max_penetration_depth: FloatArray
    nearest_level_distance: FloatArray
    nearest_level_role: NDArray[np.int8]
    first_level_reached: IntColumn
    first_level_baseline: FloatArray


class _Zone(NamedTuple):
    """A considered level with the bounds that bars are compared with."""

    price: float
    touch_low: float
    touch_high: float
    break_low: float
    break_high: float


class _Broken(NamedTuple):
    """What becomes of a level that breaks: indexes of bars."""

    bar: int
    flip_bar: int  # that after the window if it does not flip
    returned: int


def level_breaks(
    path: Candles,
    windows: Windows,
    levels: Levels,
    considered: ConsideredLevels,
    touches: LevelTouches,
    burst: BurstParameters,
    spans: Spans | None = None,
) -> LevelBreaks:
    """Compute labels 16–21, 24, 35–37 over the path bars t = 1..n, both ends included.

    A level breaks at the first t₁ with C_t > l + b (resistance) or C_t < l − b (support), in its role at the entry.
    After that, until a close beyond the other side of the zone (C_t < l − b, support: C_t > l + b: the false break),
    the first bar that retests it (L_t ≤ l + w and C_t > l, support: H_t ≥ l − w and C_t < l) flips it. The order of
    levels is "nearest": it decides between breaks of one bar. Between a touch and a break of one bar the break counts;
    between R and S reached in one bar the one nearer to its open, tie S.

    NULL unless the window is complete and ATR is defined. Set for every status: nearest_level_*, and, while ATR is
    defined, first_level_baseline.

    Args:
        path: Path bars, with low ≤ open, close ≤ high.
        windows: Windows made from that path, with H + sample candles before the first row that is kept.
        levels: Levels.
        considered: Levels considered at each entry.
        touches: Touches of the same levels on the same path.
        burst: Settings of event_burst.
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if the windows reach outside the path, a
            considered level outside the levels, or a parameter its bounds.

    References:
        Brock, Lakonishok & LeBaron (1992), Simple Technical Trading Rules and the Stochastic Properties of Stock
        Returns, J. Finance 47(5), doi:10.1111/j.1540-6261.1992.tb04681.x, "trading range break" (the break with a
        band).
    """
    require_within("burst.horizon", burst.horizon, 1, 100)
    require_within("burst.sample", burst.sample, 1)
    require_within("burst.minimum", burst.minimum, 1, burst.sample)
    path, windows, levels = checked_candles("path", path), checked_windows(windows), checked_levels(levels)
    count = len(windows.entry_ts)
    considered = checked_considered(considered, levels, count)
    touched = LevelTouches(
        *(checked_array(f"touches.{name}", column, "int32", count) for name, column in touches._asdict().items())
    )
    spans = checked_spans(path, windows, spans)
    labels: LevelBreaks = _kernel(path, windows, spans, levels, considered, touched)
    labels.event_burst[:] = event_bursts(labels.event_count, burst)
    return labels


def event_bursts(event_count: IntColumn, burst: BurstParameters) -> IntColumn:
    """Compute label 24's event_burst from event_count alone; see `level_breaks`.

    Args:
        event_count: Of n windows, NULL where the window is not complete or has no ATR.
        burst: Settings.

    Returns:
        n elements; right for those with horizon + sample windows before them, or with all there are.
    """
    event_count = checked_array("event_count", event_count, "int32", len(event_count))
    bursts: IntColumn = _burst(event_count, int(burst.horizon), int(burst.sample), int(burst.minimum))
    return bursts


@njit(cache=True, nogil=True, error_model="numpy")
def _kernel(
    path: Candles,
    windows: Windows,
    spans: Spans,
    levels: Levels,
    considered: ConsideredLevels,
    touches: LevelTouches,
) -> LevelBreaks:
    labels = _null_labels(len(spans.start))
    _first_levels(labels, path, windows, spans.start, levels, considered)
    _breaks(labels, path, windows, spans, levels, considered)
    _events(labels, touches)
    return labels


@njit(cache=True, nogil=True, error_model="numpy")
def _first_levels(
    labels: LevelBreaks,
    path: Candles,
    windows: Windows,
    start: IntArray,
    levels: Levels,
    considered: ConsideredLevels,
) -> None:
    """Write labels 36 and 37."""
    for i in range(len(start)):
        price = windows.entry_price[i]
        labels.nearest_level_role[i] = considered.nearest_role[i]
        labels.nearest_level_distance[i] = abs(considered.nearest_price[i] - price) / price  # of none NaN
        if math.isnan(windows.atr[i]):
            continue
        resistance, support = np.inf, -np.inf  # the nearest above and below P
        for k in range(considered.offsets[i], considered.offsets[i + 1]):
            level = levels.price[Index(considered.level[Index(k)])]
            is_support = considered.is_support[Index(k)] == 1
            is_first_above = (not is_support) & (level > price) & (resistance == np.inf)
            is_first_below = is_support & (level < price) & (support == -np.inf)
            resistance = level if is_first_above else resistance
            support = level if is_first_below else support
        between = resistance - support
        if between < np.inf and between / price >= MINIMUM_DENOMINATOR:
            labels.first_level_baseline[i] = (price - support) / between
        if windows.window_status[i] != COMPLETE:
            continue
        n = windows.path_bars[i]
        t = bars_before_reaching(path.high, path.low, start[i], n, resistance, support)
        bar = Index(start[i] + min(t, n - 1))
        is_up, is_down = path.high[bar] >= resistance, path.low[bar] <= support
        is_nearer_up = abs(resistance - path.open[bar]) < abs(support - path.open[bar])
        is_up &= is_nearer_up | (not is_down)
        labels.first_level_reached[i] = (1 if is_up else -1) * (t < n)


@njit(cache=True, nogil=True, error_model="numpy")
def _breaks(
    labels: LevelBreaks,
    path: Candles,
    windows: Windows,
    spans: Spans,
    levels: Levels,
    considered: ConsideredLevels,
) -> None:
    """Write labels 16–19 and 35; breaks and flips to event_count."""
    high, low, close = path.high, path.low, path.close
    broken = np.empty(_most(considered.offsets) + 1, np.int64)  # which considered levels break
    for i in range(len(spans.start)):
        if windows.window_status[i] != COMPLETE or math.isnan(windows.atr[i]):
            continue
        price, first = windows.entry_price[i], spans.start[i]
        past = first + windows.path_bars[i]
        begin, end = considered.offsets[i], considered.offsets[i + 1]
        highest, lowest = spans.highest[i], spans.lowest[i]
        highest_close, lowest_close = spans.highest_close[i], spans.lowest_close[i]
        depth, least, breaks = 0.0, np.inf, 0
        for k in range(begin, end):
            level, is_support = Index(considered.level[Index(k)]), considered.is_support[Index(k)] == 1
            of_level, beyond = levels.price[level], levels.break_width[level]
            below, above = of_level - lowest, highest - of_level
            penetration = (below if is_support else above) / of_level
            depth = penetration if penetration > depth else depth
            least = of_level if of_level < least else least
            is_below, is_above = lowest_close < of_level - beyond, highest_close > of_level + beyond
            broken[breaks] = k
            breaks += (is_support & is_below) | ((not is_support) & is_above)
        flips, returned, soonest, soonest_flip, first_broken = 0, 0, past, past, begin
        for row in range(breaks):
            k = broken[row]
            what = _followed(
                high, low, close, first, past, _zone(levels, considered.level[k]), considered.is_support[k] == 1
            )
            flips, returned = flips + (what.flip_bar < past), returned | what.returned
            soonest_flip = min(soonest_flip, what.flip_bar)
            if what.bar < soonest:  # of one bar the first in order, the nearest level
                soonest, first_broken = what.bar, k
        labels.breakout_occurred[i], labels.flip_occurred[i] = breaks > 0, flips > 0
        labels.flip_count[i], labels.false_breakout[i] = flips, returned
        labels.breakout_side[i], labels.event_count[i] = NO_ROLE, breaks + flips
        if end > begin and least / price >= MINIMUM_DENOMINATOR:
            labels.max_penetration_depth[i] = depth
        if breaks > 0:
            of_level = levels.price[considered.level[first_broken]]
            labels.breakout_side[i] = SUPPORT if considered.is_support[first_broken] == 1 else RESISTANCE
            labels.breakout_time[i] = soonest - first + 1
            if of_level / price >= MINIMUM_DENOMINATOR:
                labels.breakout_distance[i] = abs(close[soonest] - of_level) / of_level
        if flips > 0:
            labels.flip_time[i] = soonest_flip - first + 1
        if breaks > 0 and broken[0] == begin:
            labels.level_holds[i] = 0
        elif end > begin:
            level = considered.level[begin]
            before = abs(price - levels.price[level]) <= levels.touch_width[level]
            if _is_touched(high, low, first, past, _zone(levels, level), before):
                labels.level_holds[i] = 1


@njit(cache=True, nogil=True)
def _events(labels: LevelBreaks, touches: LevelTouches) -> None:
    """Write labels 20 and 21 and add touches to event_count."""
    for i in range(len(touches.retouch_count)):
        if labels.breakout_occurred[i] == NULL_INT:
            continue
        time, next_touch = labels.breakout_time[i], touches.next_touch_time[i]
        is_break = (time != NULL_INT) & ((next_touch == NULL_INT) | (time <= next_touch))
        labels.next_event_type[i] = BREAK if is_break else (NO_EVENT if next_touch == NULL_INT else TOUCH)
        labels.time_to_next_event[i] = time if is_break else next_touch
        labels.event_count[i] += touches.retouch_count[i]


@njit(cache=True, nogil=True)
def _most(offsets: IntArray) -> int:
    """Largest number of considered levels of an entry."""
    most = 0
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@njit(cache=True, nogil=True)
def _null_labels(count: int) -> LevelBreaks:
    whole = np.full((13, count), NULL_INT, np.int32)
    real = np.full((4, count), np.nan)
    return LevelBreaks(
        whole[0],
        whole[1],
        real[0],
        whole[2],
        whole[3],
        whole[4],
        whole[5],
        whole[6],
        whole[7],
        whole[8],
        whole[9],
        whole[10],
        whole[11],
        real[1],
        real[2],
        np.empty(count, np.int8),
        whole[12],
        real[3],
    )


@njit(cache=True, nogil=True, inline="always")
def _zone(levels: Levels, level: int) -> _Zone:
    price, touch, beyond = levels.price[level], levels.touch_width[level], levels.break_width[level]
    return _Zone(price, price - touch, price + touch, price - beyond, price + beyond)


@njit(cache=True, nogil=True, inline="always")
def _is_touched(high: FloatArray, low: FloatArray, first: int, past: int, zone: _Zone, before: bool) -> bool:
    """Whether a level that does not break is touched; `before`: it is in contact with P."""
    bar, is_touched = first, False
    while bar < past and not is_touched:
        contact = (high[Index(bar)] >= zone.touch_low) & (low[Index(bar)] <= zone.touch_high)
        is_touched = contact & (not before)
        before = contact
        bar += 1
    return is_touched


@njit(cache=True, nogil=True, inline="always")
def _followed(
    high: FloatArray, low: FloatArray, close: FloatArray, first: int, past: int, zone: _Zone, is_support: bool
) -> _Broken:
    """Follow a level that breaks."""
    bar, flip_bar = first, past
    if is_support:
        while close[Index(bar)] >= zone.break_low:
            bar += 1
        later = bar + 1
        while later < past and close[Index(later)] <= zone.break_high:
            if (flip_bar == past) & (high[Index(later)] >= zone.touch_low) & (close[Index(later)] < zone.price):
                flip_bar = later
            later += 1
    else:
        while close[Index(bar)] <= zone.break_high:
            bar += 1
        later = bar + 1
        while later < past and close[Index(later)] >= zone.break_low:
            if (flip_bar == past) & (low[Index(later)] <= zone.touch_high) & (close[Index(later)] > zone.price):
                flip_bar = later
            later += 1
    return _Broken(bar, flip_bar, int(later < past))


@njit(cache=True, nogil=True)
def _burst(event_count: IntColumn, horizon: int, sample: int, minimum: int) -> IntColumn:
    """Running sums of whole numbers, which are exact: no value depends on where the slice begins."""
    burst = np.full(len(event_count), NULL_INT, np.int32)
    size, total, squares = 0, 0, 0
    for i in range(horizon, len(event_count)):
        entering: int = event_count[i - horizon]
        if entering != NULL_INT:
            size, total, squares = size + 1, total + entering, squares + entering * entering
        leaving: int = event_count[i - horizon - sample] if i - horizon - sample >= 0 else NULL_INT
        if leaving != NULL_INT:
            size, total, squares = size - 1, total - leaving, squares - leaving * leaving
        if size < minimum or event_count[i] == NULL_INT:
            continue
        excess = size * event_count[i] - total
        burst[i] = excess > 0 and excess * excess > 4 * (size * squares - total * total)
    return burst
