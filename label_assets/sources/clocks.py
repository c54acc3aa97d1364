"""From stamps of a local clock to UTC: zones, offsets, servers' clocks, clocks that change inside a file.

Belongs here: what a clock is and which instant a local stamp means. Does not belong here: finding out which clock a
file has (`inspection`), reading stamps (`sources.formats`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from label_assets.errors import SettingsError
from label_assets.kernels.arrays import IntArray

_HOUR_S = 3_600
_DAY_S = 86_400
_TABLE_START = int(datetime(1989, 1, 1, tzinfo=UTC).timestamp())
_TABLE_END = int(datetime(2039, 1, 1, tzinfo=UTC).timestamp())

_OFFSET = re.compile(r"(?:UTC)?([+-])(\d{1,2})(?::([0-5]\d))?")
_MOVED = re.compile(r"(\S+) ([+-]) (\d{1,2}) ?h")
_LONGEST_MOVE_H = 24
_EARLIEST_OFFSET_S, _LATEST_OFFSET_S = -12 * _HOUR_S, 14 * _HOUR_S
# Zones whose offsets depend on the machine, or count leap seconds.
_NOT_A_CLOCK = re.compile(r"localtime|posixrules|Factory|(posix|right)/.*")

# A file of which more steps than this run against its main direction is taken as unsorted.
_UNSORTED_SHARE = 0.25
_NEVER = np.iinfo(np.int64).max

_ALLOWED = (
    "'UTC', an IANA zone ('America/New_York'), an offset from -12:00 to +14:00 ('+02:00', 'UTC+2', '-05:00'), a zone "
    "moved by whole hours ('America/New_York + 7 h'), or a list of pieces, each with a clock and, but for the last, "
    "`until`: the local time on its own clock at which the next begins ('2019-10-27T20:00')"
)


@dataclass(frozen=True)
class Clock:
    """A clock: its offset from UTC, instant by instant.

    Attributes:
        name: As declared.
        starts: Instants [epoch s, UTC] from which each offset holds, increasing; the first lies before 1990.
        offsets_s: What is added to UTC to get local time from that instant on [s].
    """

    name: str
    starts: tuple[int, ...]
    offsets_s: tuple[int, ...]


class UtcStamps(NamedTuple):
    """Instants of local stamps; one element a stamp.

    Attributes:
        ts: Instant [epoch s, UTC]; any value where `is_missing`.
        is_missing: The local time does not exist: clocks were put forward over it.
        is_repeated: The local time occurs twice, and its place in the file decided which one it is.
    """

    ts: IntArray
    is_missing: NDArray[np.bool_]
    is_repeated: NDArray[np.bool_]


_Steps = tuple[tuple[int, ...], tuple[int, ...]]


def parse_clock(declared: str | Sequence[tuple[str, str | None]]) -> Clock:
    """Read a declared clock: one text, or pieces (clock, local time at which the next piece begins).

    An `until` that occurs twice on its piece's clock means its first occurrence, one that does not exist the instant
    that the old offset gives (as in LABELS.md §1).

    Raises:
        SettingsError: for anything that is no clock; for pieces that are empty, or of which a change falls so close to
            another one that a local time would occur three times.
    """
    if isinstance(declared, str):
        return Clock(declared, *_steps(declared))
    return _joined_pieces(declared)


def to_utc(local_s: IntArray, clock: Clock) -> UtcStamps:
    """The instants of local stamps, in the order of the file.

    A local time that clocks were put forward over is missing. Of one that occurs twice the place in the file decides:
    within the rows of the repeated interval the second occurrence begins where time runs backwards. Where it never
    does, so that there is one copy of the interval, it is the first occurrence if that joins the row before at the
    usual spacing of the file, the second if that joins the row after (tie: first). Where stamps stand in pairs (hourly
    rows; a file sorted by local time) and in files without order the first of equal stamps is the first occurrence.
    Descending files are read from their end.

    Args:
        local_s: Local stamps [s], as if they were UTC, in the order of the file, rows without a stamp left out.
        clock: The clock that they were read from.

    Returns:
        Arrays of the length of `local_s`. Stamps before 1989 have the clock's first offset, later than 2038 its last.
    """
    starts, offsets = np.array(clock.starts, np.int64), np.array(clock.offsets_s, np.int64)
    local_starts, local_ends = starts + offsets, np.append(starts[1:] + offsets[:-1], _NEVER)
    local_starts[0] = -_NEVER
    # The first step that ends after a stamp, and the last that starts at or before it: its only possible instants,
    # because no two changes of a clock are so close that three steps have a local time in common.
    first = np.searchsorted(np.maximum.accumulate(local_ends), local_s, side="right")
    last = np.searchsorted(np.minimum.accumulate(local_starts[::-1])[::-1], local_s, side="right") - 1
    fits_first, fits_last = local_starts[first] <= local_s, local_s < local_ends[last]
    step = np.where(fits_first, first, last)
    is_repeated = fits_first & fits_last & (first != last)
    if is_repeated.any():
        is_second = _second_occurrences(local_s, is_repeated, first, offsets)
        step[is_second] = last[is_second]
    return UtcStamps(local_s - offsets[step], ~(fits_first | fits_last), is_repeated)


def _steps(declared: str) -> _Steps:
    """Starts and offsets of a clock that is one text."""
    offset = _OFFSET.fullmatch(declared)
    if offset:
        seconds = int(offset[2]) * _HOUR_S + int(offset[3] or 0) * 60
        seconds = -seconds if offset[1] == "-" else seconds
        if not _EARLIEST_OFFSET_S <= seconds <= _LATEST_OFFSET_S:
            raise _refused(declared, f"an offset of {seconds / _HOUR_S:+g} hours")
        return (_TABLE_START,), (seconds,)
    moved = _MOVED.fullmatch(declared)
    if moved:
        hours = int(moved[3])
        if hours > _LONGEST_MOVE_H:
            raise _refused(declared, f"a zone moved by {hours} hours")
        move_s = (-hours if moved[2] == "-" else hours) * _HOUR_S
        starts, offsets = _zone_steps(_zone_name(declared, moved[1]))
        return starts, tuple(offset + move_s for offset in offsets)
    return _zone_steps(_zone_name(declared, declared))


def _zone_name(declared: str, name: str) -> str:
    try:
        # OSError: "America" is a folder of the zone database. ValueError: "../UTC", "/etc/localtime".
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise _refused(declared, f"no time zone {name!r}") from None
    if _NOT_A_CLOCK.fullmatch(name):
        raise _refused(declared, f"{name!r}, which is no place's time")
    return name


@lru_cache(maxsize=64)
def _zone_steps(name: str) -> _Steps:
    """Steps of an IANA zone from 1989 to 2038, to the second: 20 ms.

    Offsets are looked at once a day; no zone changed its clock and back within a day. A day whose ends differ is halved
    until the second of the change is found.
    """
    zone = ZoneInfo(name)

    def offset_s(ts: int) -> int:
        offset = datetime.fromtimestamp(ts, zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    starts, offsets = [_TABLE_START], [offset_s(_TABLE_START)]
    for day in range(_TABLE_START + _DAY_S, _TABLE_END, _DAY_S):
        if (after := offset_s(day)) == offsets[-1]:
            continue
        low, high = day - _DAY_S, day
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if offset_s(middle) == after else (middle, high)
        starts.append(high)
        offsets.append(after)
    return tuple(starts), tuple(offsets)


def _joined_pieces(pieces: Sequence[tuple[str, str | None]]) -> Clock:
    name = ", then ".join(clock if until is None else f"{clock} until {until}" for clock, until in pieces)
    if not pieces or pieces[-1][1] is not None or any(until is None for _, until in pieces[:-1]):
        raise _refused(name, "no pieces" if not pieces else "`until` missing, or given for the last piece")
    starts, offsets = [_TABLE_START], list[int]()
    begin = _TABLE_START
    for clock, until in pieces:
        steps = _steps(clock)
        end = _TABLE_END if until is None else _instant(name, until, Clock(clock, *steps))
        if end <= begin:
            raise _refused(name, f"a piece that ends before it begins: {clock} until {until}")
        for start, next_start, offset in zip(steps[0], (*steps[0][1:], _TABLE_END), steps[1], strict=True):
            if next_start <= begin or start >= end:
                continue
            if offsets and offsets[-1] == offset:
                continue
            if offsets:
                starts.append(max(start, begin))
            offsets.append(offset)
        begin = end
    _check_apart(name, starts, offsets)
    return Clock(name, tuple(starts), tuple(offsets))


def _instant(name: str, until: str, clock: Clock) -> int:
    """The instant of a local time: the first of two, that of the old offset where it does not exist."""
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise _refused(name, f"until {until!r}, which is no local time") from None
    if moment.tzinfo is not None or moment.microsecond:
        raise _refused(name, f"until {until!r}, with an offset or a part of a second")
    local = int(moment.replace(tzinfo=UTC).timestamp())
    if not _TABLE_START < local < _TABLE_END:
        raise _refused(name, f"until {until!r}, outside 1989 to 2038")
    # Before the change that skips the local time, and before the second of two: the first step that ends after it.
    ends = [*(start + offset for start, offset in zip(clock.starts[1:], clock.offsets_s, strict=False)), _NEVER]
    step = next(index for index, end in enumerate(ends) if local < end)
    if local < clock.starts[step] + clock.offsets_s[step]:
        step -= 1
    return local - clock.offsets_s[max(step, 0)]


def _check_apart(name: str, starts: Sequence[int], offsets: Sequence[int]) -> None:
    """Refuse changes so close to each other that one local time would have more than two instants."""
    changes = [(start, new - old) for start, (old, new) in zip(starts[1:], pairwise(offsets), strict=True)]
    for (start, change_s), (next_start, next_change_s) in pairwise(changes):
        needed_s = abs(change_s) + abs(next_change_s)
        if next_start - start < needed_s and min(change_s, next_change_s) < 0:
            moments = [datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%MZ") for ts in (start, next_start)]
            raise _refused(
                name, f"changes at {moments[0]} and {moments[1]}, {needed_s // _HOUR_S} hours or more must lie between"
            )


def _second_occurrences(
    local_s: IntArray, is_repeated: NDArray[np.bool_], first: IntArray, offsets: IntArray
) -> NDArray[np.bool_]:
    """Rows whose repeated local time is the second one.

    Args:
        local_s: Local stamps [s] in the order of the file.
        is_repeated: Stamps with two instants.
        first: Step of each stamp's first instant; that of the second is the next one.
        offsets: Offset of each step [s].
    """
    steps = np.diff(local_s)
    up, down = int(np.count_nonzero(steps > 0)), int(np.count_nonzero(steps < 0))
    is_unsorted = min(up, down) > _UNSORTED_SHARE * max(up + down, 1)
    order = slice(None, None, -1 if down > up and not is_unsorted else 1)
    spacing_s = int(np.median(np.abs(steps[steps != 0]))) if up + down else 0
    stamps, repeated = local_s[order], np.flatnonzero(is_repeated[order])
    is_second = np.zeros(len(local_s), np.bool_)
    seams = first[order][repeated]
    for seam in np.unique(seams):
        rows = repeated[seams == seam]
        if is_unsorted:
            is_second[rows] = _second_of_equal(stamps[rows])
            continue
        width_s = int(offsets[seam] - offsets[seam + 1])
        # Rows that stand together; a file joined from downloads that overlap has several such visits of one interval.
        for visit in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            is_second[visit] = _second_of_visit(stamps, visit, spacing_s, width_s)
    return is_second[order]


def _second_of_visit(stamps: IntArray, visit: IntArray, spacing_s: int, width_s: int) -> NDArray[np.bool_]:
    """Which rows that stand together in a file, all of one repeated interval, are the second occurrence.

    Args:
        stamps: Local stamps of the whole file, ascending as far as possible [s].
        visit: Indices of the rows, consecutive.
        spacing_s: Usual spacing of the file [s].
        width_s: How far the clock was put back [s].
    """
    steps = np.diff(stamps[visit])
    backwards = np.count_nonzero(steps < 0)
    if backwards > 1 and backwards > _UNSORTED_SHARE * len(steps):
        return _second_of_equal(stamps[visit])
    if backwards:
        # More than one: rows out of place, or downloads that overlap. The clock was put back where time falls most.
        return np.arange(len(visit)) > int(np.argmin(steps))
    _, copies = np.unique(stamps[visit], return_counts=True)
    if np.count_nonzero(copies > 1) * 2 > len(copies):
        return _second_of_equal(stamps[visit])
    if spacing_s > width_s and (steps == spacing_s - width_s).any():
        return np.arange(len(visit)) > int(np.argmax(steps == spacing_s - width_s))
    before_s, after_s = _joints(stamps, int(visit[0]), int(visit[-1]), spacing_s)
    return np.full(len(visit), after_s < before_s)


def _joints(stamps: IntArray, begin: int, end: int, spacing_s: int) -> tuple[int, int]:
    """How badly a single copy joins the row before it as first, and the row after it as second occurrence [s].

    The neighbours are on the offsets before and after the change, so that local differences are true ones. One that is
    absent, or on the wrong side in time, joins worst of all.
    """
    before_s = int(stamps[begin] - stamps[begin - 1]) if begin > 0 else 0
    after_s = int(stamps[end + 1] - stamps[end]) if end + 1 < len(stamps) else 0
    return (
        abs(before_s - spacing_s) if before_s > 0 else _NEVER,
        abs(after_s - spacing_s) if after_s > 0 else _NEVER,
    )


def _second_of_equal(stamps: IntArray) -> NDArray[np.bool_]:
    """Of the rows of each stamp the second half, in their order; a stamp that stands alone is the first occurrence."""
    order = np.argsort(stamps, kind="stable")
    _, begins, copies = np.unique(stamps[order], return_index=True, return_counts=True)
    rank = np.arange(len(stamps)) - np.repeat(begins, copies)
    is_second = np.zeros(len(stamps), np.bool_)
    is_second[order] = (rank * 2 >= np.repeat(copies, copies)) & (rank > 0)
    return is_second


def _refused(declared: str, found: str) -> SettingsError:
    return SettingsError(
        asked=f"clock {declared!r}",
        found=found,
        allowed=_ALLOWED,
        action="correct the clock; `label-assets inspect FILE` tells what a file's stamps show",
    )
