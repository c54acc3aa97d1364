"""How far a computation looks back and forward: the one place that says so.

Used by what reads inputs, the partition mapping of the assets, sensors, the live engine and tests. Distances are in
candles of the labelled granularity (LABELS.md §5), because trading time has holes; where Dagster needs months they are
derived from the longest span that a window may cover without being a gap.

Belongs here: distances. Does not belong here: reading (`compute.inputs`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from label_assets.catalog.granularities import DAY_S
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings

SHORTEST_MONTH_S = 28 * DAY_S


@dataclass(frozen=True)
class Reach:
    """How far one row of a granularity looks, in its candles.

    Attributes:
        back: Candles before the row's own that may enter it.
        forward: Candles after the row's own that may enter it.
    """

    back: int
    forward: int


def row_reach(settings: Settings, granularity_name: str, horizon: int) -> Reach:
    """Reach of all families together for one granularity and horizon.

    The reference sample of `return_quantile` needs horizon + N candles, that of `event_burst` horizon + its length and
    levels for each of them, `sample_weights` levels for the rows of one horizon before.
    """
    rung = settings.labels.granularity(granularity_name)
    levels = level_reach(settings, granularity_name).back
    back = max(horizon + rung.quantile_sample, horizon + rung.burst_sample - 1 + levels, horizon + levels)
    return Reach(back=back, forward=horizon)


def level_reach(settings: Settings, granularity_name: str) -> Reach:
    """Reach of the levels that live at a candle: back to the candles of the oldest one's confirmation and its ATR.

    Forward: a pivot lives until its confirmation's lifetime is over.
    """
    rung = settings.labels.granularity(granularity_name)
    before_confirmation = max(settings.labels.atr_period, 2 * settings.labels.level_span)
    return Reach(
        back=rung.level_lifetime + before_confirmation, forward=settings.labels.level_span + rung.level_lifetime
    )


def slice_reach(settings: Settings, granularity_name: str) -> Reach:
    """Reach that serves every configured horizon."""
    reaches = [row_reach(settings, granularity_name, horizon) for horizon in settings.horizons]
    return Reach(max(reach.back for reach in reaches), max(reach.forward for reach in reaches))


def forward_months(settings: Settings) -> int:
    """Months after its own whose candles may enter a row of a monthly partition.

    A window whose candles open further apart than the gap limit is a gap, so `horizon` gaps of that length, and the
    candle at the horizon end itself, are the longest that a candle ahead can still matter.
    """
    longest = max(
        max(settings.horizons) * rung.gap_limit_s + rung.seconds
        for rung in map(settings.labels.granularity, settings.granularities)
    )
    return math.ceil(longest / SHORTEST_MONTH_S)


def affected_opens(
    settings: Settings, calendar: SessionCalendar, opens: Mapping[str, IntArray], first_ts: int, last_ts: int
) -> tuple[int, int]:
    """Open times of the first and the last row that base candles which changed, came or went can have changed.

    Counted in candles: the first row whose window holds the changed bucket, the last row whose look-back does. The
    open times may be those from before the change or from after it: both give the same rows.

    Args:
        settings: The settings.
        calendar: Trading session.
        opens: Open times of stored candles by granularity [epoch s], increasing: of the base and of every labelled
            granularity. Needed are the candles of `slice_reach` before the first and after the last changed bucket;
            between the two some may be missing.
        first_ts: Open time of the first base candle that changed, came or went [epoch s].
        last_ts: Open time of the last one [epoch s].

    Returns:
        First and last open time [epoch s] over all labelled granularities; the changed buckets lie between them.
    """
    base = opens[settings.base_granularity]
    firsts, lasts = [], []
    for name in settings.granularities:
        around, known = slice_reach(settings, name), opens[name]
        first_open = _first_changed_bucket(calendar, base, known, name, (first_ts, last_ts))
        last_open = int(calendar.bucket_open(np.array([last_ts]), name)[0])
        first = int(np.searchsorted(known, first_open)) - around.forward
        last = int(np.searchsorted(known, last_open, side="right")) - 1 + around.back
        firsts += [first_open, *known[max(first, 0) :][:1].tolist()]
        lasts += [last_open, *known[: last + 1][-1:].tolist()]
    return min(firsts), max(lasts)


def _first_changed_bucket(
    calendar: SessionCalendar, base: IntArray, known: IntArray, name: str, changed: tuple[int, int]
) -> int:
    """Open time of the first bucket that changes: that of the first base candle, or the one before.

    A bucket exists once a base candle follows it. So the one before changes where the data end: it appears with the
    first candle after a pause, and vanishes with it.
    """
    first_ts, last_ts = changed
    own = int(calendar.bucket_open(np.array([first_ts]), name)[0])
    before = base[base < first_ts][-1:]
    if not len(before):
        return own
    previous = int(calendar.bucket_open(before, name)[0])
    may_vanish = first_ts in base and base[-1] <= last_ts
    return previous if may_vanish or previous not in known else own


def affected_months(
    settings: Settings, calendar: SessionCalendar, opens: Mapping[str, IntArray], first_ts: int, last_ts: int
) -> tuple[str, str]:
    """First and last monthly partition `YYYY-MM` with a row of `affected_opens`, which has the arguments explained."""
    first, last = affected_opens(settings, calendar, opens, first_ts, last_ts)
    return max(settings.first_month, _month(first)), _month(last)


def _month(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m")
