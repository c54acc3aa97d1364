"""Session calendar: LABELS.md §1. Golden days with the reason beside each, and laws over all years."""

import pickle
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from label_assets.catalog.granularities import GRANULARITIES
from label_assets.errors import CandleError, CatalogError, SettingsError
from label_assets.market.calendar import END_TS, FIRST_TS, SessionCalendar
from label_assets_tests.market.times import texts, utc

NEW_YORK = "17:00 America/New_York"
SESSIONS = (NEW_YORK, "21:00 UTC", "00:00 UTC", "17:00 Europe/London", "22:00 America/New_York", "07:00 Asia/Tokyo")


def _walk(calendar: SessionCalendar, granularity: str, first: str, count: int) -> list[str]:
    opens = [calendar.bucket_open(utc(first), granularity)]
    for _ in range(count - 1):
        opens.append(calendar.bucket_close(opens[-1], granularity))
    return texts(np.concatenate(opens))


@pytest.mark.parametrize(
    ("session", "granularity", "first", "expected"),
    [
        pytest.param(
            NEW_YORK,
            "D",
            "2024-03-08 12:00",
            ["2024-03-07 22:00", "2024-03-08 22:00", "2024-03-09 22:00", "2024-03-10 21:00", "2024-03-11 21:00"],
            id="US clocks go forward on Sunday 2024-03-10 02:00: Saturday's bucket has 23 hours",
        ),
        pytest.param(
            NEW_YORK,
            "H4",
            "2024-03-10 02:00",
            ["2024-03-10 02:00", "2024-03-10 06:00", "2024-03-10 09:00", "2024-03-10 13:00", "2024-03-10 17:00"],
            id="the same day on H4: 01:00 EST to 05:00 EDT has 3 hours",
        ),
        pytest.param(
            NEW_YORK,
            "H4",
            "2024-11-03 01:00",
            ["2024-11-03 01:00", "2024-11-03 05:00", "2024-11-03 10:00", "2024-11-03 14:00"],
            id="US clocks go back on 2024-11-03: 01:00 occurs twice, its first occurrence opens a bucket of 5 hours",
        ),
        pytest.param(
            NEW_YORK,
            "D",
            "2006-04-01 23:00",
            ["2006-04-01 22:00", "2006-04-02 21:00"],
            id="until 2006 the US changed clocks on the first Sunday of April",
        ),
        pytest.param(
            NEW_YORK,
            "D",
            "2007-03-10 23:00",
            ["2007-03-10 22:00", "2007-03-11 21:00"],
            id="since 2007 on the second Sunday of March",
        ),
        pytest.param(
            NEW_YORK,
            "W",
            "2024-03-04 00:00",
            ["2024-03-03 22:00", "2024-03-10 21:00", "2024-03-17 21:00"],
            id="weeks open on Sunday 17:00 local",
        ),
        pytest.param(
            "17:00 Europe/London",
            "H4",
            "2024-03-30 22:00",
            ["2024-03-30 21:00", "2024-03-31 01:00", "2024-03-31 04:00", "2024-03-31 08:00"],
            id="London goes forward at 01:00 on 2024-03-31: 01:00 does not exist, the old offset puts it at 01:00 UTC",
        ),
        pytest.param(
            "17:00 Europe/London",
            "H4",
            "2024-10-26 21:00",
            ["2024-10-26 20:00", "2024-10-27 00:00", "2024-10-27 05:00", "2024-10-27 09:00"],
            id="London goes back on 2024-10-27: 01:00 occurs twice, first at 00:00 UTC",
        ),
        pytest.param(
            "21:00 UTC",
            "H4",
            "2024-07-01 00:00",
            [f"2024-06-30 {21:02}:00", *(f"2024-07-01 {hour:02}:00" for hour in (1, 5, 9, 13, 17, 21))],
            id="a session in UTC opens H4 at 01, 05, 09, 13, 17, 21 all year",
        ),
        pytest.param(
            "00:00 UTC",
            "W",
            "2024-07-07 23:59",
            ["2024-07-01 00:00", "2024-07-08 00:00"],
            id="calendar days: weeks open on Monday",
        ),
        pytest.param(
            "17:00 Pacific/Apia",
            "D",
            "2011-12-29 12:00",
            ["2011-12-29 03:00", "2011-12-30 03:00", "2011-12-31 03:00", "2012-01-01 03:00"],
            id="Samoa skipped 2011-12-30: its 17:00 at the old offset and that of the 31st are one instant, one bucket",
        ),
    ],
)
def test_golden_opens(session: str, granularity: str, first: str, expected: list[str]) -> None:
    assert _walk(SessionCalendar(session), granularity, first, len(expected)) == expected


@pytest.mark.parametrize("session", [NEW_YORK, "17:00 Europe/London", "17:00 Pacific/Apia"])
def test_opens_are_the_local_times(session: str) -> None:
    """Every H4 open from 1990 to 2037, one by one through zoneinfo (the table asks only where clocks change)."""
    time, zone = session.split(" ")
    local = datetime.fromisoformat(f"1990-01-02 {time}")
    expected = []
    while local.year < 2038:
        expected.append(int(local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp()))
        local += timedelta(hours=4)
    opens = SessionCalendar(session).opens("H4")
    np.testing.assert_array_equal(opens[(opens >= expected[0]) & (opens <= expected[-1])], np.unique(expected))


@pytest.mark.parametrize("session", SESSIONS)
def test_granularities_nest(session: str) -> None:
    """M15 ⊂ H1 ⊂ H4 ⊂ D ⊂ W: the coarser open of an instant is that of its finer bucket, over all years."""
    calendar = SessionCalendar(session)
    ts = np.concatenate(
        [np.arange(FIRST_TS, END_TS, 25_200), calendar.opens("H4")[1:-90], calendar.opens("H4")[1:-90] - 1]
    )
    ts = ts[(ts >= FIRST_TS) & (ts < END_TS)]
    names = list(GRANULARITIES)
    for fine, coarse in pairwise(names):
        fine_open, fine_close = calendar.bucket_open(ts, fine), calendar.bucket_close(ts, fine)
        coarse_open, coarse_close = calendar.bucket_open(ts, coarse), calendar.bucket_close(ts, coarse)
        np.testing.assert_array_equal(calendar.bucket_open(fine_open, coarse), coarse_open)
        assert np.all((coarse_open <= fine_open) & (fine_close <= coarse_close))
        assert np.all((fine_open <= ts) & (ts < fine_close))
        assert calendar.is_open(fine_open, fine).all()
        np.testing.assert_array_equal(
            calendar.bucket_open(fine_close[fine_close < END_TS] - 1, fine), fine_open[fine_close < END_TS]
        )


def test_is_open() -> None:
    calendar = SessionCalendar(NEW_YORK)
    ts = utc("2024-01-02 22:00", "2024-01-02 21:00", "2024-07-02 21:00", "2024-07-02 22:00")
    assert calendar.is_open(ts, "D").tolist() == [True, False, True, False]
    assert calendar.is_open(ts, "H4").tolist() == [True, False, True, False]
    assert calendar.is_open(ts, "H1").all()
    assert not calendar.is_open(ts + 60, "M5").any()


def test_shapes_and_empty_arrays() -> None:
    calendar = SessionCalendar(NEW_YORK)
    for name in GRANULARITIES:
        assert calendar.bucket_open(np.empty(0), name).dtype == np.int64
        assert calendar.bucket_open(np.full((2, 3), FIRST_TS), name).shape == (2, 3)
        assert int(calendar.bucket_open(FIRST_TS, name)) <= FIRST_TS


@pytest.mark.parametrize("name", GRANULARITIES)
@pytest.mark.parametrize("ts", [END_TS, 0, -1, 2**62, FIRST_TS - 8 * 86_400])
def test_stamps_out_of_range_are_an_error(ts: int, name: str) -> None:
    calendar = SessionCalendar(NEW_YORK)
    for method in (calendar.bucket_open, calendar.bucket_close, calendar.is_open):
        with pytest.raises(CandleError, match="1990 to 2037"):
            method(np.array([FIRST_TS, ts]), name)


def test_first_and_last_stamp_have_buckets() -> None:
    for session in SESSIONS:
        calendar = SessionCalendar(session)
        for name in GRANULARITIES:
            opens = calendar.bucket_open([FIRST_TS, END_TS - 1], name)
            assert opens[0] <= FIRST_TS < calendar.bucket_close(opens, name)[0]
            assert opens[1] < END_TS <= calendar.bucket_close(opens, name)[1]


def test_fractions_of_seconds_are_an_error() -> None:
    with pytest.raises(CandleError, match="float64"):
        SessionCalendar(NEW_YORK).bucket_open(np.array([FIRST_TS + 0.5]), "M1")


@pytest.mark.parametrize(
    ("session", "found"),
    [
        ("17:00", "another form"),
        ("5:00 UTC", "another form"),
        ("25:00 UTC", "another form"),
        ("17:60 UTC", "another form"),
        ("17:00 UTC ", "another form"),
        ("", "another form"),
        ("17:00 Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("17:00 America", "no time zone"),
        ("17:00 ../UTC", "no time zone"),
        ("17:30 UTC", "opens at"),
        ("17:00 Asia/Kolkata", "opens at"),
        ("17:00 Australia/Lord_Howe", "opens at"),  # half an hour of daylight saving
        ("17:30 Asia/Singapore", "opens at"),
    ],
)
def test_unusable_sessions_are_refused(session: str, found: str) -> None:
    with pytest.raises(SettingsError, match=found):
        SessionCalendar(session)


def test_a_half_hour_zone_with_a_half_hour_session_is_fine() -> None:
    assert _walk(SessionCalendar("17:30 Asia/Kolkata"), "D", "2024-01-02 13:00", 2) == [
        "2024-01-02 12:00",
        "2024-01-03 12:00",
    ]


def test_unknown_granularity() -> None:
    with pytest.raises(CatalogError):
        SessionCalendar(NEW_YORK).bucket_open([FIRST_TS], "H2")
    with pytest.raises(SettingsError, match="multiples"):
        SessionCalendar(NEW_YORK).opens("H1")


def test_calendars_are_values() -> None:
    calendar = SessionCalendar(NEW_YORK)
    assert pickle.loads(pickle.dumps(calendar)) == calendar == SessionCalendar()
    assert hash(calendar) == hash(SessionCalendar(NEW_YORK))
    with pytest.raises(ValueError, match="read-only"):
        calendar.opens("D")[0] = 0
