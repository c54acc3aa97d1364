"""The trading session's buckets and resampling (LABELS.md §1), day by day with zoneinfo."""

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from label_assets_tests.oracles.candle import Candle

DEFAULT_SESSION = "17:00 America/New_York"
FIXED_LENGTH_S = {"M1": 60, "M5": 300, "M15": 900, "H1": 3600}
SUNDAY, MONDAY = 6, 0

Bucket = tuple[int, int]
"""(open, close) of a bucket, epoch seconds UTC."""


def parse_session(session_open: str) -> tuple[time, ZoneInfo]:
    clock, zone = session_open.split(" ")
    hour, minute = clock.split(":")
    return time(int(hour), int(minute)), ZoneInfo(zone)


def instant(day: date, clock: time, zone: ZoneInfo) -> int:
    """Epoch seconds of a local time.

    A local time that occurs twice means its first occurrence, one that does not exist the instant that the old offset
    gives: both are what fold=0 means.
    """
    return int(datetime.combine(day, clock, tzinfo=zone).replace(fold=0).astimezone(UTC).timestamp())


def local_opens(granularity: str, day: date, session_open: str) -> list[int]:
    """The opens of H4, D or W that fall on one local day."""
    clock, zone = parse_session(session_open)
    if granularity == "H4":
        clocks = [clock.replace(hour=(clock.hour + step) % 24) for step in (0, 4, 8, 12, 16, 20)]
        return [instant(day, each, zone) for each in clocks]
    if granularity == "D":
        return [instant(day, clock, zone)]
    if granularity == "W":
        first_day = MONDAY if clock == time(0, 0) else SUNDAY
        return [instant(day, clock, zone)] if day.weekday() == first_day else []
    raise ValueError(granularity)


def bucket_opens(granularity: str, start_ts: int, end_ts: int, session_open: str = DEFAULT_SESSION) -> list[int]:
    """All bucket opens from the last one at or before `start_ts` to the first one at or after `end_ts`."""
    if granularity in FIXED_LENGTH_S:
        length = FIXED_LENGTH_S[granularity]
        opens = list(range(start_ts - start_ts % length, end_ts + length, length))
    else:
        day = datetime.fromtimestamp(start_ts, UTC).date() - timedelta(days=9)
        last_day = datetime.fromtimestamp(end_ts, UTC).date() + timedelta(days=9)
        found = set()
        while day <= last_day:
            found.update(local_opens(granularity, day, session_open))
            day += timedelta(days=1)
        opens = sorted(found)
    first = max(open_ts for open_ts in opens if open_ts <= start_ts)
    last = min(open_ts for open_ts in opens if open_ts >= end_ts)
    return [open_ts for open_ts in opens if first <= open_ts <= last]


def bucket_function(
    granularity: str, start_ts: int, end_ts: int, session_open: str = DEFAULT_SESSION
) -> Callable[[int], Bucket]:
    """The function ts → (open, close) of the bucket that contains ts, for `start_ts` ≤ ts ≤ `end_ts`."""
    opens = bucket_opens(granularity, start_ts, end_ts + 1, session_open)

    def bucket(ts: int) -> Bucket:
        k = bisect_right(opens, ts) - 1
        return opens[k], opens[k + 1]

    return bucket


def session_is_accepted(session_open: str, first_year: int = 1990, last_year: int = 2037) -> bool:
    """Every open of D and H4 in these years is on a full UTC hour."""
    day = date(first_year, 1, 1)
    while day.year <= last_year:
        for granularity in ("D", "H4"):
            if any(open_ts % 3600 != 0 for open_ts in local_opens(granularity, day, session_open)):
                return False
        day += timedelta(days=1)
    return True


def resample(base: list[Candle], bucket: Callable[[int], Bucket]) -> list[Candle]:
    """Coarser candles: first open, max high, min low, last close, sum of volume.

    A bucket exists once the base has a candle that closes at or after the bucket's end, and only if it has candles.
    """
    members: dict[Bucket, list[Candle]] = {}
    for candle in base:
        members.setdefault(bucket(candle.ts), []).append(candle)
    observed_until = max((candle.close_ts for candle in base), default=0)
    coarse = []
    for (open_ts, close_ts), candles in sorted(members.items()):
        if close_ts > observed_until:
            continue
        volume = 0.0
        for candle in candles:
            volume += candle.volume
        coarse.append(
            Candle(
                ts=open_ts,
                close_ts=close_ts,
                open=candles[0].open,
                high=max(candle.high for candle in candles),
                low=min(candle.low for candle in candles),
                close=candles[-1].close,
                volume=volume,
            )
        )
    return coarse
