"""What breaks in the middle of a backfill, and that it ends in the tables of an undisturbed one.

Backfills are launched as the UI does; what is killed are the real processes. `assets/test_faults.py` does the same to
single runs, at every table.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil
import pytest

from label_assets.assets.partitions import months_between, partition_key
from label_assets.settings import Settings
from label_assets.warehouse.embedded import clickhouse, postgres
from label_assets_tests.assets.landing import differences
from label_assets_tests.backfill.directly import computed_directly, report
from label_assets_tests.ui import dagster_graphql as ui_client
from label_assets_tests.ui.dagster_graphql import Graphql, wait_for
from label_assets_tests.ui.development import Development, own_development

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

INSTRUMENTS = ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")
FIRST_QUARTER, SECOND_QUARTER = ("2025-01", "2025-03"), ("2025-04", "2025-06")
AUTO_RETRY = "dagster/auto_retry_run_id"


@pytest.fixture
def development() -> Iterator[Development]:
    with own_development(instruments=",".join(INSTRUMENTS), sensors="false", pictures="false") as started:
        yield started


def launch(ui: Graphql, months: tuple[str, str], instruments: Sequence[str] = INSTRUMENTS) -> str:
    """Backfill of all assets."""
    keys = [partition_key(name, month) for name in instruments for month in months_between(*months)]
    return ui_client.launch_backfill(ui, list(ui_client.asset_nodes(ui)), keys)


def run_at(ui: Graphql, backfill_id: str, step: str, avoid: set[str]) -> str:
    """Wait for a run of the backfill that was never tried before and has begun a step; returns its id."""
    found: list[str] = []

    def is_there() -> bool:
        for run in ui_client.backfill(ui, backfill_id)["runs"]:
            is_first = all(tag["key"] != "dagster/parent_run_id" for tag in run["tags"])
            if run["status"] == "STARTED" and is_first and run["runId"] not in avoid:
                begun = {stat["stepKey"] for stat in ui_client.run(ui, run["runId"])["stepStats"]}
                if step in begun:
                    found.append(run["runId"])
        return bool(found)

    wait_for(f"a run at {step}", is_there, patience_s=240, poll_s=0.1)
    avoid.add(found[0])
    return found[0]


def kill_worker(ui: Graphql, run_id: str) -> None:
    """SIGKILL to the process that executes a run."""
    pids = [re.search(r"Started process for run \(pid: (\d+)\)", text) for text in ui_client.run_messages(ui, run_id)]
    psutil.Process(int(next(filter(None, pids))[1])).kill()
    wait_for("the run fails", lambda: ui_client.run(ui, run_id)["status"] == "FAILURE")


def kill_database(home: Any) -> None:
    """SIGKILL to the process that holds the engine."""
    pid = clickhouse.status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def lasting_failures(backfill: dict[str, Any]) -> list[str]:
    """Runs that failed and were not tried again."""
    return [
        run["runId"]
        for run in backfill["runs"]
        if run["status"] == "FAILURE" and all(tag["key"] != AUTO_RETRY for tag in run["tags"])
    ]


def test_processes_die_during_a_backfill(development: Development, make_settings: Callable[..., Settings]) -> None:
    development.start()
    ui = development.ui
    hit: set[str] = set()
    started = time.monotonic()

    first = launch(ui, FIRST_QUARTER)
    for step in ("candles", "excursions", "labels"):
        kill_worker(ui, run_at(ui, first, step, hit))
    run_at(ui, first, "path_windows", hit)
    kill_database(development.home)
    ended = ui_client.end_of_backfill(ui, first)
    assert ended["status"] == "COMPLETED_SUCCESS", ended
    assert lasting_failures(ended) == []
    # Three killed workers and the run under which the database went each cost one more run.
    assert len(ended["runs"]) == len(INSTRUMENTS) + len(hit)
    expected = computed_directly(make_settings, development.settings, FIRST_QUARTER)
    assert differences(expected, development.contents()) == {}
    report(f"four processes killed: {len(ended['runs'])} runs, {time.monotonic() - started:.0f} s")


def test_servers_and_daemon_are_stopped_during_a_backfill(
    development: Development, make_settings: Callable[..., Settings]
) -> None:
    development.start()
    ui = development.ui
    hit: set[str] = set()
    started = time.monotonic()

    first = launch(ui, FIRST_QUARTER)
    run_at(ui, first, "candles", hit)
    postgres.stop(development.home)
    time.sleep(3)
    postgres.ensure_running(development.home)
    # And somebody runs a partition by hand while the backfill writes it.
    busy = run_at(ui, first, "raw_candles", hit)
    runs = {run["runId"]: run for run in ui_client.backfill(ui, first)["runs"]}
    instrument, month = ui_client.partition_range(runs[busy])[0].rsplit("|", 1)
    by_hand = ui_client.launch_run(ui, list(ui_client.asset_nodes(ui)), instrument, month)
    wait_for("the run by hand ends", lambda: ui_client.run(ui, by_hand)["status"] in ui_client.ENDED_RUN)
    assert ui_client.run(ui, by_hand)["status"] == "SUCCESS"
    ended = ui_client.end_of_backfill(ui, first)
    report(f"PostgreSQL stopped: {ended['status']}, {len(ended['runs'])} runs, {time.monotonic() - started:.0f} s")

    second = launch(ui, SECOND_QUARTER)
    run_at(ui, second, "candles", hit)
    assert development.signal(signal.SIGTERM) == 0
    time.sleep(5)
    development.start()
    ended = ui_client.end_of_backfill(ui, second)
    report(f"Dagster stopped: {ended['status']}, {len(ended['runs'])} runs, {time.monotonic() - started:.0f} s")
    expected = computed_directly(make_settings, development.settings, (FIRST_QUARTER[0], SECOND_QUARTER[1]))
    assert differences(expected, development.contents()) == {}
