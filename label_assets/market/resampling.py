"""Coarser candles from base candles: LABELS.md §1.

Belongs here: the ladder. Does not belong here: dropping or repairing candles (`market.validation`, `sources`).
"""

import numpy as np

from label_assets.catalog.granularities import ladder as granularities_from
from label_assets.errors import CandleError
from label_assets.kernels.arrays import Candles, IntArray
from label_assets.market.calendar import SessionCalendar


def resample(base: Candles, granularity: str, calendar: SessionCalendar) -> Candles:
    """Candles of a coarser granularity: first open, highest high, lowest low, last close, sum of volume.

    A bucket exists once `base` has a candle with close_ts ≥ the bucket's end, so all but the last one that has data do.
    A bucket whose data begin in its middle exists with what there is; an empty one does not. Any range of base candles
    that is cut at bucket opens therefore gives the same candles as the whole, to the bit.

    Args:
        base: Candles of one instrument and a granularity that nests in the asked one; n rows, time order.
        granularity: Name of the granularity to make, M5 to W.
        calendar: Trading session that H4, D and W follow.

    Returns:
        Candles, at most n rows, in time order.

    Raises:
        CandleError: when `base` is not strictly increasing in time, holds a candle that reaches over a bucket's end
            (it is coarser than the asked granularity), or lies outside 1990..2037.
    """
    if len(base.ts) == 0:
        return base
    _check_order(base)
    bucket = calendar.bucket_open(base.ts, granularity)
    if bucket[0] == bucket[-1]:
        return _one(base, bucket, calendar.bucket_close(bucket[:1], granularity), granularity)
    first = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
    last = np.append(first[1:], len(bucket)) - 1
    close_ts = calendar.bucket_close(bucket[first], granularity)
    _check_nesting(base, close_ts, last, granularity)
    # bincount adds one weight after the other, as a plain loop and the live engine do. np.add.reduceat adds in an order
    # of its own, which numpy does not promise to keep: 233 of 1,000 H1 sums differed from the loop in the last bits.
    number = np.repeat(np.arange(len(first)), last - first + 1)
    volume = np.bincount(number, weights=base.volume).astype(np.float64, copy=False)
    # Only the last bucket can be unfinished: every other one is followed by a base candle.
    kept = len(first) if base.close_ts[-1] >= close_ts[-1] else len(first) - 1
    return Candles(
        ts=bucket[first[:kept]],
        close_ts=close_ts[:kept],
        open=base.open[first[:kept]],
        high=np.maximum.reduceat(base.high, first)[:kept],
        low=np.minimum.reduceat(base.low, first)[:kept],
        close=base.close[last[:kept]],
        volume=volume[:kept],
    )


def _one(base: Candles, bucket: IntArray, close_ts: IntArray, granularity: str) -> Candles:
    """As `resample`, of base candles in one bucket: what a candle at the end of a stream asks for."""
    _check_nesting(base, close_ts, np.array([len(bucket) - 1]), granularity)
    if base.close_ts[-1] < close_ts[0]:
        return Candles._make(column[:0] for column in base)
    return Candles(
        ts=bucket[:1],
        close_ts=close_ts,
        open=base.open[:1],
        high=base.high.max(keepdims=True),
        low=base.low.min(keepdims=True),
        close=base.close[-1:],
        volume=np.bincount(np.zeros(len(bucket), np.intp), weights=base.volume).astype(np.float64, copy=False),
    )


def ladder(base: Candles, base_granularity: str, calendar: SessionCalendar) -> dict[str, Candles]:
    """Every granularity coarser than the base, up to W, each from the base.

    Args:
        base: Candles of one instrument, time order.
        base_granularity: Its granularity.
        calendar: Trading session that H4, D and W follow.

    Returns:
        Candles by granularity name, finest first, without the base itself.

    Raises:
        CandleError: as `resample`.
    """
    return {spec.name: resample(base, spec.name, calendar) for spec in granularities_from(base_granularity)[1:]}


def _check_order(base: Candles) -> None:
    is_later = base.ts[1:] > base.ts[:-1]
    if not is_later.all():
        row = int(np.argmin(is_later))
        raise CandleError(
            asked="candles of a coarser granularity",
            found=f"a base candle at {base.ts[row + 1]} after one at {base.ts[row]} [epoch s] (row {row + 1})",
            allowed="base candles in strictly increasing time order",
            action="sort the candles and drop duplicates before resampling",
        )


def _check_nesting(base: Candles, bucket_close_ts: IntArray, last: IntArray, granularity: str) -> None:
    over = np.flatnonzero(base.close_ts[last] > bucket_close_ts)
    if len(over):
        row = int(last[over[0]])
        raise CandleError(
            asked=f"{granularity} candles",
            found=f"a base candle from {base.ts[row]} to {base.close_ts[row]} [epoch s], over the bucket's end",
            allowed="base candles that nest in the asked granularity",
            action="resample from a finer granularity, and use the calendar that made the base",
        )
