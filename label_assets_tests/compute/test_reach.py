"""Which rows a changed base candle can change: counting against building every row's inputs twice."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from label_assets.compute.reach import affected_months, affected_opens, slice_reach
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings, load_settings
from label_assets_tests.market.times import utc

CALENDAR = SessionCalendar("17:00 America/New_York")
HOUR_S = 3_600
START_TS = int(utc("2024-03-04 00:00")[0])  # daylight saving begins within: a day of 23 hours
SLOTS = 24 * 9
NUMBERS = {"level_lifetime": 2, "quantile_sample": 3, "burst_sample": 2, "burst_minimum": 1}
LABELS = {"atr_period": 2, "level_span": 1, "numbers": {"H4": NUMBERS, "D": NUMBERS}}

Base = Mapping[int, int]
"""Open times of base candles [epoch s], and which version of its values each has."""


def small(*granularities: str) -> Settings:
    """Base H1; a row looks back 7 candles and forward 2."""
    return load_settings(
        base_granularity="H1", granularities=granularities, horizons=(1, 2), first_month="2024-01", labels=LABELS
    )


def inputs_of_rows(base: Base, name: str, settings: Settings) -> dict[int, object]:
    """All that enters each row of a granularity, by its open time: buckets with the base candles in them."""
    stamps = sorted(base)
    buckets: dict[int, list[tuple[int, int]]] = {}
    for ts in stamps:
        buckets.setdefault(int(CALENDAR.bucket_open([ts], name)[0]), []).append((ts, base[ts]))
    finished = [
        (opened, candles)
        for opened, candles in buckets.items()
        if stamps[-1] + HOUR_S >= CALENDAR.bucket_close([opened], name)[0]
    ]
    around = slice_reach(settings, name)
    return {
        opened: finished[max(0, i - around.back) : i + around.forward + 1] for i, (opened, _) in enumerate(finished)
    }


def opens_of(base: Base, settings: Settings) -> dict[str, IntArray]:
    found = {"H1": np.array(sorted(base), np.int64)}
    for name in settings.granularities:
        found[name] = np.array(sorted(inputs_of_rows(base, name, settings)), np.int64)
    return found


def changed_rows(old: Base, new: Base, name: str, settings: Settings) -> list[int]:
    before, after = (inputs_of_rows(base, name, settings) for base in (old, new))
    return sorted(opened for opened in {*before, *after} if before.get(opened) != after.get(opened))


def as_read(opens: dict[str, IntArray], first_ts: int, last_ts: int, settings: Settings) -> dict[str, IntArray]:
    """What is left when only what is needed is read: nothing between the changed buckets, a few beside them."""
    found = {}
    for name, known in opens.items():
        first, last = CALENDAR.bucket_open([first_ts, last_ts], name)
        before, after = (1, 2) if name == "H1" else (slice_reach(settings, name).forward + 1, 99)
        found[name] = np.concatenate(
            [known[known < first][-before:], known[(known == first) & (first < last)], known[known >= last][:after]]
        )
    return found


@st.composite
def corrections(draw: st.DrawFn) -> tuple[dict[int, int], dict[int, int]]:
    """Base candles with holes, and the same after some were restated, removed, or added."""
    slots = draw(st.sets(st.integers(0, SLOTS - 1), min_size=1, max_size=8))
    holes = draw(st.lists(st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 60)), max_size=3))
    end = draw(st.integers(20, SLOTS))
    is_hole = np.zeros(SLOTS, bool)
    for first, length in holes:
        is_hole[first : first + length] = True
    old = {START_TS + slot * HOUR_S: 0 for slot in range(end) if not is_hole[slot]}
    new = dict(old)
    for slot in slots:
        ts = START_TS + slot * HOUR_S
        if ts in new and draw(st.booleans()):
            del new[ts]
        else:
            new[ts] = 1
    return old, new


@hypothesis_settings(max_examples=300)
@given(corrections(), st.sampled_from([("H4",), ("D",), ("H4", "D")]), st.booleans())
def test_affected_rows_are_those_whose_inputs_differ(
    bases: tuple[dict[int, int], dict[int, int]], granularities: tuple[str, ...], from_after: bool
) -> None:
    old, new = bases
    settings = small(*granularities)
    changed = [ts for ts in {*old, *new} if old.get(ts) != new.get(ts)]
    first_ts, last_ts = min(changed), max(changed)
    opens = opens_of(new if from_after else old, settings)
    first, last = affected_opens(settings, CALENDAR, opens, first_ts, last_ts)
    assert (first, last) == affected_opens(
        settings, CALENDAR, as_read(opens, first_ts, last_ts, settings), first_ts, last_ts
    )
    rows = [changed_rows(old, new, name, settings) for name in granularities]
    found = [opened for part in rows for opened in part]
    if not found:  # all that changed lies in a bucket that is not over yet
        return
    assert first <= min(found)
    assert max(found) <= last
    goes_on = min(max(old, default=0), max(new, default=0)) >= max(
        CALENDAR.bucket_close([last_ts], name)[0] for name in granularities
    )
    if goes_on:
        assert (first, last) == (min(found), max(found))


def test_a_row_reaches_as_far_as_its_numbers_say() -> None:
    settings = small("H4")
    reach = slice_reach(settings, "H4")
    assert (reach.back, reach.forward) == (7, 2)
    opens = {"H1": START_TS + HOUR_S * np.arange(SLOTS)}
    opens["H4"] = np.unique(CALENDAR.bucket_open(opens["H1"], "H4"))
    ts = int(opens["H4"][20]) + 2 * HOUR_S
    assert affected_opens(settings, CALENDAR, opens, ts, ts) == (opens["H4"][18], opens["H4"][27])


def test_history_that_is_not_there_yet_is_its_own_reach() -> None:
    settings = small("H4", "D")
    nothing = {name: np.zeros(0, np.int64) for name in ("H1", "H4", "D")}
    first_ts, last_ts = (int(stamp) for stamp in utc("2024-03-05 10:00", "2024-04-02 10:00"))
    assert affected_months(settings, CALENDAR, nothing, first_ts, last_ts) == ("2024-03", "2024-04")


@pytest.mark.parametrize(
    ("ts", "months"),
    [
        # The H4 candle of 22:00 on 29 February holds the first hour of March; 2 before it is the same day.
        ("2024-03-01 01:00", ("2024-02", "2024-03")),
        ("2024-03-01 10:00", ("2024-03", "2024-03")),
        # In summer H4 opens at 17:00 and 21:00: the seventh after the former is the last of March.
        ("2024-03-30 18:00", ("2024-03", "2024-03")),
        ("2024-03-30 22:00", ("2024-03", "2024-04")),
    ],
)
def test_months_are_those_in_which_rows_open(ts: str, months: tuple[str, str]) -> None:
    settings = small("H4")
    opens = {"H1": int(utc("2024-01-01 00:00")[0]) + HOUR_S * np.arange(24 * 120)}
    opens["H4"] = np.unique(CALENDAR.bucket_open(opens["H1"], "H4"))
    changed = int(utc(ts)[0])
    assert affected_months(settings, CALENDAR, opens, changed, changed) == months


def test_no_month_lies_before_the_first_partition() -> None:
    settings = small("H4").model_copy(update={"first_month": "2024-03"})
    opens = {"H1": int(utc("2024-01-01 00:00")[0]) + HOUR_S * np.arange(24 * 120)}
    opens["H4"] = np.unique(CALENDAR.bucket_open(opens["H1"], "H4"))
    changed = int(utc("2024-03-01 01:00")[0])
    assert affected_months(settings, CALENDAR, opens, changed, changed) == ("2024-03", "2024-03")
