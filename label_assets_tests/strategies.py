"""Made-up markets for tests: path bars and the coarser candles resampled from them by the oracle.

Belongs here: generators of series, drawn by Hypothesis or by a seed, their change into arrays, and the windows that
every family starts from. Does not belong here: expected values.
"""

import math
import os
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from label_assets.catalog.granularities import granularity
from label_assets.kernels.arrays import Candles
from label_assets.kernels.windows import WindowParameters, Windows, path_windows
from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.market import bucket_function, bucket_opens, resample
from label_assets_tests.oracles.windows import Window, make_windows

settings.register_profile(
    "label_assets",
    deadline=None,  # the first example compiles kernels
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("label_assets")

LABELED = ("H1", "H4", "D", "W")
HORIZONS = (1, 3, 6, 24, 100)
SMALLEST_PRICE, LARGEST_PRICE = 1e-5, 1e5
START_TS = 1_709_251_200  # Friday 2024-03-01 00:00 UTC: daylight saving begins in New York nine days later
FRIDAY, SUNDAY = 4, 6
WEEKEND_HOUR = 21
DAY_S = 86_400


class Market(NamedTuple):
    """Candles of one granularity and the path bars that they are resampled from."""

    granularity: str
    candles: list[Candle]
    path: list[Candle]

    @property
    def bars_per_bar(self) -> int:
        return granularity(self.granularity).bars_per_bar

    @property
    def gap_limit_s(self) -> int:
        return granularity(self.granularity).gap_limit_s


@dataclass(frozen=True)
class Character:
    """How a made-up market behaves.

    Attributes:
        tick: Decimals of the price grid (5: 0.00001), or None for prices off any grid.
        price: First price.
        move: Typical move of one path bar, as a share of price.
        flat_share: Share of path bars with a single price, the last close.
        echo_share: Share of path bars that repeat an earlier high and low, so that extremes tie.
        flat_candles: Length of one stretch in which nothing moves [candles].
        jump_share: Share of path bars that open away from the last close.
        jump: Size of such a jump, as a logarithm; 3 is a factor of 20.
        missing_share: Share of path bars that do not exist.
        weekends: No bars from Friday to Sunday, 21:00 UTC.
        holes: Number of holes longer than the gap limit.
    """

    tick: int | None = 5
    price: float = 1.1
    move: float = 1e-3
    flat_share: float = 0.1
    echo_share: float = 0.1
    flat_candles: int = 0
    jump_share: float = 0.02
    jump: float = 0.01
    missing_share: float = 0.02
    weekends: bool = True
    holes: int = 0


QUIET = Character()
ROUGH = Character(
    tick=2, price=4.0, move=0.01, flat_share=0.2, echo_share=0.3, jump_share=0.1, jump=0.05, missing_share=0.08, holes=1
)
OFF_GRID = Character(tick=None, price=31_415.9, move=2e-3, flat_share=0.0, missing_share=0.0, weekends=False)
WILD = Character(tick=None, price=3e-4, move=0.2, flat_candles=20, jump_share=0.2, jump=2.0, missing_share=0.15)
CHARACTERS = {"quiet": QUIET, "rough": ROUGH, "off grid": OFF_GRID, "wild": WILD}


def as_columns(arrays: tuple) -> dict[str, list]:
    """The fields of a kernel's named tuple as plain lists."""
    return {name: array.tolist() for name, array in zip(arrays._fields, arrays, strict=True)}


def as_arrays(candles: list[Candle]) -> Candles:
    """The kernels' arrays of a list of candles."""
    times = {name: np.array([getattr(c, name) for c in candles], dtype=np.int64) for name in ("ts", "close_ts")}
    values = {
        name: np.array([getattr(c, name) for c in candles], dtype=np.float64)
        for name in ("open", "high", "low", "close", "volume")
    }
    return Candles(**times, **values)


def kernel_windows(market: Market, horizon: int, atr_period: int = 14, minimum_coverage: float = 0.8) -> Windows:
    """The windows that the kernels of all families take."""
    parameters = WindowParameters(horizon, market.bars_per_bar, market.gap_limit_s, minimum_coverage, atr_period)
    return path_windows(as_arrays(market.candles), as_arrays(market.path), parameters)


def oracle_windows(market: Market, horizon: int, atr_period: int = 14, minimum_coverage: float = 0.8) -> list[Window]:
    """The windows that the oracles of all families take."""
    return make_windows(
        market.candles,
        market.path,
        horizon,
        bars_per_bar=market.bars_per_bar,
        gap_limit_s=market.gap_limit_s,
        minimum_coverage=minimum_coverage,
        atr_period=atr_period,
    )


@cache
def _opens(path: str, days: int) -> list[int]:
    return bucket_opens(path, START_TS, START_TS + days * DAY_S)


@cache
def _bucket(name: str, days: int):
    return bucket_function(name, START_TS - 30 * DAY_S, START_TS + days * DAY_S)


def is_weekend(ts: int, length_s: int) -> bool:
    """The middle of the bar lies between Friday and Sunday 21:00 UTC."""
    middle = ts + length_s // 2
    day, hour = (middle // DAY_S + 3) % 7, middle % DAY_S // 3600
    return FRIDAY < day < SUNDAY or (day == FRIDAY and hour >= WEEKEND_HOUR) or (day == SUNDAY and hour < WEEKEND_HOUR)


def path_times(name: str, bars: int, character: Character, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(ts, close_ts) of `bars` path bars of the granularity `name`, with what is missing left out."""
    coarse, path = granularity(name), granularity(granularity(name).path)
    hole_s = coarse.gap_limit_s + coarse.seconds * 2
    span_s = int(bars * path.seconds * 1.5 / (1 - character.missing_share)) + hole_s * character.holes + 8 * DAY_S
    days = 64 * math.ceil(span_s / DAY_S / 64)
    opens = _opens(path.name, days)
    holes = set(rng.integers(bars // 4, bars, size=character.holes).tolist())
    times: list[tuple[int, int]] = []
    not_before = 0
    for ts, close_ts in pairwise(opens):
        if ts < not_before or (character.weekends and is_weekend(ts, path.seconds)):
            continue
        if rng.random() < character.missing_share:
            continue
        if len(times) in holes:
            holes.remove(len(times))
            not_before = ts + hole_s
            continue
        times.append((ts, close_ts))
        if len(times) == bars:
            break
    return times


def on_grid(price: float, tick: int | None) -> float:
    """The price within its bounds and, if there is a grid, on it."""
    price = min(max(price, SMALLEST_PRICE), LARGEST_PRICE)
    return price if tick is None else max(1, round(price * 10**tick)) / 10**tick


def path_bars(
    times: list[tuple[int, int]], character: Character, flat: range, rng: np.random.Generator
) -> list[Candle]:
    """Prices for the bars; `flat` are the bars in which nothing moves."""
    close = on_grid(character.price, character.tick)
    bars: list[Candle] = []
    for t, (ts, close_ts) in enumerate(times):
        draws = rng.random(3)
        if t in flat or draws[0] < character.flat_share:
            bars.append(Candle(ts, close_ts, close, close, close, close, 0.0))
            continue
        first = close
        if draws[1] < character.jump_share:
            first = on_grid(close * math.exp(character.jump * rng.standard_normal()), character.tick)
        close, up, down = first * np.exp(character.move * rng.standard_normal(3) * (1.0, 0.7, 0.7))
        close = on_grid(float(close), character.tick)
        high = max(first, close, on_grid(float(max(up, down)), character.tick))
        low = min(first, close, on_grid(float(min(up, down)), character.tick))
        if bars and draws[2] < character.echo_share:
            earlier = bars[-1 - int(rng.integers(0, min(len(bars), 12)))]
            high, low = max(first, close, earlier.high), min(first, close, earlier.low)
        bars.append(Candle(ts, close_ts, first, high, low, close, float(rng.integers(1, 9))))
    return bars


def market_of(name: str, path: list[Candle]) -> Market:
    """The market of a list of path bars."""
    days = 64 * math.ceil((path[-1].close_ts - START_TS + 10 * DAY_S) / DAY_S / 64)
    return Market(name, resample(path, _bucket(name, days)), path)


def random_market(name: str, count: int, seed: int, character: Character = QUIET) -> Market:
    """A market of about `count` candles of granularity `name` that depends on nothing but its arguments."""
    rng = np.random.default_rng(seed)
    per_bar = granularity(name).bars_per_bar
    times = path_times(name, count * per_bar, character, rng)
    start = int(rng.integers(0, len(times)))
    flat = range(start, start + character.flat_candles * per_bar)
    return market_of(name, path_bars(times, character, flat, rng))


@st.composite
def characters(draw: st.DrawFn) -> Character:
    """Every kind of market: calm and wild, on a grid and off it, whole and full of holes."""
    return Character(
        tick=draw(st.sampled_from([None, 5, 3, 2, 0])),
        price=draw(st.sampled_from([1.1, 1e-5, 4.0, 150.0, 1e5])),
        move=draw(st.sampled_from([1e-3, 1e-9, 1e-5, 0.02, 0.3])),
        flat_share=draw(st.sampled_from([0.1, 0.0, 0.6, 0.97])),
        echo_share=draw(st.sampled_from([0.1, 0.0, 0.5])),
        flat_candles=draw(st.sampled_from([0, 3, 20])),
        jump_share=draw(st.sampled_from([0.02, 0.0, 0.3])),
        jump=draw(st.sampled_from([0.01, 1e-6, 0.3, 3.0])),
        missing_share=draw(st.sampled_from([0.02, 0.0, 0.15, 0.3])),
        weekends=draw(st.booleans()),
        holes=draw(st.integers(0, 2)),
    )


@st.composite
def large_markets(draw: st.DrawFn, name: str, count: int) -> Market:
    """A seeded market of a drawn character: enough candles for long horizons and the full ATR."""
    return random_market(name, count, draw(st.integers(0, 2**32 - 1)), draw(characters()))


@st.composite
def small_markets(draw: st.DrawFn, name: str, most_candles: int = 12) -> Market:
    """Few candles, each path bar drawn, on a grid of whole numbers: small enough to read when it fails.

    Use a short ATR period with these.
    """
    path = granularity(granularity(name).path)
    step = st.tuples(
        st.sampled_from([1] * 24 + [2, 3, 9, 60]),  # bars since the last one, 60 leaving a hole
        st.sampled_from([0, 0, 0, 0, 1, -1, 5]),  # open against the last close
        st.sampled_from([0, 1, 1, 2, 4]),  # above the body
        st.sampled_from([0, 1, 1, 2, 4]),  # below the body
        st.sampled_from([0, 0, 1, -1, 1, -1, 3, -3, 12]),  # close against the open
    )
    per_bar = granularity(name).bars_per_bar
    steps = draw(st.lists(step, min_size=3 * per_bar, max_size=most_candles * per_bar))
    scale = draw(st.sampled_from([1.0, 1e-5, 0.01, 2.0**-7, 997.0]))
    opens = _opens(path.name, 64 * math.ceil(len(steps) * 60 * path.seconds / DAY_S / 64 + 1))
    at, close = 0, draw(st.sampled_from([20, 3, 1000]))
    bars = []
    for skipped, jump, above, below, change in steps:
        at += skipped
        first = max(1, close + jump)
        close = max(1, first + change)
        prices = (first, max(first, close) + above, max(1, min(first, close) - below), close)
        bars.append(Candle(opens[at], opens[at + 1], *(price * scale for price in prices), 1.0))
    return market_of(name, bars)


def any_small_market() -> st.SearchStrategy[Market]:
    """Small markets of every labeled granularity."""
    return st.sampled_from(LABELED).flatmap(small_markets)


def any_large_market(count: int) -> st.SearchStrategy[Market]:
    """Large markets of every labeled granularity, of about `count` candles."""
    return st.sampled_from(LABELED).flatmap(lambda name: large_markets(name, count))


@st.composite
def law_cuts(draw: st.DrawFn, market: Market) -> dict[str, int]:
    """Where the laws cut time, and by which power of two they scale prices."""
    cut = draw(st.integers(1, len(market.candles) - 1))
    return {
        "cut": cut,
        "end": draw(st.integers(cut + 1, len(market.candles))),
        "exponent": draw(st.integers(-30, 30)),
    }
