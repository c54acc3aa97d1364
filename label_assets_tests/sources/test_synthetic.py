"""The synthetic market: determinism, trading hours, and whether it resembles a market."""

import hashlib
import subprocess
import sys
from functools import lru_cache

import numpy as np
import pytest

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS, Instrument
from label_assets.errors import SourceEmptyError
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import FIRST_TS, SessionCalendar
from label_assets.market.resampling import resample
from label_assets.market.validation import (
    VALID,
    CandleColumns,
    is_misaligned,
    opens_too_early,
    reason_codes,
)
from label_assets.sources.synthetic import GRANULARITIES, SyntheticMarket
from label_assets_tests.market.times import texts, utc

CALENDAR = SessionCalendar("17:00 America/New_York")
MARKET = SyntheticMarket(7, DEFAULT_INSTRUMENTS, CALENDAR)
LATE = 2**40
NAMES = {instrument.name: instrument for instrument in DEFAULT_INSTRUMENTS}
BY_KIND = ["EURUSD", "USDJPY", "XAUUSD", "SPX500"]


def _read(name: str, start: str, end: str, granularity: str = "M15", market: SyntheticMarket = MARKET) -> Candles:
    return market.read(name, granularity, int(utc(start)[0]), int(utc(end)[0]), LATE).candles


def _assert_equal(left: Candles, right: Candles) -> None:
    for name, a, b in zip(Candles._fields, left, right, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def _hash(candles: Candles) -> str:
    return hashlib.sha256(b"".join(column.tobytes() for column in candles)).hexdigest()


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("name", ["EURUSD", "SPX500"])
def test_any_range_gives_the_same_bits(name: str, granularity: str) -> None:
    whole = _read(name, "2019-11-01 00:00", "2020-03-01 00:00", granularity)
    draw = np.random.default_rng(3)
    first_ts, end_ts = int(utc("2019-11-01 00:00")[0]), int(utc("2020-03-01 00:00")[0])
    borders = np.sort([first_ts, *draw.integers(first_ts, end_ts, 9), end_ts])
    fresh = SyntheticMarket(7, [NAMES[name]], SessionCalendar("21:00 UTC"), start_ts=first_ts, end_ts=end_ts)
    for market in (MARKET, fresh):
        parts = [
            market.read(name, granularity, int(borders[i]), int(borders[i + 1]), LATE).candles
            for i in reversed(range(len(borders) - 1))
        ]
        _assert_equal(Candles._make(np.concatenate(column) for column in zip(*parts[::-1], strict=True)), whole)


def test_another_process_gives_the_same_bits() -> None:
    code = (
        "from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS as I\n"
        "from label_assets.market.calendar import SessionCalendar as C\n"
        "from label_assets.sources.synthetic import SyntheticMarket as M\n"
        "import hashlib\n"
        "c = M(7, I, C()).read('EURUSD', 'M15', 1577836800, 1580515200, 2**40).candles\n"
        "print(hashlib.sha256(b''.join(x.tobytes() for x in c)).hexdigest())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == _hash(_read("EURUSD", "2020-01-01 00:00", "2020-02-01 00:00"))


def test_seed_and_instrument_matter() -> None:
    hashes = {_hash(_read(name, "2020-01-01 00:00", "2020-02-01 00:00")) for name in ("EURUSD", "GBPUSD")}
    other = SyntheticMarket(8, DEFAULT_INSTRUMENTS, CALENDAR)
    hashes.add(_hash(_read("EURUSD", "2020-01-01 00:00", "2020-02-01 00:00", market=other)))
    assert len(hashes) == 3


@pytest.mark.parametrize("granularity", ["M5", "M15", "H1"])
def test_granularities_agree(granularity: str) -> None:
    minutes = _read("XAUUSD", "2020-03-01 00:00", "2020-04-01 00:00", "M1")
    coarse = _read("XAUUSD", "2020-03-01 00:00", "2020-04-01 00:00", granularity)
    _assert_equal(resample(minutes, granularity, CALENDAR), coarse)


def test_fx_trades_from_sunday_to_friday_17_new_york() -> None:
    ts = _read("EURUSD", "2024-03-01 00:00", "2024-03-17 00:00", "M1").ts
    gaps = np.flatnonzero(np.diff(ts) > 60)
    # US clocks went forward on 2024-03-10.
    assert texts(ts[gaps]) == ["2024-03-01 21:59", "2024-03-08 21:59"]
    assert texts(ts[gaps + 1]) == ["2024-03-03 22:00", "2024-03-10 21:00"]
    assert texts(ts[-1:]) == ["2024-03-15 20:59"]


def test_metals_and_indices_pause_an_hour_a_day() -> None:
    for name in ("XAUUSD", "GER40"):
        ts = _read(name, "2024-03-07 00:00", "2024-03-13 00:00").ts
        gaps = np.flatnonzero(np.diff(ts) > 900)
        assert texts(ts[gaps + 1]) == ["2024-03-07 23:00", "2024-03-10 22:00", "2024-03-11 22:00", "2024-03-12 22:00"]
        assert texts(ts[gaps]) == ["2024-03-07 21:45", "2024-03-08 21:45", "2024-03-11 20:45", "2024-03-12 20:45"]


@pytest.mark.parametrize(
    ("name", "last", "first"),
    [("EURUSD", "21:45", "22:00"), ("SPX500", "21:45", "23:00")],
)
def test_closed_on_christmas_and_new_year(name: str, last: str, first: str) -> None:
    """Trading days of 25 December 2024 (a Wednesday) and 1 January 2025."""
    ts = _read(name, "2024-12-24 12:00", "2025-01-02 12:00").ts
    gaps = np.flatnonzero(np.diff(ts) >= 86_400)
    assert texts(ts[gaps]) == [f"2024-12-24 {last}", f"2024-12-27 {last}", f"2024-12-31 {last}"]
    assert texts(ts[gaps + 1]) == [f"2024-12-25 {first}", f"2024-12-29 {first}", f"2025-01-01 {first}"]


@pytest.mark.parametrize("name", BY_KIND)
def test_candles_are_valid_and_prices_are_whole_ticks(name: str) -> None:
    candles = _read(name, "2022-01-01 00:00", "2023-01-01 00:00", "M5")
    none = np.zeros(len(candles.ts), np.bool_)
    codes = reason_codes(
        CandleColumns(candles.ts, ~none, none, *candles[2:], none.astype(np.int8)), "M5", CALENDAR, LATE
    )
    assert np.all(codes == VALID)
    assert not is_misaligned(candles.ts, "M5", CALENDAR).any()
    assert not opens_too_early(candles.ts, candles.close_ts).any()
    for price in candles[2:6]:
        np.testing.assert_array_equal(price, np.round(price, NAMES[name].decimals))
    assert candles.volume.min() >= 1
    np.testing.assert_array_equal(candles.volume, np.round(candles.volume))


def test_opens_are_a_tick_around_the_close_before() -> None:
    candles = _read("EURUSD", "2024-03-11 00:00", "2024-03-15 20:00", "M1")
    ticks = np.round((candles.open[1:] - candles.close[:-1]) * 1e5)
    assert set(ticks.tolist()) == {-1.0, 0.0, 1.0}
    gold = _read("XAUUSD", "2020-01-01 00:00", "2021-01-01 00:00")
    reopened = np.flatnonzero(np.diff(gold.ts) == 3_600 + 900)
    jump = np.abs(gold.open[reopened + 1] - gold.close[reopened])
    usual = np.abs(gold.open[1:] - gold.close[:-1])
    assert np.median(jump) > 5 * np.median(usual) + 0.02


@lru_cache
def _decade(name: str) -> Candles:
    return _read(name, "2010-01-01 00:00", "2020-01-01 00:00")


@pytest.mark.parametrize("name", ["EURUSD", "NAS100"])
def test_volatility(name: str) -> None:
    """Over ten years and in each: of ten instruments over 40 years, years came to 0.76 .. 1.28 of the declared one."""
    candles = _decade(name)
    returns = np.diff(np.log(candles.close))
    expected = NAMES[name].annual_volatility
    assert 0.85 < np.sqrt(np.sum(returns**2) / 10) / expected < 1.15
    for granularity, per_year in (("D", 260), ("W", 52.18)):
        coarse = np.diff(np.log(resample(candles, granularity, CALENDAR).close))
        assert 0.8 < np.std(coarse) * np.sqrt(per_year) / expected < 1.2
    years = candles.ts[1:].astype("datetime64[s]").astype("datetime64[Y]")
    for year in np.unique(years):
        assert 0.7 < np.sqrt(np.sum(returns[years == year] ** 2)) / expected < 1.3
    # Fat tails, no drift from one return to the next.
    assert np.mean((returns - returns.mean()) ** 4) / np.var(returns) ** 2 > 4
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.02


def test_volatility_clusters_beyond_the_hour_of_day() -> None:
    candles = _decade("EURUSD")
    size = np.abs(np.diff(np.log(candles.close)))
    hour = candles.ts[1:] // 900 % 96
    usual = np.array([size[hour == h].mean() for h in range(96)])
    relative = size / usual[hour]
    for lag in (1, 4, 96, 480):
        assert np.corrcoef(relative[lag:], relative[:-lag])[0, 1] > 0.02


def test_volatility_and_volume_follow_the_hour() -> None:
    """Winter, when New York is UTC − 5: Asia 23..04 UTC, London from 08, New York 13..16."""
    candles = _read("EURUSD", "2012-01-05 00:00", "2012-03-05 00:00", "H1")
    spread, hour = np.log(candles.high / candles.low), candles.ts // 3_600 % 24
    asia = spread[(hour >= 1) & (hour <= 5)].mean()
    assert spread[(hour >= 8) & (hour <= 9)].mean() > 1.5 * asia
    assert spread[(hour >= 13) & (hour <= 15)].mean() > 2 * asia
    assert candles.volume[(hour >= 13) & (hour <= 15)].mean() > 2 * candles.volume[(hour >= 1) & (hour <= 5)].mean()
    assert np.corrcoef(spread, candles.volume)[0, 1] > 0.5


@pytest.mark.parametrize("name", ["EURUSD", "NAS100"])
def test_prices_stay_near_the_reference_price(name: str) -> None:
    market = SyntheticMarket(7, DEFAULT_INSTRUMENTS, CALENDAR, start_ts=FIRST_TS)
    reference = NAMES[name].reference_price
    for year in range(1990, 2038, 2):
        # One week in thirteen is enough to see where prices are, and keeps the test short.
        start = int(utc(f"{year}-01-01 00:00")[0])
        for week in range(4):
            first = start + week * 13 * 7 * 86_400
            candles = market.read(name, "H1", first, first + 7 * 86_400, LATE).candles
            assert candles.low.min() > reference / 4
            assert candles.high.max() < reference * 4


def test_extreme_instruments_stay_valid() -> None:
    odd = [
        Instrument(name="PENNY", decimals=0, reference_price=1.0, annual_volatility=5.0),
        Instrument(name="CALM", decimals=10, reference_price=1e-3, annual_volatility=0.001, kind="index"),
    ]
    market = SyntheticMarket(1, odd, CALENDAR, start_ts=FIRST_TS)
    for instrument in odd:
        candles = market.read(instrument.name, "M15", FIRST_TS, FIRST_TS + 10**8, LATE).candles
        none = np.zeros(len(candles.ts), np.bool_)
        codes = reason_codes(
            CandleColumns(candles.ts, ~none, none, *candles[2:], none.astype(np.int8)), "M15", CALENDAR, LATE
        )
        assert np.all(codes == VALID)


def test_no_unfinished_candle() -> None:
    now = int(utc("2024-03-12 10:07")[0])
    for granularity, last in (("M1", "10:06"), ("M5", "10:00"), ("M15", "09:45"), ("H1", "09:00")):
        batch = MARKET.read("EURUSD", granularity, now - 86_400, LATE, now)
        assert texts(batch.candles.ts[-1:]) == [f"2024-03-12 {last}"]
        batch.check_accounting()
    on_the_hour = int(utc("2024-03-12 10:00")[0])
    assert texts(MARKET.read("EURUSD", "H1", now - 86_400, LATE, on_the_hour).candles.ts[-1:]) == ["2024-03-12 09:00"]


def test_span_and_empty_ranges() -> None:
    market = SyntheticMarket(
        7,
        DEFAULT_INSTRUMENTS,
        CALENDAR,
        start_ts=int(utc("2024-03-08 20:30")[0]),
        end_ts=int(utc("2024-03-11 00:00")[0]),
    )
    span = market.span("EURUSD", "M15")
    assert span is not None
    assert texts(np.array(span)) == ["2024-03-08 20:30", "2024-03-10 23:45"]
    weekend = (int(utc("2024-03-09 00:00")[0]), int(utc("2024-03-10 00:00")[0]))
    batch = market.read("EURUSD", "M15", *weekend, LATE)
    assert (batch.rows_in, len(batch.candles.ts), batch.candles.ts.dtype) == (0, 0, np.int64)
    assert market.read("EURUSD", "M15", 0, 0, LATE).rows_in == 0
    assert SyntheticMarket(7, DEFAULT_INSTRUMENTS, CALENDAR, *weekend).span("EURUSD", "M15") is None
    assert MARKET.span("EURUSD", "H1") == (int(utc("2005-01-02 22:00")[0]), int(utc("2037-12-31 21:00")[0]))


@pytest.mark.parametrize(("name", "granularity"), [("ABCDEF", "M15"), ("EURUSD", "H4")])
def test_what_it_does_not_have(name: str, granularity: str) -> None:
    with pytest.raises(SourceEmptyError, match="synthetic market"):
        MARKET.read(name, granularity, 0, LATE, LATE)
    with pytest.raises(SourceEmptyError):
        MARKET.span(name, granularity)


def test_describe() -> None:
    assert MARKET.describe() == f"synthetic market, seed 7, {len(DEFAULT_INSTRUMENTS)} instruments"
