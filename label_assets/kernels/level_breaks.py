"""Labels 16–21, 24, 35–37: how the path breaks the considered levels (LABELS.md §4, level_breaks).

Belongs here: breaks, flips, false breaks, depth, and which level comes first. Does not belong here: what happens to a
level until it breaks (level_touches), whose counts are an input.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from label_assets.kernels.active_levels import ConsideredLevels, checked_considered, checked_levels
from label_assets.kernels.arrays import MINIMUM_DENOMINATOR, NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.checks import checked_array, checked_candles, require_within
from label_assets.kernels.level_touches import LevelTouches
from label_assets.kernels.levels import NO_ROLE, RESISTANCE, SUPPORT, Levels
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows, path_start

NEXT_EVENTS = ("none", "touch", "break")
"""Name of each code of next_event_type."""

NO_EVENT, TOUCH, BREAK = 0, 1, 2

FloatMatrix = NDArray[np.float64]
"""A row for each considered level: price, touch width, break width, 1 for a support or 0 for a resistance."""


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


class _Bars(NamedTuple):
    """The path bars of one window."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray


class _Extremes(NamedTuple):
    """Of one window."""

    highest: float
    lowest: float
    highest_close: float
    lowest_close: float


class _Zone(NamedTuple):
    """A considered level with the bounds that bars are compared with."""

    price: float
    touch_width: float
    touch_low: float
    touch_high: float
    break_low: float
    break_high: float
    is_support: bool


class _Broken(NamedTuple):
    """What becomes of a level that breaks; bars are counted from 0."""

    bar: int
    flip_bar: int  # n if it does not flip
    returned: int


class _Outcome(NamedTuple):
    """What the path does to the considered levels of one entry; bars are counted from 0, n is none."""

    breaks: int
    flips: int
    returned: int
    bar: int
    flip_bar: int
    side: int
    distance: float
    holds: int
    depth: float


def level_breaks(
    path: Candles,
    windows: Windows,
    levels: Levels,
    considered: ConsideredLevels,
    touches: LevelTouches,
    burst: BurstParameters,
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
    labels: LevelBreaks = _kernel(path, windows, path_start(path, windows), levels, considered, touched)
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
    start: IntArray,
    levels: Levels,
    considered: ConsideredLevels,
    touches: LevelTouches,
) -> LevelBreaks:
    labels = _null_labels(len(start))
    zones = np.empty((_most(considered.offsets), 4), np.float64)
    for i in range(len(start)):
        price = windows.entry_price[i]
        labels.nearest_level_role[i] = considered.nearest_role[i]
        if considered.nearest_role[i] != NO_ROLE:
            labels.nearest_level_distance[i] = abs(considered.nearest_price[i] - price) / price
        if math.isnan(windows.atr[i]):
            continue
        begin, end = considered.offsets[i], considered.offsets[i + 1]
        for k in range(begin, end):
            level, row = considered.level[k], k - begin
            zones[row, 0], zones[row, 1] = levels.price[level], levels.touch_width[level]
            zones[row, 2], zones[row, 3] = levels.break_width[level], considered.is_support[k]
        resistance, support = _ahead(zones[: end - begin], price)
        between = resistance - support
        if between < np.inf and between / price >= MINIMUM_DENOMINATOR:
            labels.first_level_baseline[i] = (price - support) / between
        if windows.window_status[i] != COMPLETE:
            continue
        span = slice(start[i], start[i] + windows.path_bars[i])
        bars = _Bars(path.open[span], path.high[span], path.low[span], path.close[span])
        extremes = _extremes(bars.high, bars.low, bars.close)
        reached = extremes.highest >= resistance or extremes.lowest <= support
        labels.first_level_reached[i] = _first_reached(bars, resistance, support) if reached else 0
        outcome = _outcome(bars, extremes, zones[: end - begin], price)
        _write(labels, i, outcome, touches.retouch_count[i], touches.next_touch_time[i])
    return labels


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


@njit(cache=True, nogil=True)
def _ahead(zones: FloatMatrix, price: float) -> tuple[float, float]:
    """Nearest considered resistance above and support below P; infinite where there is none."""
    resistance, support = np.inf, -np.inf
    for k in range(len(zones)):
        level = zones[k, 0]
        if zones[k, 3]:
            if level < price and support == -np.inf:
                support = level
        elif level > price and resistance == np.inf:
            resistance = level
    return resistance, support


@njit(cache=True, nogil=True)
def _extremes(high: FloatArray, low: FloatArray, close: FloatArray) -> _Extremes:
    highest, lowest, highest_close, lowest_close = high[0], low[0], close[0], close[0]
    for t in range(1, len(close)):
        highest = high[t] if high[t] > highest else highest
        lowest = low[t] if low[t] < lowest else lowest
        highest_close = close[t] if close[t] > highest_close else highest_close
        lowest_close = close[t] if close[t] < lowest_close else lowest_close
    return _Extremes(highest, lowest, highest_close, lowest_close)


@njit(cache=True, nogil=True)
def _first_reached(bars: _Bars, resistance: float, support: float) -> int:
    """Side of the one of them that is reached first; one of them is."""
    t = 0
    while bars.high[t] < resistance and bars.low[t] > support:
        t += 1
    if bars.high[t] >= resistance and bars.low[t] <= support:
        return 1 if abs(resistance - bars.open[t]) < abs(support - bars.open[t]) else -1
    return 1 if bars.high[t] >= resistance else -1


@njit(cache=True, nogil=True)
def _zone(zones: FloatMatrix, k: int) -> _Zone:
    price, touch, beyond = zones[k, 0], zones[k, 1], zones[k, 2]
    return _Zone(price, touch, price - touch, price + touch, price - beyond, price + beyond, zones[k, 3] != 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _outcome(bars: _Bars, extremes: _Extremes, zones: FloatMatrix, price: float) -> _Outcome:
    n = len(bars.close)
    breaks, flips, returned, first, first_flip = 0, 0, 0, n, n
    side, distance, holds, depth, divisible = NO_ROLE, np.nan, NULL_INT, 0.0, len(zones) > 0
    for k in range(len(zones)):
        price_k, is_support = zones[k, 0], zones[k, 3]
        beyond = price_k - extremes.lowest if is_support else extremes.highest - price_k
        depth = max(depth, beyond / price_k)
        divisible = divisible and price_k / price >= MINIMUM_DENOMINATOR
        bound = price_k - zones[k, 2] if is_support else price_k + zones[k, 2]
        if (extremes.lowest_close >= bound) if is_support else (extremes.highest_close <= bound):
            if k == 0 and _is_touched(bars, _zone(zones, k), price):
                holds = 1
            continue
        zone = _zone(zones, k)
        broken = _follow_support(bars, zone) if zone.is_support else _follow_resistance(bars, zone)
        breaks, flips, returned = breaks + 1, flips + (broken.flip_bar < n), returned | broken.returned
        first_flip = min(first_flip, broken.flip_bar)
        if broken.bar < first:  # of one bar the first in order, the nearest level
            first, side = broken.bar, SUPPORT if zone.is_support else RESISTANCE
            known = zone.price / price >= MINIMUM_DENOMINATOR
            distance = abs(bars.close[first] - zone.price) / zone.price if known else np.nan
        if k == 0:
            holds = 0
    return _Outcome(breaks, flips, returned, first, first_flip, side, distance, holds, depth if divisible else np.nan)


@njit(cache=True, nogil=True)
def _is_touched(bars: _Bars, zone: _Zone, price: float) -> bool:
    """Whether a level that does not break is touched."""
    before = abs(price - zone.price) <= zone.touch_width
    for t in range(len(bars.high)):
        contact = bars.high[t] >= zone.touch_low and bars.low[t] <= zone.touch_high
        if contact and not before:
            return True
        before = contact
    return False


@njit(cache=True, nogil=True)
def _follow_resistance(bars: _Bars, zone: _Zone) -> _Broken:
    """Follow a resistance that breaks."""
    n, t = len(bars.close), 0
    while bars.close[t] <= zone.break_high:
        t += 1
    flip_bar = n
    for later in range(t + 1, n):
        if bars.close[later] < zone.break_low:
            return _Broken(t, flip_bar, 1)
        if flip_bar == n and bars.low[later] <= zone.touch_high and bars.close[later] > zone.price:
            flip_bar = later
    return _Broken(t, flip_bar, 0)


@njit(cache=True, nogil=True)
def _follow_support(bars: _Bars, zone: _Zone) -> _Broken:
    """Follow a support that breaks."""
    n, t = len(bars.close), 0
    while bars.close[t] >= zone.break_low:
        t += 1
    flip_bar = n
    for later in range(t + 1, n):
        if bars.close[later] > zone.break_high:
            return _Broken(t, flip_bar, 1)
        if flip_bar == n and bars.high[later] >= zone.touch_low and bars.close[later] < zone.price:
            flip_bar = later
    return _Broken(t, flip_bar, 0)


@njit(cache=True, nogil=True)
def _write(labels: LevelBreaks, i: int, outcome: _Outcome, touches: int, next_touch: int) -> None:
    """Write labels 16–21, 24 and 35 of a complete window."""
    breaks, flips = outcome.breaks, outcome.flips
    labels.breakout_occurred[i], labels.flip_occurred[i] = breaks > 0, flips > 0
    labels.breakout_side[i], labels.breakout_distance[i] = outcome.side, outcome.distance
    labels.flip_count[i], labels.false_breakout[i] = flips, outcome.returned
    labels.level_holds[i], labels.max_penetration_depth[i] = outcome.holds, outcome.depth
    labels.event_count[i] = touches + breaks + flips
    labels.next_event_type[i] = NO_EVENT
    time = outcome.bar + 1
    if breaks > 0:
        labels.breakout_time[i] = time
    if flips > 0:
        labels.flip_time[i] = outcome.flip_bar + 1
    if breaks > 0 and (next_touch == NULL_INT or time <= next_touch):
        labels.next_event_type[i], labels.time_to_next_event[i] = BREAK, time
    elif next_touch != NULL_INT:
        labels.next_event_type[i], labels.time_to_next_event[i] = TOUCH, next_touch


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
