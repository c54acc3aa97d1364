"""When a market is expected to trade, and what is missing from that."""

import numpy as np
import pytest

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS, Instrument
from label_assets.market.calendar import SessionCalendar
from label_assets.market.trading_hours import HOLE_LIMIT_S, expected_opens, holes, is_expected
from label_assets.sources.synthetic import SyntheticMarket
from label_assets_tests.market.times import texts, utc

CALENDAR = SessionCalendar("17:00 America/New_York")
YEARS = utc("2021-01-01 00:00", "2024-01-01 00:00").tolist()


@pytest.mark.parametrize(
    ("text", "fx", "metal"),
    [
        ("2024-01-05 21:45", True, True),  # Friday 16:45 New York
        ("2024-01-05 22:00", False, False),  # the week is over
        ("2024-01-07 22:00", True, False),  # Sunday 17:00: FX opens, metals and indices an hour later
        ("2024-01-07 23:00", True, True),
        ("2024-07-10 20:59", True, True),  # Wednesday, summer
        ("2024-07-10 21:00", True, False),  # the daily break
        ("2024-07-10 21:59", True, False),
        ("2024-07-10 22:00", True, True),
        ("2023-12-24 22:30", False, False),  # the trading day of 25 December begins on the evening before
        ("2023-12-25 21:59", False, False),
        ("2023-12-25 22:00", True, False),
        ("2024-01-01 12:00", False, False),
        ("2022-12-26 12:00", False, False),  # Monday; 25 December was a Sunday
        ("2023-01-02 12:00", False, False),  # and so was 1 January
        ("2021-12-27 12:00", True, True),  # Monday after a Saturday
        ("2024-12-26 12:00", True, True),
    ],
)
def test_hours_by_kind(text: str, fx: bool, metal: bool) -> None:
    ts = utc(text)
    assert is_expected(ts, "fx").tolist() == [fx]
    assert is_expected(ts, "metal").tolist() == is_expected(ts, "index").tolist() == [metal]
    assert is_expected(ts, "other").tolist() == [False]


@pytest.mark.parametrize("name", ["EURUSD", "XAUUSD", "SPX500"])
@pytest.mark.parametrize("granularity", ["M15", "H1"])
def test_the_synthetic_market_trades_whenever_it_is_expected(name: str, granularity: str) -> None:
    instrument = next(item for item in DEFAULT_INSTRUMENTS if item.name == name)
    ts = SyntheticMarket(7, [instrument], CALENDAR).read(name, granularity, *YEARS, 2**40).candles.ts
    expected = expected_opens(instrument.kind, granularity, CALENDAR, *YEARS)
    assert holes(ts, expected) == []
    # It also trades on Mondays that follow a holiday on a Sunday.
    assert set(texts(np.setdiff1d(ts, expected))) <= {
        text for text in texts(ts) if text[:10] in {"2022-12-25", "2022-12-26", "2023-01-01", "2023-01-02"}
    }


@pytest.mark.parametrize(("granularity", "in_a_week"), [("H4", 30), ("D", 5), ("W", 1)])
def test_buckets_of_the_session_are_expected_where_the_market_is_open_in_them(granularity: str, in_a_week: int) -> None:
    week = utc("2024-03-10 21:00", "2024-03-17 21:00").tolist()
    for kind in HOLE_LIMIT_S:
        assert len(expected_opens(kind, granularity, CALENDAR, *week)) == in_a_week, kind


def test_kinds_of_instruments_without_hours_expect_nothing() -> None:
    assert Instrument(name="COFFEE").kind not in HOLE_LIMIT_S
    assert len(expected_opens("other", "M15", CALENDAR, *YEARS)) == 0


def test_a_hole_goes_on_over_the_weekend_and_is_counted_in_candles() -> None:
    start, end = utc("2024-01-01 00:00", "2024-02-01 00:00").tolist()
    expected = expected_opens("fx", "M15", CALENDAR, start, end)
    friday, sunday, lone = utc("2024-01-12 21:30", "2024-01-14 22:15", "2024-01-17 10:00")
    there = expected[~((expected >= friday) & (expected <= sunday)) & (expected != lone)]
    first, second = holes(there, expected)
    assert (first.start_ts, first.end_ts, first.candles) == (friday, sunday, 4)
    assert (second.start_ts, second.end_ts, second.candles) == (lone, lone, 1)


def test_holes_at_the_ends_and_of_everything() -> None:
    expected = np.arange(0, 9_000, 900)
    assert holes(expected, expected) == []
    assert holes(expected[:0], expected) == [(0, 8_100, 10)]
    assert holes(expected[2:-3], expected) == [(0, 900, 2), (6_300, 8_100, 3)]
    assert holes(expected[:0], expected[:0]) == []
