"""Which levels stand around an entry (LABELS.md §3: active levels, considered levels, "nearest").

Belongs here: the choice and order of levels at a time. Does not belong here: what the path does with them, which is
the families' business.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray, IntArray, IntColumn
from label_assets.kernels.caching import njit
from label_assets.kernels.checks import checked_array, checked_candles, require_within
from label_assets.kernels.levels import NO_ROLE, RESISTANCE, SUPPORT, LevelIntervals, Levels
from label_assets.kernels.windows import Windows, checked_windows


class Consideration(NamedTuple):
    """Settings.

    Attributes:
        reach_atr: A level further from P than this is not considered [ATR].
        merge_atr: A level this near to a kept one of its role is dropped [ATR].
        most: Levels kept at an entry.
    """

    reach_atr: float = 3.0
    merge_atr: float = 0.1
    most: int = 32


class ConsideredLevels(NamedTuple):
    """Levels around each of n entries. Those considered at entry i are elements offsets[i] … offsets[i+1] − 1.

    Within an entry they are in "nearest" order: |l − P|, then the lower price, then level_id.

    Attributes:
        offsets: n + 1 positions (int64).
        level: Index of the level (int32).
        is_support: Its role at the entry: 1 support, 0 resistance (int8).
        nearest_price: n prices of the nearest active level, considered or not [price]; NaN if none is active.
        nearest_role: n codes of its role: SUPPORT, RESISTANCE, or NO_ROLE if none is active (int8).
    """

    offsets: IntArray
    level: IntColumn
    is_support: NDArray[np.int8]
    nearest_price: FloatArray
    nearest_role: NDArray[np.int8]


class _Active(NamedTuple):
    """The levels active at one time, by price, then level_id; only the first so many elements count."""

    price: FloatArray
    level: IntColumn
    is_support: NDArray[np.int8]


class _Range(NamedTuple):
    """Lowest and highest kept level of a role; going outward one of them is the kept level nearest to the next."""

    lowest: float
    highest: float


class _Sweep(NamedTuple):
    """Intervals in the order in which a sweep through time meets their ends; ts_p of every level."""

    by_start: IntArray
    by_end: IntArray
    valid_to: IntArray
    pivot_ts: IntArray


_LEVEL_DTYPES = {
    "pivot": "int32",
    "confirmation": "int32",
    "is_support": "int8",
    "price": "float64",
    "touch_width": "float64",
    "break_width": "float64",
    "created_at": "int64",
}
_INTERVAL_DTYPES = {
    "level": "int32",
    "is_support": "int8",
    "valid_from": "int64",
    "valid_to": "int64",
    "touches_before": "int32",
}
_SMALLEST_MERGE = 1e-6
"""An ATR is at least 1e-9 · P: a millionth of it is more than what rounding of |l − P| can hide."""

_FOREVER = np.iinfo(np.int64).max


def considered_levels(
    candles: Candles,
    windows: Windows,
    levels: Levels,
    intervals: LevelIntervals,
    consideration: Consideration = Consideration(),  # noqa: B008 - immutable
    first_entry: int = 0,
) -> ConsideredLevels:
    """Choose the levels of every entry.

    Active at E: valid_from ≤ E < valid_to, with the role of that interval. Considered, for a defined ATR: active with
    |l − P| ≤ reach_atr · ATR; going outward, one within merge_atr · ATR (included) of an already kept level of the
    same role is dropped; at most `most` are kept. Known at entry: nothing later than E is read, and the status of a
    window does not matter. Without an ATR no level is considered; the nearest active one needs none.

    Args:
        candles: The candles that levels and windows belong to.
        windows: Windows of n candles.
        levels: Levels found on those candles.
        intervals: Their intervals.
        consideration: Settings.
        first_entry: Entries before this one are not asked for: none of their levels is considered, none is nearest.

    Returns:
        Considered levels of n entries.

    Raises:
        ValueError: if arrays differ in length or have another dtype, if a level or pivot is out of bounds, or if a
            parameter is.
    """
    require_within("consideration.reach_atr", consideration.reach_atr, 0.0)
    require_within("consideration.merge_atr", consideration.merge_atr, _SMALLEST_MERGE)
    require_within("consideration.most", consideration.most, 1)
    candles = checked_candles("candles", candles)
    windows = checked_windows(windows, len(candles.ts))
    levels = checked_levels(levels)
    intervals = LevelIntervals(*_checked_fields("intervals", intervals, _INTERVAL_DTYPES, len(intervals.level)))
    _require_index("levels.pivot", levels.pivot, len(candles.ts))
    _require_index("intervals.level", intervals.level, len(levels.price))
    valid_to = np.where(intervals.valid_to == NULL_INT, _FOREVER, intervals.valid_to)
    if (valid_to <= intervals.valid_from).any():
        row = int(np.argmax(valid_to <= intervals.valid_from))
        raise ValueError(
            f"intervals.valid_to[{row}] is {valid_to[row]}; must be > valid_from {intervals.valid_from[row]}"
        )
    sweep = _Sweep(
        np.argsort(intervals.valid_from),
        np.argsort(valid_to),
        valid_to,
        candles.ts[levels.pivot],
    )
    normal = Consideration(float(consideration.reach_atr), float(consideration.merge_atr), int(consideration.most))
    considered: ConsideredLevels = _kernel(windows, levels, intervals, sweep, normal, int(first_entry))
    return considered


def checked_levels(levels: Levels) -> Levels:
    """Check dtypes and lengths.

    Raises:
        ValueError: if a field has another dtype or length.
    """
    return Levels(*_checked_fields("levels", levels, _LEVEL_DTYPES, len(levels.price)))


def checked_considered(considered: ConsideredLevels, levels: Levels, length: int) -> ConsideredLevels:
    """Check dtypes, lengths and that every index is of one of the levels; `length` is the number of entries.

    Raises:
        ValueError: if a field has another dtype or length, or an index is out of bounds.
    """
    count = len(considered.level)
    offsets = checked_array("considered.offsets", considered.offsets, "int64", length + 1)
    if offsets[0] != 0 or offsets[-1] != count or (offsets[1:] < offsets[:-1]).any():
        raise ValueError(f"considered.offsets go from {offsets[0]} to {offsets[-1]}; must not fall from 0 to {count}")
    level = checked_array("considered.level", considered.level, "int32", count)
    _require_index("considered.level", level, len(levels.price))
    return ConsideredLevels(
        offsets,
        level,
        checked_array("considered.is_support", considered.is_support, "int8", count),
        checked_array("considered.nearest_price", considered.nearest_price, "float64", length),
        checked_array("considered.nearest_role", considered.nearest_role, "int8", length),
    )


def _checked_fields(name: str, arrays: Any, dtypes: dict[str, str], length: int) -> list[NDArray[Any]]:
    return [checked_array(f"{name}.{field}", getattr(arrays, field), dtype, length) for field, dtype in dtypes.items()]


def _require_index(name: str, index: IntColumn, length: int) -> None:
    if len(index) > 0 and (index.min() < 0 or index.max() >= length):
        raise ValueError(f"{name} goes from {index.min()} to {index.max()}; it must be >= 0 and < {length}")


@njit(cache=True, nogil=True)
def _sweep(ts: IntArray, levels: Levels, intervals: LevelIntervals) -> _Sweep:
    """For short slices inside compiled code; numpy sorts long ones in a fraction of the time."""
    valid_to = np.where(intervals.valid_to == NULL_INT, _FOREVER, intervals.valid_to)
    return _Sweep(np.argsort(intervals.valid_from), np.argsort(valid_to), valid_to, ts[levels.pivot])


@njit(cache=True, nogil=True)
def _kernel(
    windows: Windows,
    levels: Levels,
    intervals: LevelIntervals,
    sweep: _Sweep,
    consideration: Consideration,
    first_entry: int,
) -> ConsideredLevels:
    count, stretches = len(windows.entry_ts), len(intervals.level)
    offsets = np.zeros(count + 1, np.int64)
    level = np.empty(8 * count + consideration.most, np.int32)
    is_support = np.empty(8 * count + consideration.most, np.int8)
    nearest_price = np.full(count, np.nan)
    nearest_role = np.full(count, NO_ROLE, np.int8)
    active = _Active(np.empty(stretches, np.float64), np.empty(stretches, np.int32), np.empty(stretches, np.int8))
    kept = np.empty(consideration.most, np.int64)
    size, start, end = 0, 0, 0
    for i in range(count):
        entry_ts, price, atr = windows.entry_ts[i], windows.entry_price[i], windows.atr[i]
        while start < stretches and intervals.valid_from[sweep.by_start[start]] <= entry_ts:
            size = _insert(active, size, levels.price, intervals, sweep.by_start[start], sweep.pivot_ts)
            start += 1
        while end < stretches and sweep.valid_to[sweep.by_end[end]] <= entry_ts:
            size = _remove(active, size, levels.price, intervals, sweep.by_end[end])
            end += 1
        if i < first_entry:
            continue
        above = _first_above(active.price[:size], price)
        if size > 0:
            nearest = _nearest(active.price[:size], above, price)
            nearest_price[i] = active.price[nearest]
            nearest_role[i] = SUPPORT if active.is_support[nearest] else RESISTANCE
        begin = offsets[i]
        found = _choose(active, size, above, (price, atr), consideration, kept)
        if begin + found > len(level):
            level, is_support = _longer(level, 2 * len(level)), _longer(is_support, 2 * len(level))
        for k in range(found):
            level[begin + k], is_support[begin + k] = active.level[kept[k]], active.is_support[kept[k]]
        offsets[i + 1] = begin + found
    total = offsets[count]
    return ConsideredLevels(offsets, level[:total].copy(), is_support[:total].copy(), nearest_price, nearest_role)


@njit(cache=True, nogil=True)
def _first_above(prices: FloatArray, price: float) -> int:
    """Index of the first of the sorted prices that is greater, their number if none."""
    low, high = 0, len(prices)
    while low < high:
        middle = (low + high) // 2
        if prices[middle] > price:
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True, nogil=True)
def _tie_begin(prices: FloatArray, below: int, price: float) -> int:
    """First of the elements up to `below` that are as far below the price; rounding can make different prices so."""
    begin, distance = below, price - prices[below]
    while begin > 0 and price - prices[begin - 1] == distance:
        begin -= 1
    return begin


@njit(cache=True, nogil=True)
def _nearest(prices: FloatArray, above: int, price: float) -> int:
    if above == len(prices) or (above > 0 and price - prices[above - 1] <= prices[above] - price):
        return _tie_begin(prices, above - 1, price)
    return above


@njit(cache=True, nogil=True)
def _choose(
    active: _Active, size: int, above: int, entry: tuple[float, float], consideration: Consideration, kept: IntArray
) -> int:
    """Write the positions of the considered levels of one entry (P, ATR) to `kept`; return their number.

    Which side is next and what is kept is unpredictable, so values are chosen without branches (a third less time).
    """
    (price, atr), prices, roles = entry, active.price, active.is_support
    reach, merge = consideration.reach_atr * atr, consideration.merge_atr * atr
    supports = resistances = _Range(np.inf, -np.inf)
    below, found = above - 1, 0
    while found < len(kept):
        down = price - prices[below] if below >= 0 else np.inf
        up = prices[above] - price if above < size else np.inf
        if not min(down, up) <= reach:  # nothing left, too far, or no ATR
            break
        is_down = down <= up
        if is_down & (below > 0) & (price - prices[max(below - 1, 0)] == down):
            begin = _tie_begin(prices, below, price)
            for k in range(begin, below + 1):
                is_kept, supports, resistances = _step(prices[k], roles[k] == 1, supports, resistances, merge)
                if is_kept and found < len(kept):
                    kept[found] = k
                    found += 1
            below = begin - 1
        else:
            k = below if is_down else above
            is_kept, supports, resistances = _step(prices[k], roles[k] == 1, supports, resistances, merge)
            kept[found] = k
            found += is_kept
            below, above = below - is_down, above + (not is_down)
    return found


@njit(cache=True, nogil=True)
def _step(
    level: float, is_support: bool, supports: _Range, resistances: _Range, merge: float
) -> tuple[bool, _Range, _Range]:
    """Whether a level is kept, and the kept ranges with it."""
    lowest = supports.lowest if is_support else resistances.lowest
    highest = supports.highest if is_support else resistances.highest
    is_kept = (abs(level - lowest) > merge) & (abs(level - highest) > merge)
    lowest, highest = min(lowest, level), max(highest, level)
    to_supports, to_resistances = is_kept & is_support, is_kept & (not is_support)
    return (
        is_kept,
        _Range(lowest if to_supports else supports.lowest, highest if to_supports else supports.highest),
        _Range(lowest if to_resistances else resistances.lowest, highest if to_resistances else resistances.highest),
    )


@njit(cache=True, nogil=True)
def _insert(
    active: _Active, size: int, prices: FloatArray, intervals: LevelIntervals, interval: int, pivot_ts: IntArray
) -> int:
    level, is_support = intervals.level[interval], intervals.is_support[interval]
    price = prices[level]
    k = size
    while k > 0 and (
        active.price[k - 1] > price
        or (active.price[k - 1] == price and _id_before(level, active.level[k - 1], pivot_ts))
    ):
        active.price[k], active.level[k] = active.price[k - 1], active.level[k - 1]
        active.is_support[k] = active.is_support[k - 1]
        k -= 1
    active.price[k], active.level[k], active.is_support[k] = price, level, is_support
    return size + 1


@njit(cache=True, nogil=True)
def _remove(active: _Active, size: int, prices: FloatArray, intervals: LevelIntervals, interval: int) -> int:
    level, is_support = intervals.level[interval], intervals.is_support[interval]
    k = _first_above(active.price[:size], prices[level]) - 1
    while active.level[k] != level or active.is_support[k] != is_support:
        k -= 1
    for later in range(k, size - 1):
        active.price[later], active.level[later] = active.price[later + 1], active.level[later + 1]
        active.is_support[later] = active.is_support[later + 1]
    return size - 1


@njit(cache=True, nogil=True)
def _id_before(level: int, other: int, pivot_ts: IntArray) -> bool:
    """Whether the text "…:{ts_p}:{R|S}" of one level is less than that of another.

    Among numbers of equal length the order of texts is that of numbers; otherwise the shorter one is compared with
    as many first digits of the longer one, and if they are equal its ":" comes after any digit. Levels of one pivot
    are numbered resistance first, as "R" < "S".
    """
    own, others = pivot_ts[level], pivot_ts[other]
    if own == others:
        return level < other
    own_digits, others_digits = _digits(own), _digits(others)
    while _digits(own) > others_digits:
        own //= 10
    while _digits(others) > own_digits:
        others //= 10
    return own < others or (own == others and own_digits > others_digits)


@njit(cache=True, nogil=True)
def _digits(number: int) -> int:
    count = 1
    while number >= 10:
        number //= 10
        count += 1
    return count


@njit(cache=True, nogil=True)
def _longer(array: NDArray[Any], size: int) -> NDArray[Any]:
    longer = np.empty(size, array.dtype)
    longer[: len(array)] = array
    return longer
