"""The sensors: which runs they ask for, for what arrived, and for nothing twice. Real files, real engine, real runs."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
import pytest

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, month_start, partition_key
from label_assets.assets.resources import resources
from label_assets.assets.sensors import SETTLE_S
from label_assets.catalog.tables import RAW_CANDLES
from label_assets.definitions import build_defs
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.assets.landing import (
    INSTRUMENT,
    QUIET,
    Rows,
    contents,
    differences,
    job_of,
    market_rows,
    run_well,
    small,
    taken,
    write_rows,
)

JANUARY, FEBRUARY, MARCH = "2024-01", "2024-02", "2024-03"


class Place(NamedTuple):
    """A landing folder, the database that it fills, and a Dagster instance."""

    folder: Path
    settings: Settings
    warehouse: Warehouse
    instance: dg.DagsterInstance

    def tick(self, sensor: str, cursor: str | None) -> dg.SensorResult:
        """Evaluate a sensor as the daemon does, with the cursor of its last tick."""
        defs = build_defs(self.settings)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            repository_def=defs.get_repository_def(),
            sensor_name=sensor,
            resources=resources(self.settings),
        ) as context:
            result = defs.resolve_sensor_def(sensor)(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Carry a run request out."""
        assert request.asset_selection is not None
        return job_of(self.settings).execute_in_process(
            instance=self.instance,
            asset_selection=list(request.asset_selection),
            tags=dict(request.tags),
            run_config=QUIET,
            raise_on_error=False,
        )


@pytest.fixture
def place(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "landing"
    folder.mkdir()
    settings = make_settings(source="landing", landing_folder=folder, **small())
    with dg.DagsterInstance.ephemeral() as instance:
        opened = Place(folder, settings, Warehouse(settings), instance)
        yield opened
        opened.warehouse.close()


_clock = iter(range(10_000))


def _land(place: Place, rows: Rows, name: str = f"{INSTRUMENT}_M15.parquet") -> Path:
    """Write a file that was finished a while ago; each one a second after the one before."""
    path = write_rows(place.folder, rows, name)
    modified = time.time() - 5_000 + next(_clock)
    os.utime(path, (modified, modified))
    return path


def _months(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]


def _requests(result: dg.SensorResult) -> list[dg.RunRequest]:
    return list(result.run_requests or [])


def test_a_file_starts_one_run_and_the_next_month_completes_the_open_rows_of_the_month_before(place: Place) -> None:
    everything = market_rows(JANUARY, FEBRUARY)
    is_january = everything["ts"] < month_start(FEBRUARY)
    _land(place, taken(everything, is_january))
    first = place.tick("landing_sensor", None)
    (request,) = _requests(first)
    assert _months(request) == (partition_key(INSTRUMENT, JANUARY), partition_key(INSTRUMENT, JANUARY))
    assert place.run(request).success
    open_rows = "SELECT toUInt32(count()) AS n FROM labels WHERE window_status = 'open' AND ts < '2024-02-01'"
    assert place.warehouse.query_text(open_rows)["n"][0].as_py() > 0

    again = place.tick("landing_sensor", first.cursor)
    assert _requests(again) == []

    _land(place, taken(everything, ~is_january), f"{INSTRUMENT}_M15_{FEBRUARY}.parquet")
    second = place.tick("landing_sensor", again.cursor)
    (request,) = _requests(second)
    assert _months(request) == (partition_key(INSTRUMENT, JANUARY), partition_key(INSTRUMENT, FEBRUARY))
    result = place.run(request)
    assert result.success
    assert {check.check_name for check in result.get_asset_check_evaluations()} >= {"one_row_per_candle_and_horizon"}
    assert place.warehouse.query_text(open_rows)["n"][0].as_py() == 0


def test_the_same_content_starts_no_run_whatever_its_time_or_the_cursor(place: Place) -> None:
    rows = market_rows(JANUARY, JANUARY)
    path = _land(place, rows)
    first = place.tick("landing_sensor", None)
    (request,) = _requests(first)
    assert place.run(request).success
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert _requests(place.tick("landing_sensor", first.cursor)) == []
    assert _requests(place.tick("landing_sensor", None)) == [], "a lost cursor finds everything stored"


def test_a_tick_that_is_repeated_asks_with_the_same_run_key(place: Place) -> None:
    _land(place, market_rows(JANUARY, JANUARY))
    keys = {_requests(place.tick("landing_sensor", None))[0].run_key for _ in range(2)}
    assert len(keys) == 1


@pytest.mark.slow
def test_a_corrected_old_file_reaches_what_it_touches_and_a_correction_of_the_correction_is_another_run(
    place: Place,
) -> None:
    rows = market_rows(JANUARY, MARCH)
    _land(place, rows)
    cursor = place.tick("landing_sensor", None).cursor
    run_well(place.settings, JANUARY, MARCH)
    before = contents(place.warehouse, without=("candle_revisions",))
    cursor = place.tick("landing_sensor", cursor).cursor

    wrong = {name: values.copy() for name, values in rows.items()}
    at = int(np.searchsorted(rows["ts"], month_start(FEBRUARY) + 10 * 86_400))
    wrong["high"][at] *= 1.01
    keys = []
    for content in (wrong, rows, wrong):
        _land(place, content)
        result = place.tick("landing_sensor", cursor)
        (request,) = _requests(result)
        # Back to the windows that reach the candle, on to the end: levels and reference samples look far back.
        assert _months(request) == (partition_key(INSTRUMENT, FEBRUARY), partition_key(INSTRUMENT, MARCH))
        assert place.run(request).success
        keys.append(request.run_key)
        cursor = result.cursor
        after = contents(place.warehouse, without=("candle_revisions",))
        assert bool(differences(before, after)) == (content is wrong)
    assert len(set(keys)) == 3


def test_a_file_that_may_still_be_written_to_waits(place: Place) -> None:
    path = write_rows(place.folder, market_rows(JANUARY, JANUARY))
    os.utime(path)
    result = place.tick("landing_sensor", None)
    assert _requests(result) == []
    before = time.time() - SETTLE_S - 1
    os.utime(path, (before, before))
    assert len(_requests(place.tick("landing_sensor", result.cursor))) == 1


def test_a_broken_file_fails_visibly_and_a_later_good_one_heals_it(place: Place) -> None:
    rows = market_rows(JANUARY, JANUARY)
    path = _land(place, rows)
    path.write_bytes(path.read_bytes()[:-100])
    old = time.time() - 100
    os.utime(path, (old, old))
    first = place.tick("landing_sensor", None)
    (request,) = _requests(first)
    result = place.run(request)
    assert not result.success
    assert _requests(place.tick("landing_sensor", first.cursor)) == [], "not again and again"
    _land(place, rows)
    healed = place.tick("landing_sensor", first.cursor)
    (request,) = _requests(healed)
    assert place.run(request).success


def test_rows_of_another_writer_start_a_run_from_candles_on_and_rows_of_runs_start_none(place: Place) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    _land(place, taken(rows, rows["ts"] < month_start(FEBRUARY)))
    run_well(place.settings, JANUARY)
    quiet = place.tick("stream_sensor", None)
    assert _requests(quiet) == [], "what a run wrote is labelled"

    arrived = taken(rows, (rows["ts"] >= month_start(FEBRUARY)) & (rows["ts"] < month_start(FEBRUARY) + 86_400))
    _write_as_another(place, arrived)
    result = place.tick("stream_sensor", quiet.cursor)
    (request,) = _requests(result)
    assert _months(request) == (partition_key(INSTRUMENT, JANUARY), partition_key(INSTRUMENT, FEBRUARY))
    assert "raw_candles" not in {key.to_user_string() for key in request.asset_selection or []}
    assert place.run(request).success
    assert _requests(place.tick("stream_sensor", result.cursor)) == []
    assert _requests(place.tick("stream_sensor", None)) == [], "nor after a lost cursor"


def test_both_leave_an_instrument_alone_while_a_run_of_it_is_to_come_or_under_way(place: Place) -> None:
    """What a backfill, or the other sensor, is about to store needs no run of its own."""
    _write_as_another(place, market_rows(JANUARY, JANUARY))
    _land(place, market_rows(JANUARY, FEBRUARY))
    job = job_of(place.settings)
    of_range = {RANGE_START_TAG: partition_key(INSTRUMENT, JANUARY), RANGE_END_TAG: partition_key(INSTRUMENT, JANUARY)}
    to_retry = of_range | {"dagster/will_retry": "true"}
    cases: list[tuple[dg.DagsterRunStatus, dict[str, str], int]] = [
        (dg.DagsterRunStatus.NOT_STARTED, of_range, 0),  # a queued one needs a code location
        (dg.DagsterRunStatus.STARTED, {"dagster/partition": partition_key(INSTRUMENT, JANUARY)}, 0),
        (dg.DagsterRunStatus.STARTED, {"dagster/partition": partition_key("GBPUSD", JANUARY)}, 1),
        (dg.DagsterRunStatus.FAILURE, to_retry, 0),
        (dg.DagsterRunStatus.FAILURE, to_retry | {"dagster/auto_retry_run_id": "another"}, 1),
        (dg.DagsterRunStatus.FAILURE, of_range, 1),
    ]
    for status, tags, expected in cases:
        run = place.instance.create_run_for_job(job, tags=tags, status=status)
        for sensor in ("landing_sensor", "stream_sensor"):
            assert len(_requests(place.tick(sensor, None))) == expected, (sensor, status, tags)
        place.instance.delete_run(run.run_id)


def _write_as_another(place: Place, rows: Rows) -> None:
    """Add raw candles as the live engine would: no run, no file."""
    import pyarrow as pa

    columns: dict[str, Any] = {
        "instrument_id": [INSTRUMENT] * len(rows["ts"]),
        "granularity": ["M15"] * len(rows["ts"]),
        **rows,
    }
    schema = RAW_CANDLES.wire_schema()
    table = pa.Table.from_arrays(
        [pa.array(columns[name], schema.field(name).type) for name in schema.names], schema.names
    )
    scope = Scope(INSTRUMENT, int(rows["ts"][0]), int(rows["ts"][-1]) + 1, "M15")
    place.warehouse.upsert(RAW_CANDLES, scope, table.cast(schema))
