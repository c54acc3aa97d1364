"""Base candles of the synthetic market for the live engine, and tails that begin with some of them."""

from datetime import UTC, datetime

from label_assets.kernels.arrays import Candles
from label_assets.live.tail import Tail
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket

CALENDAR = SessionCalendar("17:00 America/New_York")


def base_candles(settings: Settings, instrument: str, start_ts: int, end_ts: int) -> Candles:
    """Base candles that open in [start, end)."""
    market = SyntheticMarket(settings.synthetic.seed, settings.instruments, CALENDAR)
    return market.read(instrument, settings.base_granularity, start_ts, end_ts, 2**31).candles


def tail_of(settings: Settings, instrument: str, base: Candles) -> Tail:
    """A tail that begins with these candles and nothing before them."""
    rungs = {settings.base_granularity: base, **ladder(base, settings.base_granularity, CALENDAR)}
    return Tail(settings, CALENDAR, instrument, rungs, is_whole=True)


def one(candles: Candles, index: int) -> Candles:
    """One of the candles."""
    return Candles._make(column[index : index + 1] for column in candles)


def at(text: str) -> int:
    """Epoch seconds of a UTC time such as "2024-03-10 21:00"."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def cut(candles: Candles, first: int, end: int) -> Candles:
    """Candles from one index to another."""
    return Candles._make(column[first:end] for column in candles)
