"""Support and resistance levels and what happens to them (LABELS.md §3).

Belongs here: birth, life and death of a level on the candles of its own granularity. Does not belong here: which
levels matter at an entry (active_levels), and labels.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import (
    checked_array,
    checked_candles,
    require_positive_prices,
    require_time_order,
    require_within,
)

EVENT_TYPES = (
    "NEW_RESISTANCE",
    "NEW_SUPPORT",
    "TOUCH_UP",
    "TOUCH_DOWN",
    "BREAK_RESISTANCE",
    "BREAK_SUPPORT",
    "FLIP_TO_SUPPORT",
    "FLIP_TO_RESISTANCE",
    "DEACTIVATE_UP",
    "DEACTIVATE_DOWN",
)
"""Name of each event code. Of the first four pairs the second is that of a support: code = pair + is_support."""

_NEW, _TOUCH, _BREAK, _FLIP, _DEACTIVATE_UP, _DEACTIVATE_DOWN = 0, 2, 4, 6, 8, 9

ROLES = ("support", "resistance", "none")
"""Name of each role code of labels."""

SUPPORT, RESISTANCE, NO_ROLE = 0, 1, 2


class LevelParameters(NamedTuple):
    """Settings of one granularity. Of touch_atr and touch_share exactly one is not 0, likewise of break_*.

    Attributes:
        lifetime: Candles after its confirmation that a level can live [candles].
        span: k, candles on either side of a pivot [candles].
        touch_atr: Touch width w [ATR at confirmation].
        touch_share: Touch width w as a share of the level's price, below 1.
        break_atr: Break width b [ATR at confirmation].
        break_share: Break width b as a share of the level's price, below 1.
        flip_deadline: A level that was broken this long ago without a flip dies [candles].
    """

    lifetime: int
    span: int = 5
    touch_atr: float = 0.1
    touch_share: float = 0.0
    break_atr: float = 0.25
    break_share: float = 0.0
    flip_deadline: int = 50


class Levels(NamedTuple):
    """One element for every level, in order of confirmation; of two from one candle the resistance is first.

    Attributes:
        pivot: p, index of the candle whose high or low it is (int32).
        confirmation: c = p + span, index of the candle that confirms it (int32).
        is_support: Role at birth: 1 support, 0 resistance (int8).
        price: l [price].
        touch_width: w [price].
        break_width: b [price].
        created_at: close_ts_c [epoch s, UTC].
    """

    pivot: IntColumn
    confirmation: IntColumn
    is_support: NDArray[np.int8]
    price: FloatArray
    touch_width: FloatArray
    break_width: FloatArray
    created_at: IntArray


class LevelEvents(NamedTuple):
    """One element for every event, by time, then level, then order of happening.

    Attributes:
        level: Index of the level (int32).
        candle: j, index of the candle at whose close it happens (int32).
        ts: close_ts_j [epoch s, UTC].
        event_type: Code of EVENT_TYPES (int8).
        penetration: How far that candle's high (resistance) or low (support) went beyond l, for the role before the
            event; of a broken level the role that was broken; 0 at birth, ≥ 0 [share of l].
    """

    level: IntColumn
    candle: IntColumn
    ts: IntArray
    event_type: NDArray[np.int8]
    penetration: FloatArray


class LevelIntervals(NamedTuple):
    """One element for every stretch of a level as active support or resistance, by level, then time.

    Active at time t if valid_from ≤ t < valid_to.

    Attributes:
        level: Index of the level (int32).
        is_support: Role: 1 support, 0 resistance (int8).
        valid_from: Start, included [epoch s, UTC].
        valid_to: End, excluded [epoch s, UTC]; NULL_INT while open at the end of the data.
        touches_before: Touch events of the level before valid_from (int32).
    """

    level: IntColumn
    is_support: NDArray[np.int8]
    valid_from: IntArray
    valid_to: IntArray
    touches_before: IntColumn


class _Zone(NamedTuple):
    """A level with the bounds that candles are compared with."""

    price: float
    touch_low: float
    touch_high: float
    break_low: float
    break_high: float
    is_support: bool  # at birth


class _Bars(NamedTuple):
    """What the life of a level reads of candles."""

    high: FloatArray
    low: FloatArray
    close: FloatArray


class _Log(NamedTuple):
    """Events as they happen, level after level; the candle tells the rest."""

    level: IntColumn
    candle: IntColumn
    event_type: NDArray[np.int8]


def levels(
    candles: Candles, atr: FloatArray, parameters: LevelParameters
) -> tuple[Levels, LevelEvents, LevelIntervals]:
    """Find all levels and follow each through its life.

    Pivot high at p: high_p > all highs of p−k..p−1 and ≥ all of p+1..p+k (of equal highs the first is the pivot);
    pivot low mirrored. A candle is in contact with a level when its range meets [l − w, l + w], ends included; it
    breaks or retests a level by strict comparisons of its close. A level lives through candles c+1..c+lifetime, both
    included; an interval of no length is not written.

    Args:
        candles: n candles of the labelled granularity, with low ≤ open, close ≤ high.
        atr: n average true ranges [price]; NaN (undefined) gives no level at that confirmation.
        parameters: Settings.

    Returns:
        Levels, their events, and the intervals in which they were active.

    Raises:
        ValueError: if arrays differ in length, have another dtype or are not in time order, if prices are not
            positive and finite, or if a parameter is out of its bounds.

    References:
        Osler (2000), Support for Resistance: Technical Analysis and Intraday Exchange Rates, FRBNY Economic Policy
        Review 6(2) (levels as prices at which trends stop); Williams (1995), Trading Chaos, "fractal" (the pivot).
    """
    candles = checked_candles("candles", candles)
    atr = checked_array("atr", atr, "float64", len(candles.ts))
    require_time_order("candles", candles)
    require_positive_prices("candles", candles)
    normal = _checked_parameters(parameters)
    found: Levels = _confirmed(candles, atr, normal)
    log = _lives(_Bars(candles.high, candles.low, candles.close), found, normal)
    return found, _events(candles, found, log), _intervals(candles.close_ts, log)


def _checked_parameters(parameters: LevelParameters) -> LevelParameters:
    for name in ("lifetime", "span", "flip_deadline"):
        require_within(name, getattr(parameters, name), 1)
    for name in ("touch", "break"):
        multiple, share = getattr(parameters, f"{name}_atr"), getattr(parameters, f"{name}_share")
        require_within(f"{name}_atr", multiple, 0.0)
        require_within(f"{name}_share", share, 0.0, math.nextafter(1.0, 0.0))
        if (multiple > 0.0) == (share > 0.0):
            raise ValueError(f"{name}_atr is {multiple}, {name}_share is {share}; exactly one of them must be > 0")
    return LevelParameters(
        int(parameters.lifetime),
        int(parameters.span),
        float(parameters.touch_atr),
        float(parameters.touch_share),
        float(parameters.break_atr),
        float(parameters.break_share),
        int(parameters.flip_deadline),
    )


@njit(cache=True, nogil=True)
def _confirmed(candles: Candles, atr: FloatArray, parameters: LevelParameters) -> Levels:
    span = parameters.span
    most = 2 * len(atr)
    pivot = np.empty(most, np.int32)
    is_support = np.empty(most, np.int8)
    price = np.empty(most, np.float64)
    count = 0
    for p in range(span, len(atr) - span):
        if math.isnan(atr[p + span]):
            continue
        if _is_highest(candles.high, p, span):
            pivot[count], is_support[count], price[count] = p, 0, candles.high[p]
            count += 1
        if _is_lowest(candles.low, p, span):
            pivot[count], is_support[count], price[count] = p, 1, candles.low[p]
            count += 1
    pivot, price = pivot[:count].copy(), price[:count].copy()
    confirmation = np.empty(count, np.int32)
    touch_width = np.empty(count, np.float64)
    break_width = np.empty(count, np.float64)
    created_at = np.empty(count, np.int64)
    for level in range(count):
        c = pivot[level] + span
        by_atr, by_price = atr[c], price[level]
        confirmation[level] = c
        touch_width[level] = parameters.touch_atr * by_atr + parameters.touch_share * by_price  # one of the two is 0
        break_width[level] = parameters.break_atr * by_atr + parameters.break_share * by_price
        created_at[level] = candles.close_ts[c]
    return Levels(pivot, confirmation, is_support[:count].copy(), price, touch_width, break_width, created_at)


@njit(cache=True, nogil=True)
def _is_highest(high: FloatArray, p: int, span: int) -> bool:
    distance = 1
    while distance <= span and high[p - distance] < high[p] >= high[p + distance]:
        distance += 1
    return distance > span


@njit(cache=True, nogil=True)
def _is_lowest(low: FloatArray, p: int, span: int) -> bool:
    distance = 1
    while distance <= span and low[p - distance] > low[p] <= low[p + distance]:
        distance += 1
    return distance > span


@njit(cache=True, nogil=True)
def _lives(bars: _Bars, found: Levels, parameters: LevelParameters) -> _Log:
    """What happens to every level, level after level."""
    room = parameters.lifetime + 2  # birth, at most one event a candle, death: more than one level can write
    size = 12 * len(found.price) + room
    log = _Log(np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int8))
    end = 0
    for level in range(len(found.price)):
        if end + room > size:
            size *= 2
            log = _Log(_sized(log.level, size), _sized(log.candle, size), _sized(log.event_type, size))
        begin = end
        end = _live(bars, _zone(found, level), (found.confirmation[level], parameters), log, begin)
        log.level[begin:end] = level
    return _Log(_sized(log.level, end), _sized(log.candle, end), _sized(log.event_type, end))


@njit(cache=True, nogil=True)
def _live(bars: _Bars, zone: _Zone, life: tuple[int, LevelParameters], log: _Log, position: int) -> int:
    """Write what happens to one level from `position` on; return the next position.

    Names of arrays and plain numbers, no calls with tuples of arrays: a twelfth of the time.
    """
    (c, parameters), (high, low, close) = life, bars
    candle, event_type = log.candle, log.event_type
    is_support, broken_at, last = zone.is_support, -1, min(c + parameters.lifetime, len(close) - 1)
    candle[position], event_type[position] = c, _NEW + is_support
    j = c + 1
    while j <= last:
        if broken_at >= 0:
            overdue = j - broken_at >= parameters.flip_deadline
            code = _after_break(high[j], low[j], close[j], zone, is_support, overdue)
            if _FLIP <= code < _DEACTIVATE_UP:
                is_support, broken_at = not is_support, -1
        else:  # until a candle comes as near as the zone there is neither a touch nor a break
            while j <= last and (low[j] > zone.touch_high if is_support else high[j] < zone.touch_low):
                j += 1
            if j > last:
                break
            code = -1
            if close[j] < zone.break_low if is_support else close[j] > zone.break_high:
                code, broken_at = _BREAK + is_support, j
            elif _in_contact(high[j], low[j], zone) and not _in_contact(high[j - 1], low[j - 1], zone):
                code = _TOUCH + is_support
        if code >= 0:
            position += 1
            candle[position], event_type[position] = j, code
            if code >= _DEACTIVATE_UP:
                return position + 1
        j += 1
    if last == c + parameters.lifetime:
        position += 1
        candle[position] = last
        event_type[position] = _DEACTIVATE_UP if close[last] > zone.price else _DEACTIVATE_DOWN
    return position + 1


@njit(cache=True, nogil=True)
def _zone(found: Levels, level: int) -> _Zone:
    price, touch, beyond = found.price[level], found.touch_width[level], found.break_width[level]
    return _Zone(price, price - touch, price + touch, price - beyond, price + beyond, found.is_support[level] == 1)


@njit(cache=True, nogil=True)
def _in_contact(high: float, low: float, zone: _Zone) -> bool:
    return high >= zone.touch_low and low <= zone.touch_high


@njit(cache=True, nogil=True)
def _after_break(high: float, low: float, close: float, zone: _Zone, was_support: bool, overdue: bool) -> int:
    """Code of what a candle does to a broken level, −1 if nothing."""
    if was_support:
        if close > zone.break_high:
            return _DEACTIVATE_UP
        if high >= zone.touch_low and close < zone.price:
            return _FLIP + 1
        return _DEACTIVATE_DOWN if overdue else -1
    if close < zone.break_low:
        return _DEACTIVATE_DOWN
    if low <= zone.touch_high and close > zone.price:
        return _FLIP
    return _DEACTIVATE_UP if overdue else -1


@njit(cache=True, nogil=True, error_model="numpy")
def _events(candles: Candles, found: Levels, log: _Log) -> LevelEvents:
    """The log with its times and penetrations, in order of time."""
    order = _order(log.candle, len(candles.ts))
    ts = np.empty(len(order), np.int64)
    penetration = np.empty(len(order), np.float64)
    is_support = found.is_support.copy()  # role of each level before the next event
    for event in order:
        level, j, code = log.level[event], log.candle[event], log.event_type[event]
        price = found.price[level]
        beyond = price - candles.low[j] if is_support[level] else candles.high[j] - price
        ts[event] = candles.close_ts[j]
        penetration[event] = beyond / price if beyond > 0.0 and code >= _TOUCH else 0.0
        if _FLIP <= code < _DEACTIVATE_UP:
            is_support[level] = 1 - is_support[level]
    return LevelEvents(log.level[order], log.candle[order], ts[order], log.event_type[order], penetration[order])


@njit(cache=True, nogil=True)
def _order(candle: IntColumn, candle_count: int) -> IntArray:
    """Stable order by candle: counting takes a tenth of the time of a comparison sort."""
    position = np.zeros(candle_count + 1, np.int64)
    for event in range(len(candle)):
        position[candle[event] + 1] += 1
    for j in range(candle_count):
        position[j + 1] += position[j]
    order = np.empty(len(candle), np.int64)
    for event in range(len(candle)):
        order[position[candle[event]]] = event
        position[candle[event]] += 1
    return order


@njit(cache=True, nogil=True)
def _intervals(close_ts: IntArray, log: _Log) -> LevelIntervals:
    """Stretches from birth or flip to break or death."""
    size = len(log.level)
    level = np.empty(size, np.int32)
    is_support = np.empty(size, np.int8)
    valid_from = np.empty(size, np.int64)
    valid_to = np.full(size, NULL_INT, np.int64)
    touches_before = np.empty(size, np.int32)
    count, touches, active = 0, 0, False
    for event in range(size):
        code, ts = log.event_type[event], close_ts[log.candle[event]]
        if code < _TOUCH or _FLIP <= code < _DEACTIVATE_UP:
            if code < _TOUCH:
                count += active  # the last level was active at the end of the data
                touches = 0
            level[count], valid_from[count], touches_before[count] = log.level[event], ts, touches
            is_support[count] = code == _NEW + 1 or code == _FLIP  # a resistance flips to a support
            active = True
        elif code < _BREAK:
            touches += 1
        else:
            if active and ts > valid_from[count]:
                valid_to[count] = ts
                count += 1
            active = False
    count += active
    return LevelIntervals(
        _sized(level, count),
        _sized(is_support, count),
        _sized(valid_from, count),
        _sized(valid_to, count),
        _sized(touches_before, count),
    )


@njit(cache=True, nogil=True)
def _sized(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The same elements in an array of that size: longer, or cut to it."""
    copy = np.empty(size, array.dtype)
    kept = min(size, len(array))
    copy[:kept] = array[:kept]
    return copy
