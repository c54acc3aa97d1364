"""What breaks in the middle of a run, and that the same run repeated ends as if nothing had been.

Killed are real processes with SIGKILL: the owner of the embedded ClickHouse, and the process of the run. The only thing
injected is the moment.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from label_assets.settings import Settings, load_settings
from label_assets.warehouse import client as client_module
from label_assets.warehouse import upsert as upsert_module
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.embedded import clickhouse
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import (
    as_environment,
    contents,
    differences,
    failures,
    market_rows,
    run_months,
    run_well,
    small,
    succeeded,
    taken,
    write_rows,
)
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY = "2024-01", "2024-02"
PATIENCE_S = 120
REPOSITORY = Path(__file__).parents[2]

CHILD = """
import json, os, signal, sys, time
from pathlib import Path
from label_assets.settings import load_settings
from label_assets.warehouse import upsert as upsert_module
from label_assets_tests.assets.landing import failures, job_of, run_months

go, kill_at, *months = sys.argv[1:]
settings = load_settings()
job_of(settings)
insert = upsert_module._insert

def insert_and_die(client, table, scope, changed, vanished):
    if kill_at == "before " + table.name:
        os.kill(os.getpid(), signal.SIGKILL)
    insert(client, table, scope, changed, vanished)
    if kill_at == "after " + table.name:
        os.kill(os.getpid(), signal.SIGKILL)

upsert_module._insert = insert_and_die
print("ready", flush=True)
while not Path(go).exists():
    time.sleep(0.005)
result = run_months(settings, *months)
print(json.dumps({"success": result.success, "failures": failures(result)}), flush=True)
"""


@pytest.fixture
def make_own(tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Settings with a home of their own and no address: the embedded server is started on demand."""
    homes: list[Path] = []

    def make(**overrides: Any) -> Settings:
        homes.append(Path(tempfile.mkdtemp(prefix="label_assets_")))
        return load_settings(**small(home=homes[-1], **overrides))

    yield make
    for home in homes:
        clickhouse.stop(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def undisturbed(make_settings: Callable[..., Settings], fill: Filled) -> Callable[..., Mapping[str, pa.Table]]:
    """Contents of another database on another server after the same run without a fault."""

    def make(**overrides: Any) -> Mapping[str, pa.Table]:
        settings = make_settings(**small(**overrides))
        fill(settings, JANUARY, FEBRUARY)
        return _contents(settings)

    return make


def _contents(settings: Settings) -> Mapping[str, pa.Table]:
    warehouse = Warehouse(settings)
    try:
        return contents(warehouse)
    finally:
        warehouse.close()


def _kill_owner(settings: Settings) -> None:
    """SIGKILL to the process that holds the engine, and wait until it is gone."""
    pid = clickhouse.status(settings.home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while clickhouse.status(settings.home).running:
        time.sleep(0.01)


def _says_it_in_our_words(result: dg.ExecuteInProcessResult) -> None:
    """A run that fails says what was asked, found and what to do; one that succeeds needs no words."""
    assert result.success == (not failures(result))
    for step, message in failures(result).items():
        assert message.startswith("label_assets.errors."), (step, message)
        assert "Asked: " in message, step
        assert "Next: " in message, step


OWNER_KILLS = {
    "before the first statement reads": ("upsert", "raw_candles"),
    "before raw_candles is inserted": ("before", "raw_candles"),
    "after raw_candles was inserted": ("after", "raw_candles"),
    "before candles is inserted": ("before", "candles"),
    "after path_windows was inserted": ("after", "path_windows"),
    "before barriers is read": ("upsert", "barriers"),
    "before labels is inserted": ("before", "labels"),
    "after labels was inserted": ("after", "labels"),
}
OFTEN_TESTED = "before candles is inserted"


def _killing(monkeypatch: pytest.MonkeyPatch, moment: str, table_name: str, kill: Callable[[], None]) -> list[str]:
    """Call `kill` once: before a table's upsert, or directly before or after its insert. Returns what was done."""
    done: list[str] = []
    upsert, insert = upsert_module.upsert, upsert_module._insert

    def once(now: str, table: Any) -> None:
        if (now, table.name) == (moment, table_name) and not done:
            done.append(now)
            kill()

    def upsert_with_fault(client: Any, table: Any, *rest: Any) -> Any:
        once("upsert", table)
        return upsert(client, table, *rest)

    def insert_with_fault(client: Any, table: Any, *rest: Any) -> None:
        once("before", table)
        insert(client, table, *rest)
        once("after", table)

    monkeypatch.setattr(client_module, "upsert", upsert_with_fault)
    monkeypatch.setattr(upsert_module, "_insert", insert_with_fault)
    return done


def _owner_killed_at(monkeypatch: pytest.MonkeyPatch, settings: Settings, moment: str, table_name: str) -> None:
    with monkeypatch.context() as patch:
        done = _killing(patch, moment, table_name, lambda: _kill_owner(settings))
        result = run_months(settings, JANUARY, FEBRUARY)
    assert done == [moment]
    _says_it_in_our_words(result)
    # Nothing restarts a server under a run: it ends at the table at which its server died, or right after.
    assert not result.success
    assert "labels" not in succeeded(result) or (moment, table_name) == ("after", "labels")


def test_the_database_dies_and_the_same_run_again_mends_all(
    make_own: Callable[..., Settings],
    undisturbed: Callable[..., Mapping[str, pa.Table]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = make_own()
    _owner_killed_at(monkeypatch, settings, *OWNER_KILLS[OFTEN_TESTED])
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(undisturbed(), _contents(settings)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill for kill in OWNER_KILLS if kill != OFTEN_TESTED])
def test_the_database_dies_at_any_other_table(
    make_own: Callable[..., Settings],
    undisturbed: Callable[..., Mapping[str, pa.Table]],
    monkeypatch: pytest.MonkeyPatch,
    kill: str,
) -> None:
    settings = make_own()
    _owner_killed_at(monkeypatch, settings, *OWNER_KILLS[kill])
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(undisturbed(), _contents(settings)) == {}


@pytest.mark.slow
def test_the_database_dies_at_any_time_again_and_again(
    make_own: Callable[..., Settings], undisturbed: Callable[..., Mapping[str, pa.Table]]
) -> None:
    """Whenever it happens, in whatever statement: a message of ours or success, and in the end the same tables."""
    settings = make_own()
    for delay_s in (0.05, 0.2, 0.4, 0.6, 0.8, 1.2):
        clickhouse.ensure_running(settings.home)
        killer = threading.Timer(delay_s, _kill_owner, [settings])
        killer.start()
        result = run_months(settings, JANUARY, FEBRUARY)
        killer.join()
        _says_it_in_our_words(result)
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(undisturbed(), _contents(settings)) == {}


@pytest.mark.slow
def test_the_database_dies_while_a_corrected_file_is_written(
    make_own: Callable[..., Settings],
    undisturbed: Callable[..., Mapping[str, pa.Table]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Tombstones and changed rows survive it together or not at all; no candle of the old file is left at the end."""
    landing = {"source": "landing", "landing_folder": tmp_path / "landing"}
    settings = make_own(**landing)
    write_rows(tmp_path / "landing", market_rows(JANUARY, FEBRUARY))
    run_well(settings, JANUARY, FEBRUARY)
    _correct(tmp_path / "landing")
    expected = undisturbed(**landing)
    for moment, table_name in (("before", "raw_candles"), ("after", "raw_candles"), ("after", "candles")):
        # After the insert was acknowledged the same run has nothing left to write to raw_candles.
        with monkeypatch.context() as patch:
            done = _killing(patch, moment, table_name, lambda: _kill_owner(settings))
            result = run_months(settings, JANUARY, FEBRUARY)
        assert done == [moment], (moment, table_name)
        assert not result.success
        _says_it_in_our_words(result)
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(expected, _contents(settings)) == {}


def _correct(folder: Path) -> None:
    """A newer file: an hour has vanished, and a day has other prices."""
    rows = market_rows(JANUARY, FEBRUARY)
    day = (rows["ts"] >= utc("2024-01-17 00:00")[0]) & (rows["ts"] < utc("2024-01-18 00:00")[0])
    for name in ("open", "high", "low", "close"):
        rows[name][day] *= 1.01
    hour = int(utc("2024-02-01 01:00")[0])
    write_rows(folder, taken(rows, (rows["ts"] < hour) | (rows["ts"] >= hour + 3_600)))


class _Children:
    """Processes that each make the same run, from the moment at which the file `go` exists."""

    def __init__(self, settings: Settings, folder: Path, kills: list[str]) -> None:
        self.go = folder / f"go_{time.monotonic_ns()}"
        command = [sys.executable, "-c", CHILD, str(self.go)]
        self.running = [
            subprocess.Popen(
                [*command, kill, JANUARY, FEBRUARY],
                env={**os.environ, **as_environment(settings), "PYTHONPATH": str(REPOSITORY)},
                stdout=subprocess.PIPE,
                stderr=(folder / "child.log").open("ab"),
                text=True,
                cwd=folder,
            )
            for kill in kills
        ]

    def start(self) -> None:
        for child in self.running:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        self.go.touch()

    def finish(self) -> list[tuple[int, dict[str, Any] | None]]:
        """Exit code and outcome of each; a killed one has no outcome."""
        found = []
        for child in self.running:
            output, _ = child.communicate(timeout=PATIENCE_S)
            found.append((child.returncode, json.loads(output) if output else None))
        return found

    def kill(self) -> None:
        for child in self.running:
            child.kill()
            child.wait(PATIENCE_S)
            if child.stdout is not None:
                child.stdout.close()


@pytest.fixture
def make_children(tmp_path: Path) -> Iterator[Callable[..., _Children]]:
    """Processes of runs, none of which outlives the test."""
    made: list[_Children] = []

    def make(settings: Settings, *kills: str) -> _Children:
        made.append(_Children(settings, tmp_path, list(kills)))
        return made[-1]

    yield make
    for children in made:
        children.kill()


@pytest.mark.slow
def test_two_runs_of_the_same_partitions_at_once_end_as_one(
    make_own: Callable[..., Settings],
    undisturbed: Callable[..., Mapping[str, pa.Table]],
    make_children: Callable[..., _Children],
    tmp_path: Path,
) -> None:
    """First into nothing, where both also start the server and make the tables; then over an older file's rows."""
    landing = {"source": "landing", "landing_folder": tmp_path / "landing"}
    settings = make_own(**landing)
    write_rows(tmp_path / "landing", market_rows(JANUARY, FEBRUARY))
    for correct in (lambda: None, lambda: _correct(tmp_path / "landing")):
        correct()
        children = make_children(settings, "never", "never")
        children.start()
        assert children.finish() == [(0, {"success": True, "failures": {}})] * 2
        assert differences(undisturbed(**landing), _contents(settings)) == {}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_whose_process_is_killed_is_mended_by_the_same_run_again(
    make_own: Callable[..., Settings],
    undisturbed: Callable[..., Mapping[str, pa.Table]],
    make_children: Callable[..., _Children],
    tmp_path: Path,
) -> None:
    landing = {"source": "landing", "landing_folder": tmp_path / "landing"}
    settings = make_own(**landing)
    write_rows(tmp_path / "landing", market_rows(JANUARY, FEBRUARY))
    for kill in ("after raw_candles", "before volatility", "before labels"):
        children = make_children(settings, kill)
        children.start()
        assert children.finish() == [(-signal.SIGKILL, None)], kill
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(undisturbed(**landing), _contents(settings)) == {}
    # And in a run over stored rows, which has tombstones to write.
    _correct(tmp_path / "landing")
    for kill in ("before raw_candles", "after candles"):
        children = make_children(settings, kill)
        children.start()
        assert children.finish() == [(-signal.SIGKILL, None)], kill
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(undisturbed(**landing), _contents(settings)) == {}


@pytest.mark.slow
def test_a_run_killed_at_any_time_is_mended_by_the_same_run_again(
    make_own: Callable[..., Settings],
    undisturbed: Callable[..., Mapping[str, pa.Table]],
    make_children: Callable[..., _Children],
) -> None:
    settings = make_own()
    for delay_s in (0.1, 0.4, 0.8, 1.5):
        children = make_children(settings, "never")
        children.start()
        time.sleep(delay_s)
        children.kill()
    run_well(settings, JANUARY, FEBRUARY)
    assert differences(undisturbed(), _contents(settings)) == {}
