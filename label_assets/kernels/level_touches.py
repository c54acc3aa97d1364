"""Labels 12–15: how the path touches the considered levels (LABELS.md §4, level_touches).

Belongs here: contacts and touches until a level breaks. Does not belong here: breaks and what follows (level_breaks).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.active_levels import ConsideredLevels, checked_considered, checked_levels
from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, Index, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_candles
from label_assets.kernels.levels import Levels
from label_assets.kernels.scans import WORD, Mask, count_bits, lowest_bit
from label_assets.kernels.spans import Spans, checked_spans
from label_assets.kernels.windows import COMPLETE, Windows, checked_windows

_NONE, _ONE = np.uint64(0), np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


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


class _Zone(NamedTuple):
    """Contact is between bottom and top; a close beyond `break_at` breaks."""

    bottom: float
    top: float
    break_at: float
    is_support: bool
    touched_at_entry: bool


def level_touches(
    path: Candles, windows: Windows, levels: Levels, considered: ConsideredLevels, spans: Spans | None = None
) -> LevelTouches:
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
        spans: What `path_spans` made of both, where several families are computed; made here if not passed.

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
    labels: LevelTouches = _kernel(path, windows, checked_spans(path, windows, spans), levels, considered)
    return labels


@njit(cache=True, nogil=True)
def _kernel(
    path: Candles, windows: Windows, spans: Spans, levels: Levels, considered: ConsideredLevels
) -> LevelTouches:
    count = len(spans.start)
    table = np.full((6, count), NULL_INT, np.int32)
    contacts = np.empty((windows.path_bars.max() if count > 0 else 0) // WORD + 1, np.uint64)
    high, low, close = path.high, path.low, path.close
    for i in range(count):
        if np.isnan(windows.atr[i]):
            continue
        begin, end = considered.offsets[i], considered.offsets[i + 1]
        table[2, i] = end - begin
        if windows.window_status[i] != COMPLETE:
            continue
        first, n = spans.start[i], windows.path_bars[i]
        highest, lowest = spans.highest[i], spans.lowest[i]
        highest_close, lowest_close = spans.highest_close[i], spans.lowest_close[i]
        words = (n + WORD - 1) // WORD
        for word in range(words):  # a slice would cost atomic counts
            contacts[word] = _NONE
        total, most, soonest, run = 0, 0, n + 1, 0
        for k in range(begin, end):
            zone = _zone(levels, considered, k, windows.entry_price[i])
            if (lowest > zone.top) if zone.is_support else (highest < zone.bottom):
                continue  # no bar comes near: neither contact nor break
            alive = n
            if (lowest_close < zone.break_at) if zone.is_support else (highest_close > zone.break_at):
                alive = _first_break(close, first, zone.break_at, zone.is_support)
            touches, next_touch, run = _follow(high, low, (first, alive), zone, contacts, run)
            total, most = total + touches, max(most, touches)
            soonest = min(soonest, next_touch) if touches > 0 else soonest
        at_level = 0
        for word in range(words):
            at_level += count_bits(contacts[word])
        table[0, i], table[1, i], table[4, i], table[5, i] = total, most, at_level, run
        table[3, i] = soonest if soonest <= n else NULL_INT
    return LevelTouches(table[0], table[1], table[2], table[3], table[4], table[5])


@njit(cache=True, nogil=True, inline="always")
def _zone(levels: Levels, considered: ConsideredLevels, k: int, entry: float) -> _Zone:
    level, is_support = Index(considered.level[Index(k)]), considered.is_support[Index(k)] == 1
    price, touch, beyond = levels.price[level], levels.touch_width[level], levels.break_width[level]
    break_at = price - beyond if is_support else price + beyond
    return _Zone(price - touch, price + touch, break_at, is_support, abs(entry - price) <= touch)


@njit(cache=True, nogil=True, inline="always")
def _first_break(close: FloatArray, first: int, bound: float, below: bool) -> int:
    """Number of bars before the first that closes beyond the bound; one does."""
    bar = first
    if below:
        while close[Index(bar)] >= bound:
            bar += 1
    else:
        while close[Index(bar)] <= bound:
            bar += 1
    return bar - first


@njit(cache=True, nogil=True, inline="always")
def _follow(
    high: FloatArray,
    low: FloatArray,
    span: tuple[int, int],
    zone: _Zone,
    contacts: NDArray[np.uint64],
    longest: int,
) -> tuple[int, int, int]:
    """Touches of a level, first t of one, and `longest` or its own longest run if that is longer.

    Of the bars in `span`, those until the level breaks: first index and number. Adds its contacts to `contacts`.
    """
    first, n = span
    touches, next_touch, run, last = 0, 0, 0, -WORD
    before = _ONE if zone.touched_at_entry else _NONE
    for word in range((n + WORD - 1) // WORD):
        begin, end = word * WORD, min(n, (word + 1) * WORD)
        contact = _meets(high, low, first + begin, end - begin, zone)
        contacts[word] |= contact
        touch = contact & ~((contact << _ONE) | before)
        before = contact >> np.uint64(WORD - 1)
        if touch and touches == 0:
            next_touch = begin + lowest_bit(touch) + 1
        touches += count_bits(touch)
        filled = contact | ((contact << _ONE) & (contact >> _ONE))  # a run is now a row of ones
        while contact:
            t = lowest_bit(contact)
            length = lowest_bit(~(filled >> np.uint64(t)))
            row = (_ALL >> Mask(64 - length)) << np.uint64(t)
            run = (run if begin + t - last <= 2 else 0) + count_bits(contact & row)
            longest, last = max(longest, run), begin + t + length - 1
            contact &= ~row
    return touches, next_touch, longest


@njit(cache=True, nogil=True, inline="always")
def _meets(high: FloatArray, low: FloatArray, first: int, n: int, zone: _Zone) -> Mask:
    """Bit t is set where the range of bar `first` + t meets the zone; n ≤ 32 bars."""
    mask = _NONE
    if first + WORD <= len(high):
        for t in range(WORD):
            bar = Index(first + t)
            mask |= Mask((high[bar] >= zone.bottom) & (low[bar] <= zone.top)) << Mask(t)
        mask &= _ALL >> Mask(64 - n)
    else:
        for t in range(n):
            bar = Index(first + t)
            mask |= Mask((high[bar] >= zone.bottom) & (low[bar] <= zone.top)) << Mask(t)
    return mask
