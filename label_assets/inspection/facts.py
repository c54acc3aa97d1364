"""What the rows of a file are: counts and examples, without knowing its clock.

Belongs here: plain facts of one file's rows. Does not belong here: which clock it has (`inspection.zones`), words for
people (`inspection.report`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S, GRANULARITIES
from label_assets.inspection.weeks import HOUR_S, closed_hours
from label_assets.kernels.arrays import IntArray
from label_assets.market.validation import VALID, reason_of
from label_assets.sources.raw_rows import RawRows

EXAMPLES = 3
"""Rows that are shown of each fault."""
LARGEST_GAPS = 5

_SPACING_SHARE = 0.5
# A weekend lasts 48 hours, one more or less where the clock changes in it; what is longer is a holiday or a hole.
_LONGEST_WEEKEND_S = 50 * HOUR_S


class Spacing(NamedTuple):
    """How far bars are apart.

    Attributes:
        seconds: The most common distance of successive stamps [s]; 0 where there is none.
        share: Share of the distances that are of this length.
        name: As people call it: M15, M30, D, ticks.
        granularity: The same if it is a granularity of ours, else None.
    """

    seconds: int
    share: float
    name: str
    granularity: str | None


class Gap(NamedTuple):
    """A stretch without bars: from the end of the bar before to the open of the bar after, on the file's clock [s]."""

    begin_s: int
    end_s: int


class Backwards(NamedTuple):
    """A row whose stamp lies before that of the row above it: its line and both stamps [s]."""

    line: int
    before_s: int
    stamp_s: int


class Facts(NamedTuple):
    """What the rows of a file are; stamps are on the file's clock, as if they were UTC.

    Attributes:
        rows: All rows.
        unreadable: Rows that could not be read, by reason.
        unreadable_examples: Line and words of some of them.
        first_s: Earliest stamp [s]; None without one.
        last_s: Latest stamp [s].
        spacing: How far bars are apart.
        is_descending: Time mostly runs backwards: the file is sorted the other way round.
        backwards: Rows that go back in time in a file that mostly does not, the first of them.
        backwards_count: How many.
        identical: Rows whose stamp and values a later row has too.
        conflicting: Rows whose stamp a later row has, with other values.
        filler: Flat rows without volume in hours when FX is closed, or all day on Saturday, on whatever clock.
        flat_without_volume: All flat rows without volume; 0 in a file without volumes.
        has_volume: There are volumes other than 0.
        price_faults: Rows with a price that is missing or not positive, or a high or low that is not the extreme.
        price_fault_lines: Lines of some of them.
        off_grid: Stamps that are no multiples of the spacing, or have a part of a second.
        gaps: Stretches without bars that are no usual weekends.
        missing_bars: Bars that would fill these.
        largest_gaps: The longest of them, longest first.
        median_price: Median of the closes.
        are_whole_numbers: All prices are whole numbers.
    """

    rows: int
    unreadable: dict[str, int]
    unreadable_examples: tuple[tuple[int, str], ...]
    first_s: int | None
    last_s: int | None
    spacing: Spacing
    is_descending: bool
    backwards: tuple[Backwards, ...]
    backwards_count: int
    identical: int
    conflicting: int
    filler: int
    flat_without_volume: int
    has_volume: bool
    price_faults: int
    price_fault_lines: tuple[int, ...]
    off_grid: int
    gaps: int
    missing_bars: int
    largest_gaps: tuple[Gap, ...]
    median_price: float
    are_whole_numbers: bool


def facts_of(raw: RawRows) -> Facts:
    """Count what is worth knowing about the rows of a file."""
    is_read = raw.has_stamp & (raw.fault == VALID)
    rows = _readable(raw, is_read)
    stamps = np.unique(rows.stamp_s)
    spacing = spacing_of(stamps)
    steps = np.diff(rows.stamp_s)
    down, up = int(np.count_nonzero(steps < 0)), int(np.count_nonzero(steps > 0))
    back = np.flatnonzero(steps > 0 if down > up else steps < 0)
    identical, conflicting = _duplicates(rows)
    is_filler = is_flat_without_volume(rows)
    sound = _sound_prices(rows)
    bars = np.unique(rows.stamp_s[~(is_filler & closed_hours(rows.stamp_s, spacing.seconds))])
    gaps = _gaps(bars, spacing.seconds)
    lengths = np.diff(gaps, axis=1)[:, 0]
    return Facts(
        rows=len(raw.line),
        unreadable=_reasons(raw),
        unreadable_examples=_examples(raw, np.flatnonzero(~is_read)[:EXAMPLES]),
        first_s=int(stamps[0]) if len(stamps) else None,
        last_s=int(stamps[-1]) if len(stamps) else None,
        spacing=spacing,
        is_descending=down > up,
        backwards=tuple(
            Backwards(int(rows.line[row + 1]), int(rows.stamp_s[row]), int(rows.stamp_s[row + 1]))
            for row in back[:EXAMPLES]
        ),
        backwards_count=len(back),
        identical=identical,
        conflicting=conflicting,
        filler=int(np.count_nonzero(is_filler & closed_hours(rows.stamp_s, spacing.seconds))),
        flat_without_volume=int(np.count_nonzero(is_filler)),
        has_volume=bool((rows.volume > 0).any()),
        price_faults=int(np.count_nonzero(~sound)),
        price_fault_lines=tuple(rows.line[~sound][:EXAMPLES].tolist()),
        off_grid=_off_grid(rows, spacing),
        gaps=len(gaps),
        missing_bars=int((lengths // max(spacing.seconds, 1)).sum()),
        largest_gaps=tuple(Gap(*gaps[row].tolist()) for row in np.argsort(-lengths, kind="stable")[:LARGEST_GAPS]),
        median_price=float(np.median(rows.close[sound])) if sound.any() else float("nan"),
        are_whole_numbers=bool(
            sound.any() and (rows.close[sound] % 1 == 0).all() and (rows.open[sound] % 1 == 0).all()
        ),
    )


def spacing_of(stamps: IntArray) -> Spacing:
    """How far bars are apart.

    Args:
        stamps: Stamps [s], strictly increasing.
    """
    steps, counts = np.unique(np.diff(stamps), return_counts=True)
    if not len(steps):
        return Spacing(0, 0.0, "unknown", None)
    seconds, share = int(steps[np.argmax(counts)]), float(counts.max() / counts.sum())
    ours = {granularity.seconds: granularity.name for granularity in GRANULARITIES.values()}
    if share < _SPACING_SHARE or seconds < 5:
        return Spacing(seconds, share, "ticks or uneven", None)
    if seconds in ours:
        return Spacing(seconds, share, ours[seconds], ours[seconds])
    for unit_s, letter in ((DAY_S, "D"), (HOUR_S, "H"), (60, "M"), (1, "S")):
        if seconds % unit_s == 0:
            return Spacing(seconds, share, f"{letter}{seconds // unit_s}", None)
    return Spacing(seconds, share, f"S{seconds}", None)


def is_flat_without_volume(rows: RawRows) -> NDArray[np.bool_]:
    """Rows of which all prices are equal and nothing was traded; none in a file that has no volumes at all."""
    has_volume = bool((rows.volume > 0).any())
    is_flat = (rows.open == rows.high) & (rows.high == rows.low) & (rows.low == rows.close)
    return np.asarray(is_flat & (rows.volume == 0) & has_volume)


def _readable(raw: RawRows, is_read: NDArray[np.bool_]) -> RawRows:
    return raw._replace(
        **{
            name: getattr(raw, name)[is_read]
            for name in ("line", "stamp_s", "has_stamp", "has_fraction", *_VALUES, "fault")
        }
    )


_VALUES = ("open", "high", "low", "close", "volume")


def _reasons(raw: RawRows) -> dict[str, int]:
    codes, counts = np.unique(raw.fault[raw.fault != VALID], return_counts=True)
    found = {reason_of(int(code)) or "": int(count) for code, count in zip(codes, counts, strict=True)}
    without = int(np.count_nonzero(~raw.has_stamp & (raw.fault == VALID)))
    return found | ({"missing_stamp": without} if without else {})


def _examples(raw: RawRows, rows: IntArray) -> tuple[tuple[int, str], ...]:
    return tuple((line, raw.fault_details.get(line, "no time stamp")) for line in raw.line[rows].tolist())


def _duplicates(rows: RawRows) -> tuple[int, int]:
    """Rows that a later one of the same stamp repeats, and rows that a later one contradicts."""
    order = np.argsort(rows.stamp_s, kind="stable")
    stamps = rows.stamp_s[order]
    is_last = np.append(stamps[1:] != stamps[:-1], True) if len(stamps) else np.zeros(0, np.bool_)
    last = np.flatnonzero(is_last)[np.cumsum(is_last) - is_last]
    is_same = np.ones(len(order), np.bool_)
    for name in _VALUES:
        values = getattr(rows, name)[order]
        is_same &= (values == values[last]) | (np.isnan(values) & np.isnan(values[last]))
    return int(np.count_nonzero(~is_last & is_same)), int(np.count_nonzero(~is_last & ~is_same))


def _sound_prices(rows: RawRows) -> NDArray[np.bool_]:
    """Rows of which the high and the low are the extremes of four positive numbers (as `market.validation` counts)."""
    o, h, l, c = rows.open, rows.high, rows.low, rows.close  # noqa: E741 - the names of LABELS.md
    with np.errstate(invalid="ignore"):
        sound = (h >= np.maximum(o, c)) & (l <= np.minimum(o, c)) & (h >= l) & (l > 0) & (h < np.inf)
    return np.asarray(sound)


def _off_grid(rows: RawRows, spacing: Spacing) -> int:
    grid_s = min(spacing.seconds, HOUR_S) if spacing.seconds else 1
    return int(np.count_nonzero(rows.has_fraction | (rows.stamp_s % grid_s != 0)))


def _gaps(stamps: IntArray, length_s: int) -> NDArray[np.int64]:
    """Begin and end of stretches without bars that are no weekends, (gaps, 2) [s].

    A weekend spans the hours at which FX is closed on whatever clock, and lasts 50 hours at most; a daily bar that
    begins before them or ends after them makes it shorter.
    """
    begins, ends = stamps[:-1] + length_s, stamps[1:]
    is_gap = ends > begins
    begins, ends = begins[is_gap], ends[is_gap]
    middle = begins + (ends - begins) // 2
    is_weekend = closed_hours(middle, 0) & (ends - begins <= _LONGEST_WEEKEND_S)
    return np.stack([begins[~is_weekend], ends[~is_weekend]], axis=1)
