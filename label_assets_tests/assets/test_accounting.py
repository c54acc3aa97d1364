"""The account of source rows in real runs: what it says, what makes its check fail, and what must not."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from label_assets.assets import candles as candles_module
from label_assets.assets import checks as checks_module
from label_assets.assets.checks import find_source_violations
from label_assets.assets.partitions import MonthRun
from label_assets.assets.resources import configured_source
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import (
    BASE_S,
    CALENDAR,
    INSTRUMENT,
    Rows,
    corrupt,
    erase,
    evaluations,
    failures,
    joined,
    market_rows,
    metadata,
    run_months,
    run_well,
    small,
    taken,
    write_rows,
)
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY = "2024-01", "2024-02"
ACCOUNT = "rows_are_accounted_for"
MONTHS = pytest.mark.parametrize("months", [(JANUARY,), (JANUARY, FEBRUARY)], ids=["one partition", "range"])


class Place(NamedTuple):
    """A landing folder and the database that it fills."""

    folder: Path
    settings: Settings
    warehouse: Warehouse


@pytest.fixture
def place(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Place]:
    """January and February in a file in which some rows are bad and some stand twice; nothing is stored yet."""
    folder = tmp_path / "landing"
    settings = make_settings(source="landing", landing_folder=folder, **small(granularities=["H1"]))
    write_rows(folder, file_rows())
    made = Place(folder, settings, Warehouse(settings))
    yield made
    made.warehouse.close()


def file_rows() -> Rows:
    rows = market_rows(JANUARY, FEBRUARY)
    twice = taken(rows, slice(100, 110))
    rows["high"][[10, 20, 30]] = np.nan
    rows["volume"][-5:] = -1.0
    return joined(rows, twice)


def between(monkeypatch: pytest.MonkeyPatch, do: Callable[[], Any]) -> None:
    """Do something once, after the materialization and before the check looks."""
    todo = [do]

    def count(*arguments: Any) -> Any:
        if todo:
            todo.pop()()
        return find_source_violations(*arguments)

    monkeypatch.setattr(checks_module, "find_source_violations", count)


def verdict(settings: Settings, *months: str) -> tuple[bool, dict[str, int], str]:
    """Whether the check passed, what it found, and the months in which the source had changed."""
    result = run_months(settings, *months)
    found = evaluations(result)[ACCOUNT]
    assert found.passed == (set(failures(result)) == set()), failures(result)
    where = found.metadata["where"].value if "where" in found.metadata else {}
    changed = found.metadata["changed_since"].value if "changed_since" in found.metadata else ""
    return found.passed, {name.removeprefix(f"{INSTRUMENT} "): count for name, count in where.items()}, str(changed)


@MONTHS
def test_rows_in_are_kept_rejected_or_dropped(place: Place, months: tuple[str, ...]) -> None:
    result = run_well(place.settings, *months)
    told = metadata(result, "raw_candles")
    rows = file_rows()
    end = utc("2024-02-01 00:00")[0] if len(months) == 1 else 2**40
    run = told[JANUARY]
    bad = {"non_finite_price": 3} | ({} if len(months) == 1 else {"bad_volume": 5})
    assert run["run_source_rows"] == (rows["ts"] < end).sum()
    assert run["run_rows_rejected_by_reason"] == bad
    assert run["run_rows_rejected"] == sum(bad.values())
    assert run["run_rows_dropped_by_rule"] == {"identical_duplicate": 10}
    assert run["run_rows_dropped"] == 10
    assert run["run_source_rows"] == run["run_rows_kept"] + run["run_rows_rejected"] + run["run_rows_dropped"]
    assert run["run_rows_stored"] == run["run_rows_kept"] == sum(month["source_candles"] for month in told.values())
    assert [told[month]["rows_rejected"] for month in months] == list(bad.values())
    found = evaluations(result)[ACCOUNT]
    assert found.passed
    assert found.metadata["rows_checked"].value == run["run_source_rows"]


@MONTHS
def test_lost_rejections_fail_it(place: Place, monkeypatch: pytest.MonkeyPatch, months: tuple[str, ...]) -> None:
    lost = {JANUARY: 3, FEBRUARY: 5}
    between(monkeypatch, lambda: erase(place.warehouse, "rejected_candles", "1"))
    passed, found, _ = verdict(place.settings, *months)
    assert not passed
    assert found == {"rejections_missing": sum(lost[month] for month in months)}


@MONTHS
def test_rows_of_others_do_not(place: Place, monkeypatch: pytest.MonkeyPatch, months: tuple[str, ...]) -> None:
    def write() -> None:
        one = f"t.instrument_id = '{INSTRUMENT}' AND t.ts = toDateTime('2024-01-17 10:15:00', 'UTC')"
        for column, value in (
            ("ts", "toDateTime('2024-01-20 12:00:00', 'UTC')"),
            ("instrument_id", "'GBPUSD'"),
            ("granularity", "'M5'"),
        ):
            assert corrupt(place.warehouse, "raw_candles", one, **{column: value}) == 1
        assert corrupt(place.warehouse, "rejected_candles", "t.line = 11", source_file="'stream'") == 1

    between(monkeypatch, write)
    assert verdict(place.settings, *months) == (True, {}, "")


def test_a_month_whose_file_changed_meanwhile_is_not_held_against_what_is_stored(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and every other month is still compared."""
    newer = file_rows()
    newer["close"][-100] = newer["low"][-100]

    def land() -> None:
        write_rows(place.folder, newer)

    between(monkeypatch, land)
    assert verdict(place.settings, JANUARY, FEBRUARY) == (True, {}, f"{INSTRUMENT} {FEBRUARY}")
    monkeypatch.undo()
    assert verdict(place.settings, JANUARY, FEBRUARY) == (True, {}, "")

    def land_and_lose() -> None:
        write_rows(place.folder, file_rows())
        assert erase(place.warehouse, "raw_candles", "toDate(t.ts) IN ('2024-01-17', '2024-02-20')") == 192

    between(monkeypatch, land_and_lose)
    assert verdict(place.settings, JANUARY, FEBRUARY) == (
        False,
        {"candles_missing": 96},
        f"{INSTRUMENT} {FEBRUARY}",
    )


def test_a_candle_that_ends_meanwhile_was_not_finished(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check reads as of the time of the materialization, so the hour that has passed since changes nothing."""
    now = int(utc("2024-02-20 12:07")[0])
    monkeypatch.setattr(candles_module, "now_ts", lambda: now)
    monkeypatch.setattr(checks_module, "now_ts", lambda: now + 3_600)
    result = run_well(place.settings, JANUARY, FEBRUARY)
    unfinished = (file_rows()["ts"] + BASE_S > now).sum()
    assert metadata(result, "raw_candles")[FEBRUARY]["run_rows_rejected_by_reason"]["unfinished"] == unfinished
    assert evaluations(result)[ACCOUNT].passed
    assert "changed_since" not in evaluations(result)[ACCOUNT].metadata


def test_without_a_note_the_source_is_held_against_what_is_stored(place: Place) -> None:
    """As after a materialization by an older version, or in another Dagster."""
    run_well(place.settings, JANUARY, FEBRUARY)
    months = MonthRun(INSTRUMENT, JANUARY, FEBRUARY)
    source = configured_source(place.settings, CALENDAR)
    found = find_source_violations(place.warehouse, source, "M15", months, {})
    assert not found.found.where.total()
    assert found.changed == []
    assert erase(place.warehouse, "raw_candles", "toDate(t.ts) = '2024-01-17'") == 96
    found = find_source_violations(place.warehouse, source, "M15", months, {})
    assert +found.found.where == Counter({"candles_missing": 96})
    assert +found.found.by_month == Counter({JANUARY: 96})
