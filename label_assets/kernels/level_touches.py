"""Labels 12–15: how the path touches the considered levels (LABELS.md §4, level_touches).

Belongs here: contacts and touches until a level breaks. Does not belong here: breaks and what follows (level_breaks).
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from label_assets.kernels.active_levels import ConsideredLevels, checked_considered, checked_levels
from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.checks import checked_candles
from label_assets.kernels.levels import Levels
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows, path_start

_WORD = 64  # bars in a word of a bit mask

_NONE, _ONE = np.uint64(0), np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_PAIRS, _QUADS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_BYTES, _SUM = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)

Mask = np.uint64


class LevelTouches(NamedTuple):
    """Family `level_touches`, one element for every candle.

    Attributes:
        retouch_count: Touches, all considered levels (int32).
        max_touches_single_level: Most touches of one level (int32).
        levels_considered: Number of considered levels (int32); known at entry.
        next_touch_time: First t with a touch [path bars] (int32); NULL if none.
        time_at_level: Number of t in contact with a level [path bars] (int32).
        consecutive_touch_run: Most contacts in a run of one level's contacts, two successive ones of which are at
            most 2 bars apart (int32).
    """

    retouch_count: IntColumn
    max_touches_single_level: IntColumn
    levels_considered: IntColumn
    next_touch_time: IntColumn
    time_at_level: IntColumn
    consecutive_touch_run: IntColumn


class _Bars(NamedTuple):
    """What is read of path bars."""

    high: FloatArray
    low: FloatArray


class _Zone(NamedTuple):
    """Contact is between bottom and top; a close beyond `break_at` breaks."""

    bottom: float
    top: float
    break_at: float
    is_support: bool
    touched_at_entry: bool


def level_touches(path: Candles, windows: Windows, levels: Levels, considered: ConsideredLevels) -> LevelTouches:
    """Compute labels 12–15 over the path bars t = 1..n, both ends included.

    Contact at t: the range of bar t meets [l − w, l + w], ends included, and no close of bars 1..t is beyond l by
    more than b (in its role at the entry: above for a resistance, below for a support). Touch at t: contact at t and
    none at t − 1, where contact at 0 is |P − l| ≤ w.

    NULL unless the window is complete and ATR is defined; levels_considered is set for every status while ATR is
    defined. Without a touch counts are 0 and next_touch_time is NULL.

    Args:
        path: Path bars, with low ≤ open, close ≤ high.
        windows: Windows made from that path.
        levels: Levels.
        considered: Levels considered at each entry.

    Returns:
        One element a field for every window.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if the windows reach outside the path, or a
            considered level outside the levels.

    References:
        Osler (2000), Support for Resistance, FRBNY Economic Policy Review 6(2), "bounce" (what a touch counts).
    """
    path, windows, levels = checked_candles("path", path), checked_windows(windows), checked_levels(levels)
    considered = checked_considered(considered, levels, len(windows.entry_ts))
    start = path_start(path, windows)
    labels: LevelTouches = _kernel(path, windows, start, levels, considered)
    return labels


@njit(cache=True, nogil=True)
def _kernel(
    path: Candles, windows: Windows, start: IntArray, levels: Levels, considered: ConsideredLevels
) -> LevelTouches:
    count = len(start)
    table = np.full((6, count), NULL_INT, np.int32)
    contacts = np.empty((windows.path_bars.max() if count > 0 else 0) // _WORD + 1, np.uint64)
    bars = _Bars(path.high, path.low)
    for i in range(count):
        if np.isnan(windows.atr[i]):
            continue
        begin, end = considered.offsets[i], considered.offsets[i + 1]
        table[2, i] = end - begin
        if windows.window_status[i] != COMPLETE:
            continue
        first, n = start[i], windows.path_bars[i]
        highest, lowest, highest_close, lowest_close = _extremes(
            path.high[first : first + n], path.low[first : first + n], path.close[first : first + n]
        )
        contacts[:] = 0
        total, most, soonest, run = 0, 0, n + 1, 0
        for k in range(begin, end):
            zone = _zone(levels, considered, k, windows.entry_price[i])
            if (lowest > zone.top) if zone.is_support else (highest < zone.bottom):
                continue  # no bar comes near: neither contact nor break
            alive = n
            if (lowest_close < zone.break_at) if zone.is_support else (highest_close > zone.break_at):
                alive = _first_break(path.close, first, zone.break_at, zone.is_support)
            touches, next_touch, run = _follow(bars, (first, alive), zone, contacts, run)
            total, most = total + touches, max(most, touches)
            soonest = min(soonest, next_touch) if touches > 0 else soonest
        at_level = 0
        for word in range(len(contacts)):
            at_level += _count(contacts[word])
        table[0, i], table[1, i], table[4, i], table[5, i] = total, most, at_level, run
        table[3, i] = soonest if soonest <= n else NULL_INT
    return LevelTouches(table[0], table[1], table[2], table[3], table[4], table[5])


@njit(cache=True, nogil=True)
def _extremes(high: FloatArray, low: FloatArray, close: FloatArray) -> tuple[float, float, float, float]:
    highest, lowest, highest_close, lowest_close = high[0], low[0], close[0], close[0]
    for t in range(1, len(close)):
        highest = high[t] if high[t] > highest else highest
        lowest = low[t] if low[t] < lowest else lowest
        highest_close = close[t] if close[t] > highest_close else highest_close
        lowest_close = close[t] if close[t] < lowest_close else lowest_close
    return highest, lowest, highest_close, lowest_close


@njit(cache=True, nogil=True)
def _zone(levels: Levels, considered: ConsideredLevels, k: int, entry: float) -> _Zone:
    level, is_support = considered.level[k], considered.is_support[k] == 1
    price, touch, beyond = levels.price[level], levels.touch_width[level], levels.break_width[level]
    break_at = price - beyond if is_support else price + beyond
    return _Zone(price - touch, price + touch, break_at, is_support, abs(entry - price) <= touch)


@njit(cache=True, nogil=True)
def _first_break(close: FloatArray, first: int, bound: float, below: bool) -> int:
    """Number of bars before the first that closes beyond the bound; one does."""
    bar = first
    if below:
        while close[bar] >= bound:
            bar += 1
    else:
        while close[bar] <= bound:
            bar += 1
    return bar - first


@njit(cache=True, nogil=True)
def _follow(
    bars: _Bars, span: tuple[int, int], zone: _Zone, contacts: NDArray[np.uint64], longest: int
) -> tuple[int, int, int]:
    """Touches of a level, first t of one, and `longest` or its own longest run if that is longer.

    Of the bars in `span`, those until the level breaks: first index and number. Adds its contacts to `contacts`.
    """
    first, n = span
    touches, next_touch, run, last = 0, 0, 0, -_WORD
    before = _ONE if zone.touched_at_entry else _NONE
    for word in range((n + _WORD - 1) // _WORD):
        begin, end = word * _WORD, min(n, (word + 1) * _WORD)
        contact = _meets(bars.high[first + begin : first + end], bars.low[first + begin : first + end], zone)
        contacts[word] |= contact
        touch = contact & ~((contact << _ONE) | before)
        before = contact >> np.uint64(_WORD - 1)
        if touch and touches == 0:
            next_touch = begin + _lowest(touch) + 1
        touches += _count(touch)
        filled = contact | ((contact << _ONE) & (contact >> _ONE))  # a run is now a row of ones
        while contact:
            t = _lowest(contact)
            length = _lowest(~(filled >> np.uint64(t)))
            row = (_ALL >> np.uint64(_WORD - length)) << np.uint64(t)
            run = (run if begin + t - last <= 2 else 0) + _count(contact & row)
            longest, last = max(longest, run), begin + t + length - 1
            contact &= ~row
    return touches, next_touch, longest


@njit(cache=True, nogil=True)
def _meets(high: FloatArray, low: FloatArray, zone: _Zone) -> Mask:
    """Bit t is set where the range of bar t meets the zone; at most 64 bars."""
    mask = _NONE
    for t in range(len(high)):
        mask |= np.uint64((high[t] >= zone.bottom) & (low[t] <= zone.top)) << np.uint64(t)
    return mask


@njit(cache=True, nogil=True)
def _count(mask: Mask) -> int:
    """Number of set bits; LLVM makes one instruction of it."""
    mask -= (mask >> _ONE) & _PAIRS
    mask = (mask & _QUADS) + ((mask >> np.uint64(2)) & _QUADS)
    mask = (mask + (mask >> np.uint64(4))) & _BYTES
    return int((mask * _SUM) >> np.uint64(56))


@njit(cache=True, nogil=True)
def _lowest(mask: Mask) -> int:
    """Position of the lowest set bit, of which there is one."""
    return int(_count(~mask & (mask - _ONE)))
