"""The clock of a file from its weeks: what is there is found, what cannot be told apart is said, nothing is guessed."""

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from label_assets.inspection.zones import Finding, Status, candidates, infer_clock, offsets_at
from label_assets.kernels.arrays import IntArray
from label_assets_tests.inspection.markets import candles, on_clock, since_open_s, ts

YEAR = ("2018-01-01", "2019-01-01")
LENGTHS = {"M1": 60, "M5": 300, "M15": 900, "H1": 3_600, "H4": 14_400, "D": 86_400}


def clock_stamps(utc_s: IntArray, clock: str) -> IntArray:
    """Stamps on a clock as a declaration names it, by pandas."""
    moved = re.fullmatch(r"(\S+) ([+-]) (\d+) h", clock)
    if moved:
        return on_clock(utc_s, moved[1], int(moved[2] + moved[3]))
    if re.fullmatch(r"[+-]\d\d:00", clock):
        return utc_s + int(clock[:3]) * 3_600
    return on_clock(utc_s, clock)


def inferred(granularity: str, clock: str, start: str = YEAR[0], end: str = YEAR[1], **market: str) -> Finding:
    utc_s = candles(granularity, start, end, **market).ts
    return infer_clock(np.unique(clock_stamps(utc_s, clock)), LENGTHS[granularity])


@pytest.mark.parametrize("granularity", ["M15", "H1", "H4", "D"])
@pytest.mark.parametrize(
    "clock",
    [
        *("UTC", "America/New_York", "America/New_York + 7 h", "Europe/London", "Europe/Berlin", "Europe/Athens"),
        *("Asia/Tokyo", "Australia/Sydney", "-05:00", "+02:00", "Europe/London - 5 h"),
    ],
)
def test_year_shows_its_clock(granularity: str, clock: str) -> None:
    """Bars of the session that begins at 17:00 New York; H4 and D fill the weeks from the open to the close."""
    finding = inferred(granularity, clock)
    assert finding.status is Status.FOUND, finding.reason
    assert finding.clocks == (clock,)
    assert finding.scores[0].clock == clock
    assert finding.opens_apart >= 3


def test_candidates_are_clocks_that_differ() -> None:
    every = np.arange(ts("1995-01-01"), ts("2030-01-01"), 3_600 * 12 + 1_800)
    tables = [offsets_at(clock, every).tobytes() for clock in candidates()]
    assert len(set(tables)) == len(candidates())
    assert {"UTC", "-12:00", "+14:00", "America/New_York + 7 h", "Europe/Athens", "Asia/Tokyo"} <= set(candidates())


@settings(max_examples=60)
@given(
    clock=st.sampled_from(candidates()),
    granularity=st.sampled_from(("M15", "H1", "H4", "D")),
    first_week=st.integers(0, 100),
    weeks=st.integers(2, 60),
)
def test_the_clock_used_is_never_excluded(clock: str, granularity: str, first_week: int, weeks: int) -> None:
    """Whatever part of the years 2015 to 2018 a file has: its clock is among those that are named, or none is."""
    utc_s = candles(granularity, "2015-01-01", "2019-01-01").ts
    begin = ts("2015-01-01") + first_week * 7 * 86_400
    part = utc_s[(utc_s >= begin) & (utc_s < begin + weeks * 7 * 86_400)]
    finding = infer_clock(np.unique(clock_stamps(part, clock)), LENGTHS[granularity])
    if finding.status is Status.NOT_ENOUGH:
        assert finding.reason
        assert not finding.clocks
        assert weeks < 6
    else:
        assert finding.status is not Status.CHANGES
        assert clock in finding.clocks


@settings(max_examples=40)
@given(
    zone=st.sampled_from(
        (
            "America/Sao_Paulo",
            "Asia/Kolkata",
            "Asia/Tehran",
            "Australia/Adelaide",
            "Africa/Casablanca",
            "Pacific/Auckland",
        )
    ),
    granularity=st.sampled_from(("M15", "H1")),
    first_week=st.integers(0, 100),
    weeks=st.integers(2, 100),
)
def test_clocks_that_are_not_tried_are_not_taken_for_others(
    zone: str, granularity: str, first_week: int, weeks: int
) -> None:
    """Where a clock is named it shows the instants of the file, but for a few weeks on end."""
    utc_s = candles(granularity, "2015-01-01", "2019-01-01").ts
    begin = ts("2015-01-01") + first_week * 7 * 86_400
    part = utc_s[(utc_s >= begin) & (utc_s < begin + weeks * 7 * 86_400)]
    local = clock_stamps(part, zone)
    finding = infer_clock(np.unique(local), LENGTHS[granularity])
    if finding.status in (Status.FOUND, Status.SEVERAL):
        differs = offsets_at(finding.clocks[0], part) != local - part
        week = (part - ts("2015-01-04T12:00")) // (7 * 86_400)
        runs = np.split(np.unique(week[differs]), np.flatnonzero(np.diff(np.unique(week[differs])) > 1) + 1)
        assert max(len(run) for run in runs) <= 5


def test_summer_alone_leaves_the_rules_open() -> None:
    finding = inferred("M15", "America/New_York", "2018-05-01", "2018-09-01")
    assert finding.status is Status.SEVERAL
    assert finding.clocks == ("America/New_York", "-04:00", "Europe/London - 5 h")
    assert finding.opens_apart == 0


def test_one_week_apart_is_not_enough_to_exclude() -> None:
    """In autumn only one week tells the rules of New York and Europe apart: one odd week must not decide."""
    finding = inferred("M15", "America/New_York", "2018-07-01", "2018-12-15")
    assert finding.status is Status.SEVERAL
    assert set(finding.clocks) == {"America/New_York", "Europe/London - 5 h"}
    assert finding.opens_apart == 1


@pytest.mark.parametrize("weeks", [1, 2, 3])
def test_few_weeks_are_not_enough(weeks: int) -> None:
    utc_s = candles("M15", *YEAR).ts
    begin = ts("2018-04-01")
    part = utc_s[(utc_s >= begin) & (utc_s < begin + weeks * 7 * 86_400)]
    finding = infer_clock(part, 900)
    assert finding.status is Status.NOT_ENOUGH
    assert "3 of each are needed" in finding.reason


def test_daily_bars_with_sundays_are_not_enough() -> None:
    """Bars of UTC days: the short one of Sunday contains the open at any hour of that day."""
    finding = inferred("D", "UTC", session="00:00 UTC")
    assert finding.weeks.first_s[1] % 86_400 == 0
    assert finding.status is Status.NOT_ENOUGH
    assert "fit equally well" in finding.reason


def test_four_hours_of_utc_days_leave_a_few_clocks() -> None:
    finding = inferred("H4", "UTC", session="00:00 UTC")
    assert finding.status is Status.SEVERAL
    assert finding.clocks[0] == "UTC"
    assert {"Europe/London", "+01:00"} <= set(finding.clocks)


def test_market_that_never_closes_is_not_enough() -> None:
    finding = infer_clock(np.arange(ts(YEAR[0]), ts(YEAR[1]), 900), 900)
    assert finding.status is Status.NOT_ENOUGH
    assert "does not close" in finding.reason


def test_weekly_bars_and_no_bars_are_not_enough() -> None:
    assert "longer than a day" in infer_clock(np.arange(ts(YEAR[0]), ts(YEAR[1]), 7 * 86_400), 7 * 86_400).reason
    assert infer_clock(np.empty(0, np.int64), 60).status is Status.NOT_ENOUGH
    assert infer_clock(np.array([ts("2018-03-01")]), 60).status is Status.NOT_ENOUGH


def test_unknown_hours_are_not_enough() -> None:
    """A market of 117 hours a week, as Brent at some vendors: which end is short cannot be known."""
    utc_s = candles("M15", *YEAR).ts
    finding = infer_clock(utc_s[since_open_s(utc_s) >= 3 * 3_600], 900)
    assert finding.status is Status.NOT_ENOUGH
    assert "hours of this market are not known" in finding.reason


@pytest.mark.parametrize("clock", ["UTC", "America/New_York + 7 h"])
def test_metals_open_an_hour_later(clock: str) -> None:
    finding = inferred("M15", clock, instrument="XAUUSD")
    assert round(finding.weeks.usual_hours) == 119
    assert (finding.status, finding.clocks) == (Status.FOUND, (clock,))


@pytest.mark.parametrize(
    ("one", "other"),
    [("UTC", "America/New_York"), ("America/New_York", "-05:00"), ("Europe/Athens", "America/New_York + 7 h")],
)
def test_clock_that_changes_inside_is_seen(one: str, other: str) -> None:
    """Two years on one clock, two on another; the change is placed in the right weekend or near it."""
    utc_s = candles("H1", "2015-01-01", "2019-01-01").ts
    change = ts("2017-01-07")
    local = np.concatenate([clock_stamps(utc_s[utc_s < change], one), clock_stamps(utc_s[utc_s >= change], other)])
    finding = infer_clock(np.unique(local), 3_600)
    assert finding.status is Status.CHANGES
    assert finding.clocks == (one, other)
    assert finding.changed_s is not None
    assert abs(finding.changed_s - change) < 20 * 7 * 86_400


def test_weeks_that_contradict_each_other_are_not_enough() -> None:
    """The last hour of each week of winter is missing: the opens say UTC, the closes a clock that changes."""
    utc_s = candles("H1", "2015-01-01", "2019-01-01").ts
    is_winter = offsets_at("America/New_York", utc_s) == -5 * 3_600
    finding = infer_clock(utc_s[~(is_winter & (since_open_s(utc_s) >= 119 * 3_600))], 3_600)
    assert finding.status is Status.NOT_ENOUGH
    assert "contradict each other" in finding.reason
    assert {score.clock for score in finding.scores[:2]} == {"UTC", "America/New_York + 4 h"}


def test_market_hours_that_change_are_no_change_of_clock() -> None:
    """From the middle on the market opens two hours later, and closes as before."""
    utc_s = candles("M15", *YEAR).ts
    late = (utc_s > ts("2018-07-01")) & (since_open_s(utc_s) < 7_200)
    finding = infer_clock(utc_s[~late], 900)
    assert finding.status is not Status.CHANGES


def test_clock_that_changes_there_and_back_is_not_found() -> None:
    """Three months on another clock, in the middle of two years: three quarters fit UTC, and still it is not that."""
    utc_s = candles("M15", "2016-01-01", "2018-01-01").ts
    local = np.where((utc_s > ts("2016-10-01")) & (utc_s < ts("2017-01-01")), utc_s + 7_200, utc_s)
    finding = infer_clock(np.unique(local), 900)
    assert finding.status is Status.NOT_ENOUGH
    assert "weeks on end" in finding.reason


@given(late_s=st.lists(st.integers(0, 19), min_size=60, max_size=60), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_quiet_opens_and_holes_do_not_mislead(late_s: list[int], seed: int) -> None:
    """Weeks whose first minutes have no bar, and a tenth of the bars missing anywhere."""
    utc_s = candles("M1", "2018-01-01", "2018-12-31").ts
    week = (utc_s - ts("2017-12-31T12:00")) // (7 * 86_400)
    quiet = np.array(late_s)[week % 60] * 60
    kept = since_open_s(utc_s) >= quiet
    kept &= np.random.default_rng(seed).random(len(utc_s)) > 0.1
    assume(kept.sum() > 100_000)
    finding = infer_clock(clock_stamps(utc_s[kept], "America/New_York"), 60)
    assert finding.status is Status.FOUND
    assert finding.clocks == ("America/New_York",)
