"""Clocks against a plain-Python oracle, whole series there and back, and files whose clock is known."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.errors import SettingsError
from label_assets.kernels.arrays import IntArray
from label_assets.sources.clocks import Clock, parse_clock, to_utc
from label_assets_tests.conftest import SHARED_DATA

ZONES = (
    "UTC",
    "America/New_York",
    "America/Sao_Paulo",  # southern; changed at midnight, so the repeated hour is in the day before
    "America/St_Johns",  # half an hour off; changed at 00:01 until 2011
    "Europe/London",
    "Europe/Athens",
    "Africa/Casablanca",  # changes four times in some years
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Pyongyang",  # half an hour back in 2015
    "Australia/Lord_Howe",  # daylight saving of half an hour
    "Australia/Sydney",
    "Pacific/Apia",  # skipped a whole day in 2011
    "Pacific/Auckland",
)
SPACINGS_S = (60, 300, 900, 1_800, 3_600, 14_400, 86_400)
FIRST_S, LAST_S = 631_152_000, 2_145_916_799
HOUR_S = 3_600


def stamp(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def stamps(*texts: str) -> IntArray:
    return np.array([stamp(text) for text in texts], np.int64)


def local_of(utc_s: IntArray, clock: Clock) -> IntArray:
    """Local stamps of instants, one at a time."""
    local = []
    for ts in utc_s.tolist():
        step = max(index for index, start in enumerate(clock.starts) if start <= ts)
        local.append(ts + clock.offsets_s[step])
    return np.array(local, np.int64)


def zone_offset_s(ts: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(ts, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def instants_of(local: int, zone: ZoneInfo) -> set[int]:
    """All instants of a local time, by zoneinfo alone: those of fold 0 and 1 that give the local time back."""
    naive = datetime.fromtimestamp(local, UTC).replace(tzinfo=None)
    found = {int(naive.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1)}
    return {ts for ts in found if ts + zone_offset_s(ts, zone) == local}


moments = st.integers(FIRST_S, LAST_S)
shifts = st.integers(-26, 26)


@st.composite
def clocks(draw: st.DrawFn) -> Clock:
    """Any clock: a zone, a zone that is moved, an offset, or pieces of these that change at least three days apart."""

    def one() -> str:
        kind = draw(st.sampled_from(("zone", "moved", "offset")))
        if kind == "offset":
            return f"{draw(st.integers(-11, 13)):+03d}:{draw(st.sampled_from(('00', '30')))}"
        zone = draw(st.sampled_from(ZONES))
        return zone if kind == "zone" else f"{zone} {draw(st.sampled_from('+-'))} {draw(st.integers(0, 12))} h"

    changes = sorted(draw(st.lists(st.integers(FIRST_S, LAST_S), max_size=3)))
    pieces: list[tuple[str, str | None]] = []
    for change in changes:
        pieces.append((one(), datetime.fromtimestamp(change, UTC).strftime("%Y-%m-%dT%H:%M:%S")))
    pieces.append((one(), None))
    if len(pieces) == 1:
        return parse_clock(pieces[0][0])
    try:
        return parse_clock(pieces)
    except SettingsError as error:
        if "before it begins" not in error.found and "must lie between" not in error.found:
            raise
        return parse_clock(pieces[-1][0])


@st.composite
def whole_series(draw: st.DrawFn) -> tuple[Clock, int, IntArray]:
    """A clock, a spacing and every instant at that spacing in a stretch of time, often around a change of the clock."""
    clock = draw(clocks())
    spacing_s = draw(st.sampled_from(SPACINGS_S))
    middle = draw(st.sampled_from(clock.starts[1:]) if len(clock.starts) > 1 and draw(st.booleans()) else moments)
    # Both ends a day and two rows away from the change: a series that ends in a repeated hour cannot tell which it was.
    margin_s = 2 * max(spacing_s, 15 * HOUR_S)
    begin = middle - margin_s - draw(st.integers(0, 40)) * spacing_s
    end = middle + margin_s + draw(st.integers(0, 40)) * spacing_s
    return clock, spacing_s, np.arange(begin - begin % spacing_s, end, spacing_s, dtype=np.int64)


@pytest.mark.parametrize("name", ZONES)
def test_steps_of_a_zone_are_those_of_zoneinfo(name: str) -> None:
    """Each change is found to the second, and no instant in between differs."""
    clock, zone = parse_clock(name), ZoneInfo(name)
    assert clock.starts[0] < FIRST_S
    for start, before, after in zip(clock.starts[1:], clock.offsets_s[:-1], clock.offsets_s[1:], strict=True):
        assert zone_offset_s(start - 1, zone) == before != after == zone_offset_s(start, zone)
    every = np.arange(FIRST_S, LAST_S, 7 * 86_400 + 3_601)
    expected = [zone_offset_s(ts, zone) for ts in every.tolist()]
    assert (local_of(every, clock) - every).tolist() == expected


@given(name=st.sampled_from(ZONES), moment=moments, data=st.data())
def test_instants_are_those_of_zoneinfo(name: str, moment: int, data: st.DataObject) -> None:
    """A local time has no instant, one or two, and the one that is chosen is one of them."""
    clock, zone = parse_clock(name), ZoneInfo(name)
    changes = [start + max(clock.offsets_s) for start in clock.starts[1:]] or [moment]
    local = data.draw(st.one_of(st.just(moment), st.sampled_from(changes).flatmap(near)))
    expected = instants_of(local, zone)
    found = to_utc(np.array([local], np.int64), clock)
    assert bool(found.is_missing[0]) == (not expected)
    assert bool(found.is_repeated[0]) == (len(expected) == 2)
    if expected:
        assert int(found.ts[0]) == min(expected)  # alone in its file: the first of two


def near(change: int) -> st.SearchStrategy[int]:
    return st.integers(change - 2 * HOUR_S, change + 2 * HOUR_S).map(lambda local: max(local, FIRST_S))


@settings(max_examples=300)
@given(whole_series())
def test_whole_series_come_back(series: tuple[Clock, int, IntArray]) -> None:
    """UTC → local → UTC for every clock and spacing, in ascending and in descending files."""
    clock, _, utc_s = series
    local = local_of(utc_s, clock)
    found = to_utc(local, clock)
    assert not found.is_missing.any()
    assert found.ts.tolist() == utc_s.tolist()
    assert to_utc(local[::-1].copy(), clock).ts.tolist() == utc_s[::-1].tolist()


@settings(max_examples=50)
@given(whole_series())
def test_files_sorted_by_local_time_keep_every_instant(series: tuple[Clock, int, IntArray]) -> None:
    """Someone sorted the file by its stamps: of equal stamps, which kept their order, the first is the first.

    Holds where no copy of a repeated interval has stamps that the other lacks, as at spacings that divide the change.
    """
    clock, spacing_s, utc_s = series
    local = local_of(utc_s, clock)
    widths = [before - after for before, after in zip(clock.offsets_s[:-1], clock.offsets_s[1:], strict=True)]
    if any(width % spacing_s for width in widths if width > 0):
        return
    order = np.argsort(local, kind="stable")
    assert to_utc(local[order], clock).ts.tolist() == utc_s[order].tolist()


@settings(max_examples=50)
@given(whole_series(), st.integers(0, 2**32 - 1))
def test_shuffled_files_lose_no_instant_that_has_one_meaning(series: tuple[Clock, int, IntArray], seed: int) -> None:
    clock, _, utc_s = series
    order = np.random.default_rng(seed).permutation(len(utc_s))
    found = to_utc(local_of(utc_s, clock)[order], clock)
    single = ~found.is_repeated
    assert found.ts[single].tolist() == utc_s[order][single].tolist()


@given(whole_series())
def test_gaps_lose_no_order(series: tuple[Clock, int, IntArray]) -> None:
    """With every third row left out both copies still show where the clock was put back, at spacings below the hour."""
    clock, spacing_s, utc_s = series
    widths = [before - after for before, after in zip(clock.offsets_s[:-1], clock.offsets_s[1:], strict=True)]
    if any(0 < width < 4 * spacing_s for width in widths):
        return
    kept = utc_s[np.arange(len(utc_s)) % 3 != 1]
    assert to_utc(local_of(kept, clock), clock).ts.tolist() == kept.tolist()


NEW_YORK = parse_clock("America/New_York")


def test_missing_hour_is_said_and_not_shifted() -> None:
    found = to_utc(stamps("2018-03-11T01:59", "2018-03-11T02:00", "2018-03-11T02:59", "2018-03-11T03:00"), NEW_YORK)
    assert found.is_missing.tolist() == [False, True, True, False]
    assert found.ts[[0, 3]].tolist() == stamps("2018-03-11T06:59", "2018-03-11T07:00").tolist()


@pytest.mark.parametrize(
    ("local", "utc", "reason"),
    [
        (
            "00:59 01:00 01:59 01:00 01:59 02:00",
            "04:59 05:00 05:59 06:00 06:59 07:00",
            "time runs backwards: both copies",
        ),
        ("00:00 01:00 01:00 02:00", "04:00 05:00 06:00 07:00", "hourly rows: the pair is both copies"),
        ("00:58 00:59 01:00 01:01 03:30 03:31", "04:58 04:59 05:00 05:01 08:30 08:31", "joins the row before: first"),
        ("00:20 01:58 01:59 02:00 02:01", "04:20 06:58 06:59 07:00 07:01", "joins the row after: second"),
        ("00:58 00:59 01:00 01:01", "04:58 04:59 05:00 05:01", "the file ends in the repeated hour: first"),
        ("01:58 01:59 02:00 02:01", "06:58 06:59 07:00 07:01", "the file begins in it and joins what follows: second"),
        (
            "00:59 01:00 01:00 01:01 03:00",
            "04:59 05:00 05:00 05:01 08:00",
            "one row twice is no second copy of the hour",
        ),
        ("21:00 01:00 04:00 08:00", "25:00 05:00 09:00 13:00", "four hours apart only as first"),
        ("22:00 01:00 05:00 09:00", "26:00 06:00 10:00 14:00", "four hours apart only as second"),
        (
            "01:00 01:30 01:30 01:00 01:29 01:30 02:00",
            "05:00 05:30 05:30 06:00 06:29 06:30 07:00",
            "a row twice within the first copy",
        ),
        (
            "00:59 01:00 01:20 01:10 01:59 01:00 01:59 02:00",
            "04:59 05:00 05:20 05:10 05:59 06:00 06:59 07:00",
            "a row out of place in the first copy: the clock was put back where time falls most",
        ),
        (
            "00:58 00:59 01:00 01:01 00:59 01:00 01:59 01:00 01:59 02:00",
            "04:58 04:59 05:00 05:01 04:59 05:00 05:59 06:00 06:59 07:00",
            "two downloads that overlap are two visits of the hour",
        ),
        ("02:00 01:59 01:00 01:59 01:00 00:59", "07:00 06:59 06:00 05:59 05:00 04:59", "a descending file"),
    ],
)
def test_repeated_hour_of_new_york(local: str, utc: str, reason: str) -> None:
    """2018-11-04, 02:00 EDT became 01:00 EST; local times from 20:00 on are of the day before."""
    local_s = np.array([_minute(text, evening=True) for text in local.split()], np.int64)
    utc_s = np.array([_minute(text, evening=False) for text in utc.split()], np.int64)
    assert to_utc(local_s, NEW_YORK).ts.tolist() == utc_s.tolist(), reason


def _minute(text: str, *, evening: bool) -> int:
    """Local times from 20:00 and UTC times from 24:00 on are of the day before, 2018-11-03 (UTC: minus 24 h)."""
    hour, minute = (int(part) for part in text.split(":"))
    day = stamp("2018-11-04")
    if (evening and hour >= 20) or hour >= 24:
        day -= 86_400
    return day + hour * HOUR_S + minute * 60


def test_lord_howe_repeats_half_an_hour() -> None:
    """2019-04-07, 02:00 (+11) became 01:30 (+10:30)."""
    clock = parse_clock("Australia/Lord_Howe")
    local = stamps("2019-04-07T01:29", "2019-04-07T01:30", "2019-04-07T01:59", "2019-04-07T01:30", "2019-04-07T02:00")
    expected = stamps(
        "2019-04-06T14:29", "2019-04-06T14:30", "2019-04-06T14:59", "2019-04-06T15:00", "2019-04-06T15:30"
    )
    found = to_utc(local, clock)
    assert found.ts.tolist() == expected.tolist()
    assert found.is_repeated.tolist() == [False, True, True, True, False]


def test_servers_of_metatrader_change_with_new_york() -> None:
    """The server's day begins at the session's open all year: 17:00 New York is 00:00, in EDT and in EST."""
    clock = parse_clock("America/New_York + 7 h")
    local = stamps("2018-03-05T00:00", "2018-03-12T00:00", "2018-03-26T00:00", "2018-10-29T00:00", "2018-11-05T00:00")
    expected = ("2018-03-04T22:00", "2018-03-11T21:00", "2018-03-25T21:00", "2018-10-28T21:00", "2018-11-04T22:00")
    assert to_utc(local, clock).ts.tolist() == stamps(*expected).tolist()


def test_pieces_change_at_the_local_time_of_the_piece_that_ends() -> None:
    clock = parse_clock([("America/New_York", "2018-06-01T00:00"), ("UTC", None)])
    assert clock.starts[-1] == stamp("2018-06-01T04:00")
    assert clock.offsets_s[-1] == 0
    local = stamps("2018-05-31T23:59", "2018-06-01T00:00", "2018-06-01T03:59", "2018-06-01T04:00")
    assert to_utc(local, clock).is_missing.tolist() == [False, True, True, False]


def test_until_in_a_repeated_or_missing_hour_follows_the_rule_of_session_opens() -> None:
    repeated = parse_clock([("America/New_York", "2018-11-04T01:30"), ("UTC", None)])
    assert repeated.starts[-1] == stamp("2018-11-04T05:30")  # the first occurrence
    missing = parse_clock([("America/New_York", "2018-03-11T02:30"), ("UTC", None)])
    assert missing.starts[-1] == stamp("2018-03-11T07:30")  # the old offset, −05:00


def test_equal_clocks_have_equal_steps() -> None:
    for one, other in (("+02:00", "UTC+2"), ("UTC", "+00:00"), ("-05:00", "UTC-05:00"), ("UTC + 2 h", "UTC+02:00")):
        assert parse_clock(one).offsets_s == parse_clock(other).offsets_s
    plain, piece = parse_clock("Europe/London"), parse_clock([("Europe/London", None)])
    assert (plain.starts, plain.offsets_s) == (piece.starts, piece.offsets_s)
    joined = parse_clock([("Europe/London", "2001-01-01T00:00"), ("Europe/London", None)])
    assert (plain.starts, plain.offsets_s) == (joined.starts, joined.offsets_s)


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("", "no time zone ''"),
        ("Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("America", "no time zone 'America'"),
        ("../UTC", "no time zone '../UTC'"),
        ("/etc/localtime", "no time zone '/etc/localtime'"),
        ("localtime", "'localtime'"),
        ("+15:00", "+15 hours"),
        ("-12:30", "-12.5 hours"),
        ("UTC+99", "+99 hours"),
        ("+1:75", "no time zone '+1:75'"),
        ("America/New_York + 25 h", "25 hours"),
        ("America/New_York + h", "no time zone"),
        ("Nowhere/Else + 7 h", "no time zone 'Nowhere/Else'"),
        ([], "no pieces"),
        ([("UTC", "2018-01-01T00:00")], "`until`"),
        ([("UTC", None), ("UTC", None)], "`until`"),
        ([("UTC", "yesterday"), ("UTC", None)], "no local time"),
        ([("UTC", "2018-01-01T00:00+02:00"), ("UTC", None)], "with an offset"),
        ([("UTC", "2018-01-01T00:00:00.5"), ("UTC", None)], "part of a second"),
        ([("UTC", "1970-01-01"), ("UTC", None)], "outside 1989 to 2038"),
        ([("UTC", "2018-01-02"), ("+01:00", "2018-01-01"), ("UTC", None)], "ends before it begins"),
        # 05:00 UTC on the day that New York goes back at 06:00 UTC: 00:30 would be an instant three times
        ([("UTC", "2019-11-03T05:00"), ("America/New_York", None)], "5 hours or more must lie between"),
    ],
)
def test_what_is_no_clock_is_refused(declared: str | list[tuple[str, str | None]], found: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_clock(declared)
    assert found in raised.value.found
    assert "America/New_York + 7 h" in raised.value.allowed


def test_no_stamps_at_all() -> None:
    assert len(to_utc(np.empty(0, np.int64), NEW_YORK).ts) == 0


def test_stamps_beyond_the_table_have_an_instant() -> None:
    """They are refused later, for being outside 1990 to 2037, and not as missing hours."""
    found = to_utc(stamps("1900-01-01", "1970-01-01", "2100-01-01"), NEW_YORK)
    assert not found.is_missing.any()


def test_histdata_file_in_which_an_hour_was_written_twice() -> None:
    """Brent, autumn 2019: 19:59 is followed by 19:00 on 27 October, and it is no repeated hour.

    The clock is London's less five hours: it went back on that morning, a week before New York's, as two things show.
    The daily break, 17:00 to 20:00 New York, stands at 16:00 to 19:00 in that week, and the weekly report of petroleum
    stocks, Wednesday 10:30 New York, moved the price most at 10:30 on 23 October and at 09:30 on 30 October. So both
    19:00 hours are the first hour of trading, 20:00 New York, and the rows of the second are those of the first to the
    value. Pieces that change at 20:00 would give each of them instants of its own: candles of an hour without trading.
    """
    file = SHARED_DATA / "raw" / "DAT_ASCII_BCOUSD_M1_20191020_20191109_dupHour.csv"
    if not file.is_file():
        pytest.skip(f"real candles are not here: {file} does not exist")
    rows = [line.split(";") for line in file.read_text().splitlines()]
    local = stamps(*(f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[9:11]}:{t[11:13]}" for t, *_ in rows))
    found = to_utc(local, parse_clock("Europe/London - 5 h"))
    assert not found.is_missing.any()
    assert not found.is_repeated.any()
    first, last = 6_180, 6_237  # rows of the first 19:00 hour, and behind them those of the second
    assert [row[1:] for row in rows[first:last]] == [row[1:] for row in rows[last : 2 * last - first]]
    assert found.ts[first:last].tolist() == found.ts[last : 2 * last - first].tolist()
    assert found.ts[first] == stamp("2019-10-28T00:00")
    ranges = np.array([float(row[2]) - float(row[3]) for row in rows])
    for day in ("2019-10-23", "2019-10-30"):
        of_day = np.flatnonzero((found.ts >= stamp(f"{day}T10:00")) & (found.ts < stamp(f"{day}T18:00")))
        assert found.ts[of_day[np.argmax(ranges[of_day])]] == stamp(f"{day}T14:30")
    as_pieces = to_utc(local, parse_clock([("-04:00", "2019-10-27T20:00"), ("-05:00", None)]))
    assert (np.diff(as_pieces.ts) > 0).all()
