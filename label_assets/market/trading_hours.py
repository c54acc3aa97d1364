"""When a market is expected to trade, and which candles are missing from that.

Belongs here: weekly hours, daily breaks and holidays by kind of instrument; holes. Does not belong here: the session
that cuts H4, D and W (`market.calendar`), what a check does with a hole (`assets`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S, granularity
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.market.weekend import FX_WEEK, is_weekend

_HOUR_S = 3_600
_SUNDAY = 6  # (days since 1970 + 3) modulo 7: that began on a Thursday

HOLE_LIMIT_S: Mapping[str, int] = MappingProxyType({"fx": _HOUR_S, "metal": DAY_S, "index": DAY_S})
"""Longest hole that is no cause for worry, by kind of instrument [s of trading time].

FX: an hour. Sources leave out quarters without a quote around 17:00 New York. Metals and indices close early or all day
on holidays of their exchanges, which nothing here knows: up to a trading day (23 hours) is expected. Kinds that are
absent have no expectation: their hours are unknown, and an invented calendar would cry wolf each night.
"""


class Hole(NamedTuple):
    """Successive expected candles that are missing; closed hours between them do not end a hole.

    Attributes:
        start_ts: Open time of the first missing candle [epoch s].
        end_ts: Open time of the last one [epoch s].
        candles: Missing candles.
    """

    start_ts: int
    end_ts: int
    candles: int


def is_expected(ts: IntArray, kind: str) -> NDArray[np.bool_]:
    """Whether a market of a kind is expected to trade at each instant.

    FX trades from Sunday 17:00 to Friday 17:00 New York, but for the trading days (17:00 to 17:00) of 25 December and
    1 January, and the Monday after where one of them is a Sunday. Metals and indices pause from 17:00 to 18:00 as well.

    Args:
        ts: Instants from 1990 to 2037 [epoch s, UTC], any shape and order.
        kind: Kind of the instrument; one without hours (see `HOLE_LIMIT_S`) is never expected.

    Raises:
        CandleError: as `SessionCalendar.bucket_open`.
    """
    if kind not in HOLE_LIMIT_S:
        return np.zeros(np.shape(ts), bool)
    day_open = FX_WEEK.bucket_open(ts, "D")
    expected = ~is_weekend(ts) & ~_is_holiday(day_open)
    if kind != "fx":
        expected &= ts - day_open >= _HOUR_S
    return np.asarray(expected)


def _is_holiday(day_open: IntArray) -> NDArray[np.bool_]:
    """Whether trading days are a holiday. Twelve hours after it opens a trading day has its own date, in UTC too."""
    day = (day_open + DAY_S // 2) // DAY_S
    is_after_sunday = (day + 2) % 7 == _SUNDAY
    return np.asarray(_is_fixed_holiday(day) | (_is_fixed_holiday(day - 1) & is_after_sunday))


def _is_fixed_holiday(day: IntArray) -> NDArray[np.bool_]:
    """Whether days since 1970 are 25 December or 1 January."""
    dates = day.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    day_of_month = (dates - months).astype(np.int64) + 1
    month = months.astype(np.int64) % 12 + 1
    return np.asarray(((month == 12) & (day_of_month == 25)) | ((month == 1) & (day_of_month == 1)))


def expected_opens(kind: str, granularity_name: str, calendar: SessionCalendar, start_ts: int, end_ts: int) -> IntArray:
    """Open times at which candles of an instrument are expected.

    Args:
        kind: Kind of the instrument.
        granularity_name: Granularity; buckets that are open for an hour or a candle of it are expected.
        calendar: Trading session that H4, D and W follow.
        start_ts: First open time [epoch s].
        end_ts: End of the open times, not included [epoch s].

    Returns:
        Increasing open times [epoch s]; none for a kind without hours.
    """
    step = min(granularity(granularity_name).seconds, _HOUR_S)
    hours = np.arange(start_ts // _HOUR_S * _HOUR_S, end_ts, _HOUR_S, dtype=np.int64)
    trading = hours[is_expected(hours, kind)]  # hours, days and weeks of every kind begin on whole hours
    instants = (trading[:, np.newaxis] + np.arange(0, _HOUR_S, step)).ravel()
    opens = calendar.bucket_open(instants[(instants >= start_ts) & (instants < end_ts)], granularity_name)
    opens = opens[np.diff(opens, prepend=-1) > 0]
    return opens[opens >= start_ts]


def holes(ts: IntArray, expected: IntArray) -> list[Hole]:
    """Successive expected candles that are missing, in time order.

    Args:
        ts: Open times of the candles that there are [epoch s], increasing.
        expected: Those that are expected [epoch s], increasing.
    """
    missing = np.concatenate(([False], ~np.isin(expected, ts, assume_unique=True), [False]))
    edges = np.flatnonzero(missing[1:] != missing[:-1])
    return [
        Hole(int(expected[first]), int(expected[end - 1]), int(end - first))
        for first, end in zip(edges[::2], edges[1::2], strict=True)
    ]
