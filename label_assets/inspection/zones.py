"""Which clock the stamps of a file are on, inferred from when its weeks begin and end, with the evidence.

The FX week opens on Sunday 17:00 and closes on Friday 17:00 New York. On the right clock the first bar of a week
contains the open, or begins at most a tolerance after it, and the last bar of a week ends at the close. A candidate is
excluded only by weeks that contradict it and fit a better one; what no week tells apart is reported as equally good.

Belongs here: arrays of stamps in, a finding out. Does not belong here: reading files, words for people
(`inspection.report`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S
from label_assets.inspection.weeks import FX_WEEK_H, HOUR_S, Weeks, weeks_of
from label_assets.kernels.arrays import IntArray
from label_assets.sources.clocks import parse_clock

TOLERANCE_S = 20 * 60
"""How late the first bar of a week may begin after the open, and how early the last one may end before the close."""
EARLY_S = 5 * 60
"""How far the first bar may begin before the open and the last one end after the close [s]; more where a bar is longer:
it contains the open or the close."""
FEWEST_ENDS = 3
"""Fewest opens, and fewest closes, from which anything is concluded."""
LEAST_SHARE = 0.75
"""Share of opens and closes that a clock must fit to be the clock of the file."""
MOST_EQUAL = 8
"""More clocks than this that cannot be told apart are no finding."""
ALWAYS_OPEN_SHARE = 0.2
"""Share of weeks with bars in hours at which FX is closed on whatever clock, above which a market never closes."""
HOURS_KNOWN = (FX_WEEK_H, FX_WEEK_H - 1)
"""Weeks of markets whose hours are known: FX; metals, indices and oil, which open an hour later."""

_ENDS_AGAINST = 3
_WEEKS_AGAINST = 2
_AGAINST_PER_FOR = 4
_PIECE_WEEKS = 4
_PIECE_SHARE = 0.9

_NEW_YORK, _LONDON = "America/New_York", "Europe/London"
_FAMILIAR = (
    "UTC",
    _NEW_YORK,
    f"{_NEW_YORK} + 7 h",
    _LONDON,
    "Europe/Berlin",
    "Europe/Athens",
    "Asia/Tokyo",
    "Australia/Sydney",
)
_EU_ZONES = {0: _LONDON, 1: "Europe/Berlin", 2: "Europe/Athens"}
_OFFSETS_H = range(-12, 15)


class Status(Enum):
    """What the weeks of a file say about its clock."""

    FOUND = "found"
    SEVERAL = "several"
    CHANGES = "the clock changes"
    NOT_ENOUGH = "not enough evidence"


class Score(NamedTuple):
    """How one clock fits: weekly opens and closes that do, of all weeks and of those in which only one of New York and
    London is on summer time, which tell the rules of daylight saving apart."""

    clock: str
    opens: int
    closes: int
    opens_apart: int
    closes_apart: int


class Finding(NamedTuple):
    """What the weeks of a file say about its clock.

    Attributes:
        status: Whether there is one clock, several that cannot be told apart, or too little to say.
        clocks: The clock, or those that cannot be told apart, the most familiar first; those of the two pieces where
            the clock changes.
        reason: Why there is not enough evidence, in words; empty otherwise.
        changed_s: Stamp of the first bar after a change of the clock [s, on the file's clock]; None without one.
        scores: The clocks that fit best and the familiar ones, best first.
        opens: Weekly opens that count.
        closes: Weekly closes that count.
        opens_apart: Those in weeks in which only one of New York and London is on summer time.
        closes_apart: The same for closes.
        weeks: What was looked at.
    """

    status: Status
    clocks: tuple[str, ...]
    reason: str
    changed_s: int | None
    scores: tuple[Score, ...]
    opens: int
    closes: int
    opens_apart: int
    closes_apart: int
    weeks: Weeks


class _Fits(NamedTuple):
    """Which clocks fit which week, (clocks, weeks); false where there is no evidence."""

    clocks: tuple[str, ...]
    opens: NDArray[np.bool_]
    closes: NDArray[np.bool_]


def infer_clock(stamp_s: IntArray, length_s: int) -> Finding:
    """Infer the clock of a file.

    Args:
        stamp_s: Open times of its bars on its own clock, as if they were UTC [s], strictly increasing, without weekend
            filler.
        length_s: Length of a bar [s].
    """
    weeks = weeks_of(stamp_s, length_s)
    fits = _fits(weeks)
    apart = _are_apart(weeks)
    total = fits.opens.sum(axis=1) + fits.closes.sum(axis=1)
    order = np.argsort(-total, kind="stable")  # candidates stand in order of familiarity
    equal = _equals(fits, int(order[0]))
    share = float(total[order[0]]) / max(int(weeks.has_open.sum() + weeks.has_close.sum()), 1)
    reason = (
        _why_nothing(weeks, share, len(equal))
        or _elsewhere(weeks, fits, int(order[0]))
        or _contradiction(fits, int(order[0]), equal)
    )
    pieces = None if _why_nothing(weeks, 1.0, 1) else _pieces(weeks, fits)
    clocks: tuple[str, ...]
    if pieces is not None:
        status, clocks, reason = Status.CHANGES, pieces[:2], ""
    elif reason:
        status, clocks = Status.NOT_ENOUGH, ()
    else:
        status, clocks = (Status.FOUND if len(equal) == 1 else Status.SEVERAL), tuple(fits.clocks[i] for i in equal)
    shown = [*order[:4], *(index for index in order if fits.clocks[index] in (*_FAMILIAR, *clocks))]
    scores = tuple(_score(fits, index, apart) for index in dict.fromkeys(int(index) for index in shown))
    return Finding(
        status,
        clocks,
        reason,
        None if pieces is None else pieces[2],
        scores,
        opens=int(weeks.has_open.sum()),
        closes=int(weeks.has_close.sum()),
        opens_apart=int((weeks.has_open & apart).sum()),
        closes_apart=int((weeks.has_close & apart).sum()),
        weeks=weeks,
    )


def _why_nothing(weeks: Weeks, share: float, equal: int) -> str:
    """Why nothing can be concluded; empty where something can.

    Args:
        weeks: The weeks.
        share: Share of opens and closes that the best clock fits.
        equal: Number of clocks that cannot be told apart.
    """
    opens, closes, hours = int(weeks.has_open.sum()), int(weeks.has_close.sum()), weeks.usual_hours
    obstacles = (
        (
            weeks.length_s > DAY_S,
            "bars are longer than a day: they do not show when the market opens and closes",
        ),
        (
            weeks.closed_share > ALWAYS_OPEN_SHARE,
            f"{weeks.closed_share:.0%} of the weeks have bars between Saturday 12:00 and Sunday 09:00, when FX is "
            "closed on whatever clock: a market that does not close shows none",
        ),
        (
            min(opens, closes) < FEWEST_ENDS,
            f"{opens} weekly opens and {closes} weekly closes; {FEWEST_ENDS} of each are needed",
        ),
        (
            weeks.length_s <= HOUR_S and np.isfinite(hours) and round(hours) not in HOURS_KNOWN,
            f"weeks last {hours:.1f} hours from the first bar to the last, those of FX 120, of metals and indices 119: "
            "the hours of this market are not known here",
        ),
        (
            share < LEAST_SHARE,
            f"the best clock fits {share:.0%} of the weekly opens and closes; {LEAST_SHARE:.0%} are needed",
        ),
        (
            equal > MOST_EQUAL,
            f"{equal} clocks fit equally well: with bars of {weeks.length_s / HOUR_S:g} h the first of a week contains "
            "the open and the last goes beyond the close, whose hours they do not tell",
        ),
    )
    return next((reason for is_so, reason in obstacles if is_so), "")


@lru_cache(maxsize=1)
def candidates() -> tuple[str, ...]:
    """Clocks that are tried, the familiar ones first.

    Fixed offsets from −12 to +14 hours; clocks as far from UTC in winter that change with New York, or with Europe; and
    Sydney.
    """
    fixed = ["UTC" if hours == 0 else "Asia/Tokyo" if hours == 9 else f"{hours:+03d}:00" for hours in _OFFSETS_H]
    american = [_moved(_NEW_YORK, hours + 5) for hours in _OFFSETS_H]
    european = [_EU_ZONES.get(hours) or _moved(_LONDON, hours) for hours in _OFFSETS_H]
    return tuple(dict.fromkeys((*_FAMILIAR, *fixed, *american, *european)))


def _moved(zone: str, hours: int) -> str:
    return zone if hours == 0 else f"{zone} {'+' if hours > 0 else '-'} {abs(hours)} h"


def offsets_at(clock: str, ts: IntArray) -> IntArray:
    """Offset of a clock from UTC at instants [s].

    Args:
        clock: A clock that can be declared.
        ts: Instants [epoch s, UTC].
    """
    parsed = parse_clock(clock)
    offsets = np.array(parsed.offsets_s, np.int64)
    return offsets[np.searchsorted(np.array(parsed.starts), ts, side="right") - 1]


def opens_late_h(weeks: Weeks) -> int:
    """How long after Sunday 17:00 New York the market opens, if it closes with FX: from the usual length of a week [h].

    0 for bars longer than an hour, which contain such an open.
    """
    hours = weeks.usual_hours
    return max(FX_WEEK_H - round(hours), 0) if weeks.length_s <= HOUR_S and np.isfinite(hours) else 0


def _fits(weeks: Weeks) -> _Fits:
    reach_s = max(weeks.length_s, EARLY_S)
    open_ts = weeks.session_ts + opens_late_h(weeks) * HOUR_S
    close_ts = weeks.session_ts + FX_WEEK_H * HOUR_S
    opens, closes = [], []
    for clock in candidates():
        after_open = weeks.first_s - (open_ts + offsets_at(clock, open_ts))
        after_close = weeks.end_s - (close_ts + offsets_at(clock, close_ts))
        opens.append(weeks.has_open & (after_open > -reach_s) & (after_open <= TOLERANCE_S))
        closes.append(weeks.has_close & (after_close >= -TOLERANCE_S) & (after_close < reach_s))
    return _Fits(candidates(), np.array(opens), np.array(closes))


def _are_apart(weeks: Weeks) -> NDArray[np.bool_]:
    """Weeks in which New York and London are not five hours apart."""
    distance = offsets_at(_LONDON, weeks.session_ts) - offsets_at(_NEW_YORK, weeks.session_ts)
    return np.asarray(distance != 5 * HOUR_S)


def _equals(fits: _Fits, best: int) -> list[int]:
    """Clocks that the weeks do not exclude in favour of the best one, itself included, the most familiar first.

    A clock is excluded when at least three opens or closes, of at least two weeks, fit the best one and not it, and at
    most a quarter as many say the opposite.
    """
    against, weeks_against = _advantage(fits, best)
    in_favour = (fits.opens & ~fits.opens[best]).sum(axis=1) + (fits.closes & ~fits.closes[best]).sum(axis=1)
    is_excluded = (
        (against >= _ENDS_AGAINST) & (weeks_against >= _WEEKS_AGAINST) & (against >= _AGAINST_PER_FOR * in_favour)
    )
    return [int(index) for index in np.flatnonzero(~is_excluded)]


def _advantage(fits: _Fits, clock: int) -> tuple[IntArray, IntArray]:
    """Opens and closes that fit one clock and not each of the others, and the weeks that have such."""
    opens, closes = fits.opens[clock] & ~fits.opens, fits.closes[clock] & ~fits.closes
    return opens.sum(axis=1) + closes.sum(axis=1), (opens | closes).sum(axis=1)


def _contradiction(fits: _Fits, best: int, equal: Sequence[int]) -> str:
    """Why clocks that are not excluded are not equally good: some weeks speak for one, others for another."""
    for index in equal:
        (ends, weeks), back = _advantage(fits, index), _advantage(fits, best)
        if ends[best] >= _ENDS_AGAINST and weeks[best] >= _WEEKS_AGAINST:
            one, other = fits.clocks[best], fits.clocks[index]
            return (
                f"the weeks contradict each other: {back[0][index]} opens and closes fit {one} and not {other}, "
                f"{ends[best]} the other way round"
            )
    return ""


def _pieces(weeks: Weeks, fits: _Fits) -> tuple[str, str, int] | None:
    """Two clocks and the stamp from which the second holds, where no single clock fits and two do; else None.

    Opens and closes must both change: where only one does the market's hours changed, not the clock.
    """
    ends = fits.opens.astype(np.int64) + fits.closes
    possible = weeks.has_open.astype(np.int64) + weeks.has_close
    before = np.cumsum(ends, axis=1)
    after = before[:, -1:] - before
    cut = int(np.argmax(before.max(axis=0) + after.max(axis=0)))
    one, two = int(np.argmax(before[:, cut])), int(np.argmax(after[:, cut]))
    if cut + 1 < _PIECE_WEEKS or len(possible) - cut - 1 < _PIECE_WEEKS:
        return None
    head, tail = slice(None, cut + 1), slice(cut + 1, None)
    for best, other, part in ((one, two, head), (two, one, tail)):
        if ends[best, part].sum() < _PIECE_SHARE * possible[part].sum():
            return None
        for kind in (fits.opens, fits.closes):
            if kind[best, part].sum() - kind[other, part].sum() < _PIECE_WEEKS:
                return None
    return fits.clocks[one], fits.clocks[two], int(weeks.first_s[cut + 1])


def _elsewhere(weeks: Weeks, fits: _Fits, best: int) -> str:
    """Why not even the best clock is that of the whole file: weeks on end that open and close at another hour."""
    is_whole = weeks.has_open & weeks.has_close
    misses = (~fits.opens[best] & ~fits.closes[best])[is_whole]
    begins = np.flatnonzero(np.diff(misses.astype(np.int64), prepend=0) == 1)
    lengths = np.flatnonzero(np.diff(misses.astype(np.int64), append=0) == -1) + 1 - begins
    if not len(lengths) or lengths.max() < _PIECE_WEEKS:
        return ""
    first = int(weeks.first_s[is_whole][begins[np.argmax(lengths)]])
    return (
        f"on {fits.clocks[best]}, which fits best, neither opens nor closes fit in {lengths.max()} weeks on end, from "
        f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d} on: the clock may have changed there and back"
    )


def _score(fits: _Fits, index: int, apart: NDArray[np.bool_]) -> Score:
    opens, closes = fits.opens[index], fits.closes[index]
    return Score(
        fits.clocks[index], int(opens.sum()), int(closes.sum()), int(opens[apart].sum()), int(closes[apart].sum())
    )
