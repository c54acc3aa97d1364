"""Restated history on the real engine: what depends on a corrected candle changes, nothing else; a trace stays."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
import pytest

from label_assets.compute.reach import slice_reach
from label_assets.errors import WarehouseError
from label_assets.settings import Settings
from label_assets.warehouse import upsert as upsert_module
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import (
    INSTRUMENT,
    LABEL_TABLES,
    Rows,
    contents,
    differences,
    failures,
    market_rows,
    metadata,
    run_well,
    small,
    stored_ts,
    succeeded,
    taken,
    write_rows,
)
from label_assets_tests.assets.runs import materialize
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY, MARCH, APRIL = "2024-01", "2024-02", "2024-03", "2024-04"
PRICES = ("open", "high", "low", "close")
VALUES = (*PRICES, "volume")
HOUR_S = 3_600

ROW_TABLES = tuple(name for name in LABEL_TABLES if not name.startswith("label_statistics"))
"""Those with a row for each candle; statistics have one a day or month."""

NUMBERS = {"quantile_sample": 200, "level_lifetime": 100, "burst_sample": 60, "burst_minimum": 20}
GRAPH = {"granularities": ["H1"], "labels": {"numbers": {"H1": NUMBERS}}}
"""H1 rows that look back 206 candles: nine days. So four months hold some that a correction cannot reach."""


class Place(NamedTuple):
    """A landing folder and the database that it fills."""

    folder: Path
    settings: Settings
    warehouse: Warehouse


@pytest.fixture
def make_place(make_settings: Callable[..., Settings], fill: Filled, tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Landing folders with a database of their own."""
    made: list[Place] = []

    def make(rows: Rows, *months: str) -> Place:
        folder = tmp_path / f"landing_{len(made)}"
        settings = make_settings(source="landing", landing_folder=folder, **small(**GRAPH))
        made.append(Place(folder, settings, Warehouse(settings)))
        write_rows(folder, rows)
        fill(settings, *months)
        return made[-1]

    yield make
    for place in made:
        place.warehouse.close()


def copied(rows: Rows) -> Rows:
    return {name: values.copy() for name, values in rows.items()}


def at(rows: Rows, text: str, seconds: int = 900) -> np.ndarray:
    """Which rows open within some time from an instant."""
    start = int(utc(text)[0])
    return (rows["ts"] >= start) & (rows["ts"] < start + seconds)


def revisions(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Rows of the trace in key order, times as epoch seconds."""
    values = ", ".join(f"t.{name}_{side} AS {name}_{side}" for side in ("before", "after") for name in VALUES)
    return warehouse.query_text(
        "SELECT toUnixTimestamp(t.ts) AS ts, t.revision AS revision, CAST(t.change AS String) AS change, "
        f"t.source AS source, {values} FROM candle_revisions AS t ORDER BY t.ts, t.revision"
    ).to_pylist()


def told(warehouse: Warehouse, side: str) -> list[tuple[float | None, ...]]:
    return [tuple(row[f"{name}_{side}"] for name in VALUES) for row in revisions(warehouse)]


def values_of(rows: Rows, which: np.ndarray) -> list[tuple[float, ...]]:
    return list(zip(*(rows[name][which].tolist() for name in VALUES), strict=True))


def versions(warehouse: Warehouse, name: str) -> dict[tuple[Any, ...], int]:
    """Version of each row that is there, by its key."""
    horizon = "t.horizon" if name in ROW_TABLES else "0"
    rows = warehouse.query_text(
        f"SELECT t.granularity AS granularity, {horizon} AS horizon, toUnixTimestamp(t.ts) AS ts, t.version AS version "
        f"FROM `{name}_storage` AS t FINAL"
    ).to_pylist()
    return {(row["granularity"], row["horizon"], row["ts"]): row["version"] for row in rows}


def changed_ts(before: dict[tuple[Any, ...], int], after: dict[tuple[Any, ...], int]) -> set[int]:
    return {key[-1] for key in {*before, *after} if before.get(key) != after.get(key)}


def written(result: dg.ExecuteInProcessResult, asset: str) -> int:
    return sum(month["rows_written"] + month["rows_removed"] for month in metadata(result, asset).values())


def said_by(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What a run says of revisions, of its first month."""
    found = next(iter(metadata(result, "raw_candles").values()))
    return {name.removeprefix("run_"): value for name, value in found.items() if name.startswith("run_")}


def ingest(settings: Settings, *months: str) -> dg.ExecuteInProcessResult:
    """A run of raw_candles and candles alone; it may fail."""
    return materialize(settings, INSTRUMENT, (months[0], months[-1]), ["raw_candles", "candles"])


def corrected(rows: Rows) -> tuple[Rows, np.ndarray]:
    """A quarter right after the turn of the month and an hour three weeks later have other prices."""
    which = at(rows, "2024-02-01 00:15") | at(rows, "2024-02-22 10:00", HOUR_S)
    assert which.sum() == 5
    changed = copied(rows)
    for name in PRICES:
        changed[name][which] *= 1.004
    return changed, which


@pytest.mark.slow
def test_a_correction_changes_what_depends_on_it_and_nothing_else(make_place: Callable[..., Place]) -> None:
    rows = market_rows(JANUARY, APRIL)
    place = make_place(rows, JANUARY, APRIL)
    assert revisions(place.warehouse) == []
    tables = ("raw_candles", "candles", *ROW_TABLES)
    before = {name: versions(place.warehouse, name) for name in tables}
    changed, which = corrected(rows)
    write_rows(place.folder, changed)

    # The month of the corrections, which says how far they reach; then what it says.
    result = run_well(place.settings, FEBRUARY)
    said = said_by(result)
    assert {name: said[f"rows_{name}"] for name in ("restated", "removed", "added_late")} == {
        "restated": 5,
        "removed": 0,
        "added_late": 0,
    }
    assert said["first_change"] == rows["ts"][which][0]
    assert said["last_change"] == rows["ts"][which][-1]
    affected = said["first_affected_month"], said["last_affected_month"]
    assert affected == (JANUARY, MARCH)
    again = run_well(place.settings, *affected)

    # Bit for bit what the corrected file gives alone.
    fresh = make_place(changed, JANUARY, APRIL)
    assert differences(contents(fresh.warehouse), contents(place.warehouse)) == {}
    assert revisions(fresh.warehouse) == []

    # The trace: exactly the corrected candles, once.
    trace = revisions(place.warehouse)
    assert [row["ts"] for row in trace] == rows["ts"][which].tolist()
    assert {(row["change"], row["revision"]) for row in trace} == {("restated", 1)}
    assert told(place.warehouse, "before") == values_of(rows, which)
    assert told(place.warehouse, "after") == values_of(changed, which)
    assert {row["source"] for row in trace} == {said["source"]}
    assert written(again, "raw_candles") == 0
    assert said_by(again)["rows_restated"] == 0

    # Rows that were written anew lie within the reach; all others have kept their version.
    after = {name: versions(place.warehouse, name) for name in tables}
    assert changed_ts(before["raw_candles"], after["raw_candles"]) == set(rows["ts"][which].tolist())
    opens = np.array(stored_ts(place.warehouse, "candles", "H1"))
    reach = slice_reach(place.settings, "H1")
    first = int(np.searchsorted(opens, utc("2024-02-01 00:00")[0])) - reach.forward
    last = int(np.searchsorted(opens, utc("2024-02-22 10:00")[0])) + reach.back
    for name in ROW_TABLES:
        moved = changed_ts(before[name], after[name])
        assert moved, name
        assert opens[first] <= min(moved), name
        assert max(moved) <= opens[last], name
    # As tight as months go: rows of the first and of the last month did change.
    moved = changed_ts(before["labels"], after["labels"])
    assert min(moved) < utc("2024-02-01 00:00")[0]
    assert max(moved) >= utc("2024-03-01 00:00")[0]


def test_months_that_a_correction_reaches_and_the_run_leaves_out_are_a_warning(
    make_place: Callable[..., Place],
) -> None:
    rows = market_rows(JANUARY, APRIL)
    place = make_place(rows, JANUARY, APRIL)
    write_rows(place.folder, corrected(rows)[0])
    lines = _logged(place.settings, FEBRUARY)
    (line,) = [line for level, line in lines if level == "WARNING"]
    assert "5 restated, 0 removed, 0 added_late and 0 new candles, 2024-02-01 00:15+00:00 to 2024-02-22 10:45" in line
    assert f"materialize {JANUARY}..{MARCH} for all labels to be current" in line
    write_rows(place.folder, rows)
    lines = _logged(place.settings, JANUARY, MARCH)
    assert [line for level, line in lines if level == "WARNING"] == []
    assert any("these months hold all labels that depend on them" in line for _, line in lines)
    assert not any("restated" in line for _, line in _logged(place.settings, JANUARY, MARCH))


def _logged(settings: Settings, *months: str) -> list[tuple[str, str]]:
    """Level and text of what raw_candles logs in a run of its own."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize(settings, INSTRUMENT, (months[0], months[-1]), ["raw_candles"], instance)
        assert result.success, failures(result)
        entries = [entry for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]
    return [(logging.getLevelName(entry.level), entry.user_message) for entry in entries]


def test_a_value_that_no_label_reads_changes_no_label(make_place: Callable[..., Place]) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    place = make_place(rows, JANUARY, FEBRUARY)
    which = at(rows, "2024-01-17 10:15")
    changed = copied(rows)
    changed["volume"][which] += 1.0
    write_rows(place.folder, changed)
    result = run_well(place.settings, JANUARY, FEBRUARY)
    assert written(result, "raw_candles") == 1
    assert written(result, "candles") == 2  # the quarter and its hour
    assert {name: written(result, name) for name in ROW_TABLES} == dict.fromkeys(ROW_TABLES, 0)
    assert written(result, "levels") == written(result, "label_statistics") == 0
    assert [(row["ts"], row["change"]) for row in revisions(place.warehouse)] == [(rows["ts"][which][0], "restated")]
    assert told(place.warehouse, "after") == values_of(changed, which)


@pytest.mark.slow
def test_removal_and_late_addition(make_place: Callable[..., Place]) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    place = make_place(rows, JANUARY, FEBRUARY)
    before = contents(place.warehouse)
    gone = at(rows, "2024-01-17 10:00", HOUR_S) | at(rows, "2024-02-01 00:15")
    without = taken(rows, ~gone)
    write_rows(place.folder, without)
    said = said_by(run_well(place.settings, JANUARY, FEBRUARY))
    assert (said["rows_restated"], said["rows_removed"], said["rows_added_late"]) == (0, 5, 0)
    trace = revisions(place.warehouse)
    assert [(row["ts"], row["change"], row["revision"]) for row in trace] == [
        (ts, "removed", 1) for ts in rows["ts"][gone].tolist()
    ]
    assert told(place.warehouse, "before") == values_of(rows, gone)
    assert told(place.warehouse, "after") == [(None,) * 5] * 5
    never = make_place(without, JANUARY, FEBRUARY)
    assert differences(contents(never.warehouse), contents(place.warehouse)) == {}

    # They come back, one of them with other prices; and where they had never been they come late.
    changed = copied(rows)
    changed["high"][at(rows, "2024-01-17 10:30")] *= 1.01
    for each, revision in ((place, 2), (never, 1)):
        write_rows(each.folder, changed)
        said = said_by(run_well(each.settings, JANUARY, FEBRUARY))
        assert (said["rows_restated"], said["rows_removed"], said["rows_added_late"]) == (0, 0, 5)
        late = [row for row in revisions(each.warehouse) if row["revision"] == revision]
        assert [(row["ts"], row["change"]) for row in late] == [(ts, "added_late") for ts in rows["ts"][gone].tolist()]
        assert [row["open_before"] for row in late] == [None] * 5
        assert [tuple(row[f"{name}_after"] for name in VALUES) for row in late] == values_of(changed, gone)
    assert len(revisions(place.warehouse)) == 10
    assert differences(contents(never.warehouse), contents(place.warehouse)) == {}

    write_rows(place.folder, rows)
    run_well(place.settings, JANUARY, FEBRUARY)
    assert len(revisions(place.warehouse)) == 11
    assert differences(before, contents(place.warehouse)) == {}


def test_history_that_grows_at_either_end_is_no_revision(make_place: Callable[..., Place]) -> None:
    """Not even where it grows backwards; but what that reaches is said."""
    rows = market_rows(JANUARY, APRIL)
    place = make_place(rows, FEBRUARY)
    for month, affected in ((MARCH, (FEBRUARY, MARCH)), (JANUARY, (JANUARY, FEBRUARY))):
        said = said_by(ingest(place.settings, month))
        assert (said["first_affected_month"], said["last_affected_month"]) == affected
        assert said["rows_restated"] + said["rows_removed"] + said["rows_added_late"] == 0
    assert revisions(place.warehouse) == []
    # A whole month that was jumped over lies in the middle: labels were made without it.
    hole = make_place(rows, JANUARY)
    ingest(hole.settings, MARCH)
    said = said_by(ingest(hole.settings, FEBRUARY))
    assert said["rows_added_late"] == len(revisions(hole.warehouse)) == at(rows, "2024-02-01 00:00", 29 * 86_400).sum()
    assert (said["first_affected_month"], said["last_affected_month"]) == (JANUARY, MARCH)


def _dying_before(monkeypatch: pytest.MonkeyPatch, table_name: str) -> None:
    insert = upsert_module._insert

    def insert_or_die(client: Any, table: Any, *rest: Any) -> None:
        if table.name == table_name:
            raise WarehouseError(asked="an insert", found="a fault", allowed="none", action="repeat the run")
        insert(client, table, *rest)

    monkeypatch.setattr(upsert_module, "_insert", insert_or_die)


def test_a_run_that_dies_between_trace_and_candles_is_told_once(
    make_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    place = make_place(rows, JANUARY, FEBRUARY)
    before = contents(place.warehouse)
    changed, which = corrected(rows)
    write_rows(place.folder, changed)

    def die_before(table_name: str) -> None:
        with monkeypatch.context() as patch:
            _dying_before(patch, table_name)
            result = ingest(place.settings, JANUARY, FEBRUARY)
        assert succeeded(result) == set()
        assert set(failures(result)) == {"raw_candles"}
        assert differences(before, contents(place.warehouse)) == {}

    die_before("candle_revisions")
    assert revisions(place.warehouse) == []
    die_before("raw_candles")
    trace = revisions(place.warehouse)
    assert [(row["ts"], row["revision"]) for row in trace] == [(ts, 1) for ts in rows["ts"][which].tolist()]
    # The same again, dead and alive.
    die_before("raw_candles")
    assert revisions(place.warehouse) == trace
    # Other corrections before the repetition: what did not come about is not told.
    other = copied(changed)
    other["close"][which] = other["low"][which]
    write_rows(place.folder, other)
    ingest(place.settings, JANUARY, FEBRUARY)
    assert [(row["ts"], row["revision"]) for row in revisions(place.warehouse)] == [
        (ts, 1) for ts in rows["ts"][which].tolist()
    ]
    assert told(place.warehouse, "before") == values_of(rows, which)
    assert told(place.warehouse, "after") == values_of(other, which)
    # Back and forth: each change is told.
    for file in (rows, other, rows):
        write_rows(place.folder, file)
        ingest(place.settings, JANUARY, FEBRUARY)
    assert [row["revision"] for row in revisions(place.warehouse)] == [1, 2, 3, 4] * 5
    assert differences(before, contents(place.warehouse)) == {}
