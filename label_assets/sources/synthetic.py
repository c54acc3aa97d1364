"""A seeded synthetic market: candles for demonstrations and load tests that need no vendor.

Belongs here: trading hours, prices and volumes that look like a market's. Does not belong here: anything that a label
may depend on.

How it is made. The native grid are the minutes of trading weeks, Sunday 17:00 to Friday 17:00 New York (7,200; the
clocks there change on Sunday mornings, so no week is longer). Between 1990 and 2037 each week has an opening and a
closing log price (an Ornstein-Uhlenbeck process that a slow trend pushes about), and each hour a volatility factor
(a sum of noises of several periods). Both are functions of seed and instrument alone and computed once. The minutes of
a week are drawn by a generator that is keyed by seed, instrument and week, and bridged between the week's two prices.
So any range is produced without the ones before it and to the same bits, and M5, M15 and H1 are exactly what M1 gives.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.catalog.granularities import granularity as granularity_named
from label_assets.catalog.instruments import Instrument
from label_assets.errors import SourceEmptyError
from label_assets.kernels.arrays import Candles, FloatArray, IntArray
from label_assets.market.calendar import END_TS, FIRST_TS, SessionCalendar
from label_assets.market.resampling import resample
from label_assets.sources.batch import CandleBatch

GRANULARITIES = ("M1", "M5", "M15", "H1")
DEFAULT_START_TS = 1_104_537_600
"""2005-01-01 00:00 UTC."""

_NEW_YORK = SessionCalendar("17:00 America/New_York")
_MINUTE_S = 60
_WEEK_HOURS = 120
_WEEK_MINUTES = 60 * _WEEK_HOURS
_DAY_HOURS = 24
_WEEKS_PER_YEAR = 52.18
_CHUNK_WEEKS = 8  # 3 MB of minutes: larger chunks leave the processor's cache and take a quarter longer

# Share of a year's variance that falls on weekends and on jumps; the rest diffuses.
_WEEKEND_SHARE = 0.05
_JUMP_SHARE = 0.08
_JUMPS_PER_WEEK = 1.5
_REOPEN_MINUTES = 20.0  # the price moves over a closed hour or day as it does in this many minutes

_TICKS_PER_MINUTE = 12.0

# Prices return to the reference price with a half-life of 78 weeks, faster where that would let them wander further
# than a standard deviation of 0.4 in log price.
_HALF_LIFE_WEEKS = 78.0
_WIDEST = 0.4

# Period [hours] and standard deviation of the log volatility noises; [weeks] and share of the weekly volatility of the
# trend noises.
_VOLATILITY_NOISES = ((3, 0.12), (24, 0.18), (120, 0.22), (720, 0.15), (4320, 0.08))
_TREND_NOISES = ((13, 0.15), (39, 0.12))

# Volatility by hour of the New York day, from 17:00: quiet Asia with a small hump at Tokyo's open, London from 03:00,
# New York from 08:00 until London closes at noon.
_HOURLY = (
    *(0.40, 0.45, 0.60, 0.75, 0.70, 0.60, 0.55, 0.50, 0.55, 0.80, 1.25, 1.30),
    *(1.15, 1.00, 1.00, 1.35, 1.65, 1.70, 1.50, 1.20, 0.95, 0.90, 0.80, 0.55),
)


class _Background(NamedTuple):
    """What is drawn once for an instrument; w weeks.

    Attributes:
        open_ts: Sunday 17:00 New York of each week [epoch s], (w,).
        is_trading: Minutes with a candle, (w, 120) by hour.
        sigma: Standard deviation of one minute's log return, 0 where there is no candle, (w, 120) by hour.
        start: Log price, relative to the reference price, at which each week opens, (w,).
        end: The same at its close, (w,).
        jump: Standard deviation of a jump's log return.
    """

    open_ts: IntArray
    is_trading: NDArray[np.bool_]
    sigma: FloatArray
    start: FloatArray
    end: FloatArray
    jump: float


class _Walk(NamedTuple):
    """Minutes before rounding: open time [epoch s], price before and after, standard deviation of the log return."""

    ts: IntArray
    opening: FloatArray
    closing: FloatArray
    sigma: FloatArray


class SyntheticMarket:
    """Deterministic candles of M1, M5, M15 and H1 for every instrument that it is given.

    FX trades from Sunday 17:00 to Friday 17:00 New York; metals and indices pause each day from 17:00 to 18:00; nothing
    trades on the trading days (17:00 to 17:00 New York) of 25 December and 1 January. Every minute in which a market is
    open has a candle. No row is ever rejected or dropped.
    """

    def __init__(
        self,
        seed: int,
        instruments: Sequence[Instrument],
        calendar: SessionCalendar,
        start_ts: int = DEFAULT_START_TS,
        end_ts: int = END_TS,
    ) -> None:
        """Remember the declaration; nothing is drawn yet.

        Args:
            seed: Any integer. Markets of different seeds are independent.
            instruments: Instruments on offer; `decimals`, `reference_price`, `annual_volatility` and `kind` are used.
            calendar: Trading session of the pipeline. The candles on offer do not depend on it.
            start_ts: First stamp on offer [epoch s]; it cuts, and changes no candle after it.
            end_ts: First stamp no longer on offer [epoch s].
        """
        self._seed = seed
        self._instruments = {instrument.name: instrument for instrument in instruments}
        self._calendar = calendar
        self._start_ts, self._end_ts = max(start_ts, FIRST_TS), min(end_ts, END_TS)

    def read(self, instrument: str, granularity: str, start_ts: int, end_ts: int, now_ts: int) -> CandleBatch:
        """Finished candles with start_ts ≤ ts < end_ts; see `sources.batch.Source`.

        Raises:
            SourceEmptyError: for an instrument that was not given, and for H4, D and W.
        """
        background = self._background(instrument, granularity)
        start = max(start_ts, self._start_ts)
        # Candles open at multiples of their length: the last one that closes by now opens one length before.
        end = min(end_ts, self._end_ts, now_ts - granularity_named(granularity).seconds + 1)
        first, last = _weeks(background, start, end)
        parts = [
            self._candles(instrument, granularity, range(week, min(week + _CHUNK_WEEKS, last)))
            for week in range(first, last, _CHUNK_WEEKS)
        ]
        candles = _cut(_joined(parts), start, end)
        spans = ((self._start_ts, end - 1),) if end > self._start_ts else ()
        return CandleBatch(instrument, granularity, candles, rows_in=len(candles.ts), spans=spans)

    def span(self, instrument: str, granularity: str) -> tuple[int, int] | None:
        """Stamps of the first and the last candle on offer [epoch s]; the last one may lie in the future.

        Raises:
            SourceEmptyError: as `read`.
        """
        background = self._background(instrument, granularity)
        first, last = _weeks(background, self._start_ts, self._end_ts)
        ends = []
        for weeks in (range(first, min(first + 2, last)), range(max(last - 2, first), last)):
            candles = _cut(self._candles(instrument, granularity, weeks), self._start_ts, self._end_ts)
            ends += [int(ts) for ts in (*candles.ts[:1], *candles.ts[-1:])]
        return (min(ends), max(ends)) if ends else None

    def describe(self) -> str:
        """One line for logs and metadata."""
        return f"synthetic market, seed {self._seed}, {len(self._instruments)} instruments"

    def _background(self, instrument: str, granularity: str) -> _Background:
        if instrument not in self._instruments or granularity_named(granularity).name not in GRANULARITIES:
            raise SourceEmptyError(
                asked=f"{instrument} {granularity} of the synthetic market",
                found=f"instruments {', '.join(self._instruments) or 'none'}",
                allowed=f"one of these in {', '.join(GRANULARITIES)}",
                action="add the instrument to the settings, or resample coarser candles from these",
            )
        return _background(self._seed, self._instruments[instrument])

    def _candles(self, instrument: str, granularity: str, weeks: range) -> Candles:
        declared = self._instruments[instrument]
        background = _background(self._seed, declared)
        minutes = _joined([_week(self._seed, declared, background, week) for week in weeks])
        return minutes if granularity == "M1" else resample(minutes, granularity, self._calendar)


def _generator(seed: int, instrument: str, purpose: str) -> np.random.Generator:
    """A generator keyed by what it is for: the same in every process, unlike Python's hash()."""
    key = blake2b(f"{seed}:{instrument}:{purpose}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(key, "big")))


@lru_cache(maxsize=8)
def _background(seed: int, instrument: Instrument) -> _Background:
    """Weekly prices and hourly volatility from 1990 to 2037: 0.1 s and 3 MB an instrument."""
    open_ts = _NEW_YORK.opens("W")
    is_trading = _trading_hours(open_ts, instrument.kind)
    factor = np.exp(_noise(seed, instrument.name, _VOLATILITY_NOISES, len(open_ts) * _WEEK_HOURS, is_log=True))
    shape = np.tile(_HOURLY, _WEEK_HOURS // _DAY_HOURS)
    # A full FX week has, on average, its share of the annual variance; a week with holidays has less.
    weekly_variance = instrument.annual_volatility**2 / _WEEKS_PER_YEAR
    diffusive = weekly_variance * (1 - _WEEKEND_SHARE - _JUMP_SHARE)
    scale = np.sqrt(diffusive / (60 * np.sum(shape**2)))
    sigma = scale * shape * factor.reshape(-1, _WEEK_HOURS) * is_trading
    jump = float(np.sqrt(weekly_variance * _JUMP_SHARE / _JUMPS_PER_WEEK))
    start, end = _weekly_prices(seed, instrument, sigma, weekly_variance)
    return _Background(open_ts, is_trading, sigma, start, end, jump)


def _weekly_prices(
    seed: int, instrument: Instrument, sigma: FloatArray, weekly_variance: float
) -> tuple[FloatArray, FloatArray]:
    weeks = len(sigma)
    trend = _noise(seed, instrument.name, _TREND_NOISES, weeks, is_log=False) * np.sqrt(weekly_variance)
    within = np.sqrt(60 * np.sum(sigma**2, axis=1) + weekly_variance * _JUMP_SHARE)
    normal = _generator(seed, instrument.name, "weeks").standard_normal((2, weeks))
    moves = trend + within * normal[0]
    gaps = np.sqrt(weekly_variance * _WEEKEND_SHARE) * normal[1]
    pull = min(1.0, max(np.log(2) / _HALF_LIFE_WEEKS, weekly_variance / (2 * _WIDEST**2)))
    start, end = np.zeros(weeks), np.zeros(weeks)
    level = 0.0
    for week in range(weeks):
        start[week] = level
        end[week] = level * (1 - pull) + moves[week]
        level = end[week] + gaps[week]
    return start, end


def _noise(seed: int, instrument: str, noises: Sequence[tuple[int, float]], length: int, *, is_log: bool) -> FloatArray:
    """Sum of noises, each normal at nodes one period apart and interpolated so that its variance is the same between.

    Args:
        seed: Seed of the market.
        instrument: Name of the instrument.
        noises: (period in steps, standard deviation) of each.
        length: Number of steps.
        is_log: The sum is a log factor; it is shifted so that the square of the factor has mean 1.
    """
    steps = np.arange(length)
    total = np.zeros(length)
    for period, deviation in noises:
        purpose = f"{'volatility' if is_log else 'trend'} {period}"
        nodes = _generator(seed, instrument, purpose).standard_normal(length // period + 2)
        node, part = steps // period, steps % period / period
        mixed = nodes[node] * (1 - part) + nodes[node + 1] * part
        total += deviation * mixed / np.sqrt((1 - part) ** 2 + part**2)
    return total - sum(deviation**2 for _, deviation in noises) if is_log else total


def _trading_hours(open_ts: IntArray, kind: str) -> NDArray[np.bool_]:
    """Hours of each week (w, 120) in which the market is open."""
    days = _WEEK_HOURS // _DAY_HOURS
    # The trading day that opens at 17:00 New York has the date of the day after, which it is in UTC 12 hours later.
    stamps = open_ts[:, None] + np.arange(days) * 86_400 + 12 * 3_600
    dates = stamps.astype("datetime64[s]").astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    day_of_month = (dates - dates.astype("datetime64[M]")).astype(np.int64) + 1
    month = dates.astype("datetime64[M]").astype(np.int64) % 12 + 1
    is_holiday = (day_of_year == 0) | ((month == 12) & (day_of_month == 25))
    is_open = np.repeat(~is_holiday, _DAY_HOURS, axis=1)
    if kind in ("metal", "index"):
        is_open[:, ::_DAY_HOURS] = False
    return is_open


def _week(seed: int, instrument: Instrument, background: _Background, week: int) -> Candles:
    """M1 candles of one week: a random walk, bridged between the week's first and last price, rounded to ticks."""
    draw = _generator(seed, instrument.name, f"week {week}")
    hours = background.is_trading[week]
    minute = np.flatnonzero(np.repeat(hours, 60))
    sigma = np.repeat(background.sigma[week][hours], 60)
    moves = sigma * draw.standard_normal(len(minute))
    chance = np.cumsum(sigma)
    jumps = draw.poisson(_JUMPS_PER_WEEK)
    where = np.searchsorted(chance, draw.random(jumps) * chance[-1])
    np.add.at(moves, where, background.jump * draw.standard_normal(jumps))
    # Where the minute before had no candle the price has moved meanwhile: between the close and the next open.
    reopens = np.flatnonzero(np.diff(minute) > 1) + 1
    gaps = np.zeros(len(minute))
    gaps[reopens] = np.sqrt(_REOPEN_MINUTES) * sigma[reopens] * draw.standard_normal(len(reopens))
    walk = np.cumsum(moves + gaps)
    clock = np.cumsum(sigma**2)
    missing = background.end[week] - background.start[week] - walk[-1]
    closing = background.start[week] + walk + missing * (clock / clock[-1])
    price = instrument.reference_price * np.exp(np.concatenate(([background.start[week]], closing)))
    opening, closing = price[:-1].copy(), price[1:]
    opening[reopens] *= np.exp(gaps[reopens])
    walked = _Walk(background.open_ts[week] + minute * _MINUTE_S, opening, closing, sigma)
    return _rounded(instrument, walked, draw)


def _rounded(instrument: Instrument, walked: _Walk, draw: np.random.Generator) -> Candles:
    """Highs, lows and volumes of minutes, and all prices as whole ticks.

    Notes:
        The highest point of a Brownian motion from o to c with variance s² is (o + c + sqrt((c − o)² + 2 s² e)) / 2, e
        standard exponential; the lowest mirrored. Both are drawn independently of each other.
    """
    ts, opening, closing, sigma = walked
    length = len(ts)
    variance = 2 * (closing * sigma) ** 2
    square = (closing - opening) ** 2
    above = np.sqrt(square + variance * draw.standard_exponential(length))
    below = np.sqrt(square + variance * draw.standard_exponential(length))
    middle = opening + closing
    ticks = 10.0**instrument.decimals
    open_, high, low, close = (
        np.maximum(np.rint(price * ticks), 1.0)
        for price in (opening, (middle + above) / 2, (middle - below) / 2, closing)
    )
    # A market opens a tick off its last close as often as not.
    open_ = np.maximum(open_ + draw.integers(-1, 2, length), 1.0)
    high = np.maximum(high, np.maximum(open_, close))
    low = np.minimum(low, np.minimum(open_, close))
    average_sigma = instrument.annual_volatility / np.sqrt(_WEEKS_PER_YEAR * _WEEK_MINUTES)
    reach = (above + below) / (closing * average_sigma)
    volume = 1 + np.floor(_TICKS_PER_MINUTE * reach * (0.5 + draw.random(length)))
    # Dividing whole ticks gives the float nearest to the decimal price; multiplying by a tick size does not.
    return Candles(ts, ts + _MINUTE_S, open_ / ticks, high / ticks, low / ticks, close / ticks, volume)


def _weeks(background: _Background, start_ts: int, end_ts: int) -> tuple[int, int]:
    """First and one past the last week that have minutes in start_ts ≤ ts < end_ts."""
    if end_ts <= start_ts:
        return 0, 0
    first = int(np.searchsorted(background.open_ts, start_ts, side="right")) - 1
    return max(first, 0), int(np.searchsorted(background.open_ts, end_ts, side="left"))


def _joined(parts: Sequence[Candles]) -> Candles:
    if not parts:
        no_time, nothing = np.empty(0, np.int64), np.empty(0)
        return Candles(no_time, no_time, nothing, nothing, nothing, nothing, nothing)
    return Candles._make(np.concatenate(column) for column in zip(*parts, strict=True))


def _cut(candles: Candles, start_ts: int, end_ts: int) -> Candles:
    first, last = np.searchsorted(candles.ts, (start_ts, end_ts))
    return Candles._make(column[first:last] for column in candles)
