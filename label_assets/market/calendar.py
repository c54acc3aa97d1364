"""When buckets open and close: LABELS.md §1.

Belongs here: the trading session, bucket opens of every granularity, alignment. Does not belong here: whether a market
trades at that time (a candle exists or it does not), months (`assets`).
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import ArrayLike, NDArray

from label_assets.catalog.granularities import granularity as granularity_named
from label_assets.errors import CandleError, SettingsError
from label_assets.kernels.arrays import IntArray

FIRST_TS = 631_152_000
"""1990-01-01 00:00 UTC: the earliest stamp that a candle may have [epoch s]."""
END_TS = 2_145_916_800
"""2038-01-01 00:00 UTC: the first instant that no candle may have as its stamp [epoch s]."""

_HOUR_S = 3_600
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times are naive until their zone's offset is applied
# Ten days on either side: the first W bucket opens in 1989, the last closes in 2038.
_FIRST_DAY = datetime(1989, 12, 22)  # noqa: DTZ001
_DAYS = (datetime(2038, 1, 11) - _FIRST_DAY).days  # noqa: DTZ001
_H4_PER_DAY = 6


@dataclass(frozen=True)
class SessionCalendar:
    """Bucket opens for one trading session.

    Two calendars of the same session are equal; the tables behind them are computed once a process (about 0.1 s).

    Attributes:
        session_open: Local time and IANA zone at which the trading day opens: "17:00 America/New_York", "21:00 UTC".
            "00:00 UTC" means calendar days, with weeks that open on Monday instead of Sunday.

    Raises:
        SettingsError: when the text cannot be read, the zone does not exist, or an open of D or H4 between 1990 and
            2037 is not on a full UTC hour (H1 would not nest in H4).
    """

    session_open: str = "17:00 America/New_York"

    def __post_init__(self) -> None:
        """Refuse an unusable session now rather than at its first candle."""
        _session_opens(self.session_open)

    def bucket_open(self, ts: ArrayLike, granularity: str) -> IntArray:
        """Open time of the bucket that contains each instant.

        Args:
            ts: Instants [epoch s, UTC], any shape and order.
            granularity: Name of the granularity, M1 to W.

        Returns:
            int64 array of the shape of `ts`: the latest bucket open ≤ ts [epoch s, UTC].

        Raises:
            CandleError: when an instant lies outside the W bucket of 1990-01-01 .. the end of 2037.
        """
        stamps = self._checked(ts)
        spec = granularity_named(granularity)
        if not spec.follows_session:
            return stamps - stamps % spec.seconds
        opens = self.opens(granularity)
        return opens[np.searchsorted(opens, stamps, side="right") - 1]

    def bucket_close(self, open_ts: ArrayLike, granularity: str) -> IntArray:
        """Open time of the bucket after the one that contains each instant: `close_ts` of a candle.

        Args:
            open_ts: Bucket opens, or any instants inside the buckets [epoch s, UTC], any shape and order.
            granularity: Name of the granularity, M1 to W.

        Returns:
            int64 array of the shape of `open_ts`: the earliest bucket open > open_ts [epoch s, UTC]. That of the last
            buckets lies in 2038.

        Raises:
            CandleError: as `bucket_open`.
        """
        stamps = self._checked(open_ts)
        spec = granularity_named(granularity)
        if not spec.follows_session:
            return stamps - stamps % spec.seconds + spec.seconds
        opens = self.opens(granularity)
        return opens[np.searchsorted(opens, stamps, side="right")]

    def is_open(self, ts: ArrayLike, granularity: str) -> NDArray[np.bool_]:
        """Whether each instant is a bucket open (the stamp is aligned).

        Raises:
            CandleError: as `bucket_open`.
        """
        stamps = self._checked(ts)
        return np.asarray(self.bucket_open(stamps, granularity) == stamps)

    def opens(self, granularity: str) -> IntArray:
        """All bucket opens of a granularity that follows the session, from December 1989 into January 2038.

        Args:
            granularity: H4, D or W.

        Returns:
            Read-only int64 array [epoch s, UTC], strictly increasing.

        Raises:
            SettingsError: for a granularity that opens at multiples of its length: it needs no table.
        """
        tables = _session_opens(self.session_open)
        if granularity not in tables:
            raise SettingsError(
                asked=f"the table of opens of {granularity}",
                found="a granularity that opens at multiples of its length",
                allowed=", ".join(tables),
                action="use bucket_open",
            )
        return tables[granularity]

    def _checked(self, ts: ArrayLike) -> IntArray:
        stamps = np.asarray(ts)
        if stamps.size == 0:
            return stamps.astype(np.int64)
        if stamps.dtype.kind not in "iu":
            raise CandleError(
                asked="a bucket of time stamps",
                found=f"an array of {stamps.dtype}",
                allowed="whole epoch seconds (int64)",
                action="convert stamps to epoch seconds and refuse those that are missing or have a fraction",
            )
        first = _session_opens(self.session_open)["W"][0]
        low, high = int(stamps.min()), int(stamps.max())
        if low < first or high >= END_TS:
            raise CandleError(
                asked="a bucket of time stamps",
                found=f"stamps from {low} to {high} [epoch s]",
                allowed=f"{first} to {END_TS - 1} (1990 to 2037)",
                action="reject such candles first (market.validation does)",
            )
        return stamps.astype(np.int64, copy=False)


@lru_cache(maxsize=16)
def _session_opens(session_open: str) -> dict[str, IntArray]:
    """Opens of H4, D and W; the first W open is that of the week of 1990-01-01."""
    hour, minute, zone = _parse(session_open)
    local, opens = _local_and_utc(hour, minute, zone)
    off_hour = opens[opens % _HOUR_S != 0]
    if len(off_hour):
        raise _refused(
            session_open, f"a D or H4 bucket that opens at {_EPOCH + timedelta(seconds=int(off_hour[0]))} UTC"
        )
    # numpy's day 0 is a Thursday: (day + 4) % 7 is 0 on Sundays.
    week_day = 1 if hour == 0 and minute == 0 else 0
    weekly = (local[:, 0].astype("datetime64[D]").astype(np.int64) + 4) % 7 == week_day
    # Where a zone skipped a whole date, two local times are one instant: one bucket.
    weeks = np.unique(opens[weekly, 0])
    weeks = weeks[np.searchsorted(weeks, FIRST_TS, side="right") - 1 :]
    tables: dict[str, IntArray] = {}
    for name, table in (("H4", np.unique(opens)), ("D", np.unique(opens[:, 0])), ("W", weeks)):
        tables[name] = table[table >= weeks[0]]
        tables[name].flags.writeable = False
    return tables


def _parse(session_open: str) -> tuple[int, int, ZoneInfo]:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d) (\S+)", session_open)
    if match is None:
        raise _refused(session_open, "a text of another form")
    try:
        # OSError: "America" is a folder of the zone database. ValueError: "../UTC", "/etc/localtime".
        return int(match[1]), int(match[2]), ZoneInfo(match[3])
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise _refused(session_open, f"no time zone {match[3]!r}") from None


def _local_and_utc(hour: int, minute: int, zone: ZoneInfo) -> tuple[NDArray[np.datetime64], IntArray]:
    """Local times (days, 6) and their instants [epoch s] of the H4 opens; column 0 are the D opens.

    zoneinfo with fold=0 gives what LABELS.md §1 asks for: the first of two equal local times, and the offset before the
    change for a local time that does not exist.
    """
    first = _FIRST_DAY + timedelta(hours=hour, minutes=minute)

    def offset_s(local_time: datetime) -> int:
        offset = local_time.replace(tzinfo=zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    daily = [offset_s(first + timedelta(days=day)) for day in range(_DAYS + 1)]
    offsets = np.repeat(np.array(daily[:-1], np.int64)[:, None], _H4_PER_DAY, axis=1)
    # Asking for each of 105,000 local times takes 0.4 s. Between two session opens of equal offset no zone changed its
    # clock (there and back within a day), so only the days on which the offset changes are asked for.
    for day in np.flatnonzero(np.diff(daily)):
        for step in range(1, _H4_PER_DAY):
            offsets[day, step] = offset_s(first + timedelta(days=int(day), hours=4 * step))
    steps = np.arange(_DAYS)[:, None] * 86_400 + np.arange(_H4_PER_DAY)[None, :] * 4 * _HOUR_S
    local_s = steps + int((first - _EPOCH).total_seconds())
    return local_s.astype("datetime64[s]"), local_s - offsets


def _refused(session_open: str, found: str) -> SettingsError:
    return SettingsError(
        asked=f"session_open {session_open!r}",
        found=found,
        allowed="'HH:MM Zone' with an IANA zone, all of whose D and H4 opens from 1990 to 2037 are on full UTC hours, "
        "such as '17:00 America/New_York', '21:00 UTC', '00:00 UTC'",
        action="correct session_open in the settings",
    )
