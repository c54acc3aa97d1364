"""From a batch that is finer than the base to base candles.

Belongs here: which finer rows a range of base candles is made of, and their account. Does not belong here: resampling
itself (`market.resampling`), which finer row is stored (`sources.rows`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from label_assets.kernels.arrays import Candles, IntArray
from label_assets.market.calendar import END_TS, FIRST_TS, SessionCalendar
from label_assets.market.resampling import resample
from label_assets.sources.batch import CandleBatch
from label_assets.sources.rows import UNFINISHED_BUCKET, Window


class BasePart(NamedTuple):
    """A batch of base candles, and how many source rows each one is made of.

    Attributes:
        batch: Candles of the base granularity, account and spans.
        source_rows: Source rows of each candle, the length of `batch.candles.ts`.
    """

    batch: CandleBatch
    source_rows: IntArray


def base_part(
    read: Callable[[Window], CandleBatch], granularity: str, base: str, window: Window, calendar: SessionCalendar
) -> BasePart:
    """Base candles of a window from a source of the same or a finer granularity.

    A base candle belongs to the window in which it opens, and with it all of its rows. Its last one exists once the
    source has a later row, as in LABELS.md §1 for every coarser granularity; until then its rows are dropped as
    `unfinished_bucket` and what is stored of it stays. Rejected rows are filed under the base candle they belong to.

    Args:
        read: Gives the rows of a window at the source's own granularity.
        granularity: The source's granularity, not coarser than the base.
        base: The base granularity.
        window: Base candles that open in it are made.
        calendar: Trading session.
    """
    if granularity == base:
        batch = read(window)
        return BasePart(batch, np.ones(len(batch.candles.ts), np.int64))
    start, end = (_first_open(stamp, base, calendar) for stamp in (window.start_ts, window.end_ts))
    fine = read(Window(start, end, window.now_ts))
    candles, spans = fine.candles, fine.spans
    known_until = max((last for _, last in spans), default=start)
    made = _made(candles, base, calendar, known_until)
    source_rows = np.searchsorted(candles.ts, made.close_ts) - np.searchsorted(candles.ts, made.ts)
    unfinished = len(candles.ts) - int(source_rows.sum())
    if unfinished:
        first_unfinished = int(calendar.bucket_open(candles.ts[-1:], base)[0])
        spans = tuple((first, min(last, first_unfinished - 1)) for first, last in spans if first < first_unfinished)
    batch = replace(
        fine,
        granularity=base,
        candles=made,
        spans=spans,
        dropped={**fine.dropped, **({UNFINISHED_BUCKET: unfinished} if unfinished else {})},
        rejected=tuple(
            replace(row, ts=int(opened))
            for row, opened in zip(
                fine.rejected,
                calendar.bucket_open(np.array([row.ts for row in fine.rejected], np.int64), base),
                strict=True,
            )
        ),
        rows_kept=int(source_rows.sum()),
    )
    batch.check_accounting()
    return BasePart(batch, source_rows)


def _first_open(stamp: int, base: str, calendar: SessionCalendar) -> int:
    """The first base candle that opens at or after an instant; the instant itself outside of the calendar's years."""
    at = np.array([stamp])
    if not FIRST_TS <= stamp < END_TS:
        return stamp
    opened = int(calendar.bucket_open(at, base)[0])
    return stamp if opened == stamp else int(calendar.bucket_close(at, base)[0])


def _made(candles: Candles, base: str, calendar: SessionCalendar, known_until: int) -> Candles:
    """Base candles; with the last one where the source is known to go on in a later bucket.

    Whether it goes on is asked of the whole source, so any cut into windows gives the same candles.
    """
    if not len(candles.ts):
        return candles
    later = int(calendar.bucket_open(np.array([known_until]), base)[0])
    if later <= int(calendar.bucket_open(candles.ts[-1:], base)[0]):
        return resample(candles, base, calendar)
    # A stand-in for the later row finishes the bucket before it; its own is cut off again.
    length = int(candles.close_ts[-1] - candles.ts[-1])
    extended = Candles._make(np.append(column, column[-1]) for column in candles)
    extended.ts[-1], extended.close_ts[-1] = later, later + length
    made = resample(extended, base, calendar)
    return Candles._make(column[made.ts < later] for column in made)
