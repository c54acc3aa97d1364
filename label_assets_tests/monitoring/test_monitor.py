"""The monitor with real pages over HTTP, a real webhook, a real Redis, and the check that reads what it left."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from label_assets.assets.sla_check import MOST_INTERVALS, SERVICE_LEVELS, sla_check, sla_result
from label_assets.cache.hot import open_cache
from label_assets.monitoring import webhook
from label_assets.monitoring.evaluation import Violation
from label_assets.monitoring.monitor import Monitor, alerts, targets
from label_assets.monitoring.page import read_page
from label_assets.monitoring.record import Evaluation, last_evaluation, write_evaluation
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.embedded import redis
from label_assets_tests.assets.listener import Listener, listening
from label_assets_tests.monitoring.pages import Server, shown


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(webhook, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as opened:
        yield opened


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def address(server: Server) -> Iterator[str]:
    with shown(server) as url:
        yield url


@pytest.fixture
def make(tmp_path: Path, address: str, listener: Listener) -> Iterator[Callable[..., Settings]]:
    def made(**sla: object) -> Settings:
        return load_settings(
            home=tmp_path / "home",
            alerts={"webhook_url": listener.url},
            sla={"targets": [address], "critical_after_s": 0.05} | sla,
        )

    yield made
    redis.stop(tmp_path / "home")


def violation(severity: str, name: str = "hit_rate") -> Violation:
    return Violation(name, "", 0.5, 0.95, 0.0, 15.0, severity)  # type: ignore[arg-type]


def test_it_tells_what_begins_what_becomes_critical_and_what_is_over(
    make: Callable[..., Settings], server: Server, listener: Listener
) -> None:
    monitor = Monitor(make(critical_after_s=60.0), clock=itertools.count(1_700_000_000.0, 40.0).__next__)
    assert monitor.look() is None
    server.reads(hit=10, miss=90)
    assert [each.severity for each in monitor.look() or []] == ["warning"]
    assert [body["kind"] for body in listener.bodies] == ["sla_warning"]
    assert "share of reads that the hot cache answers is 0.1, should be at least 0.95" in listener.texts[0]
    server.reads(hit=10, miss=90)
    assert [each.severity for each in monitor.look() or []] == ["critical"]
    server.reads(hit=10, miss=90)
    monitor.look()
    assert [body["kind"] for body in listener.bodies] == ["sla_warning", "sla_critical"], "told once"
    server.reads(hit=1000)
    assert monitor.look() == []
    assert [body["kind"] for body in listener.bodies][2:] == ["sla_resolved"]
    assert listener.bodies[1]["violations"][0]["value"] == 0.1
    monitor.close()


def test_only_what_is_severe_enough_is_posted(
    make: Callable[..., Settings], server: Server, listener: Listener
) -> None:
    settings = make(critical_after_s=3600.0)
    settings = settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"severity": "ERROR"})})
    monitor = Monitor(settings)
    monitor.look()
    server.reads(miss=100)
    assert monitor.look()
    assert listener.bodies == []
    monitor.close()


def test_a_webhook_that_does_not_answer_stops_nothing(
    make: Callable[..., Settings], server: Server, listener: Listener
) -> None:
    listener.statuses = [500]
    monitor = Monitor(make())
    monitor.look()
    server.reads(miss=100)
    assert [each.name for each in monitor.look() or []] == ["hit_rate"]
    monitor.close()


def test_alerts_of_changes() -> None:
    young, old, other = violation("warning"), violation("critical"), violation("critical", "error_rate")
    kinds = [
        (before, now, [alert.kind for alert in alerts(before, now)])
        for before, now in (
            ([], [young]),
            ([young], [young]),
            ([young], [old]),
            ([old], [old]),
            ([old], []),
            ([], [old]),
            ([young], [old, other]),
            ([old], [violation("warning", "error_rate")]),
        )
    ]
    assert [found for _, _, found in kinds] == [
        ["sla_warning"],
        [],
        ["sla_critical"],
        [],
        ["sla_resolved"],
        ["sla_critical"],
        ["sla_critical"],
        ["sla_warning", "sla_resolved"],
    ]


def test_pages_that_are_none(address: str, listener: Listener) -> None:
    assert read_page(address).problem == ""
    assert read_page("http://127.0.0.1:1/metrics").problem.startswith("ConnectionRefusedError")
    assert read_page(listener.url).samples == {}
    assert read_page("http://nowhere.invalid/metrics").problem
    assert read_page("nothing").problem.startswith("no page of metrics")


def test_default_targets_are_those_of_this_machine() -> None:
    assert targets(load_settings()) == ("http://127.0.0.1:8000/metrics",)
    assert targets(load_settings(live={"metrics_port": 9464}))[1] == "http://127.0.0.1:9464/metrics"
    assert targets(load_settings(sla={"targets": "http://a/metrics, http://b/metrics"})) == (
        "http://a/metrics",
        "http://b/metrics",
    )


@dg.asset
def hot_labels() -> None:
    """In place of the asset that is checked."""


def check(settings: Settings) -> dg.AssetCheckEvaluation:
    """The check as Dagster runs it."""
    definitions = dg.Definitions(assets=[hot_labels], asset_checks=[sla_check(settings)])
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=dg.DagsterInstance.ephemeral()
    )
    (found,) = result.get_asset_check_evaluations()
    return found


def test_the_check_reads_what_the_monitor_left(make: Callable[..., Settings], server: Server) -> None:
    settings = make(critical_after_s=3600.0)
    assert last_evaluation(settings) is None
    found = check(settings)
    assert found.passed
    assert "No monitor has looked" in str(found.description)
    redis.ensure_running(settings.home)
    monitor = Monitor(settings)
    monitor.look()
    server.reads(hit=100)
    monitor.look()
    found = check(settings)
    assert found.passed
    assert found.metadata["hit_rate"].value == 1.0
    server.reads(miss=100)
    monitor.look()
    found = check(settings)
    assert not found.passed
    assert not found.blocking
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert "share of reads that the hot cache answers is 0, should be at least 0.95" in str(found.description)
    monitor.close()


def test_the_check_of_old_and_of_critical_evaluations() -> None:
    now = 1_700_000_000.0
    told = [{"severity": "critical", "text": "critical: it is slow"}]
    found = sla_result(Evaluation(now - 20, 15.0, {}, told), now)
    assert (found.passed, found.severity, found.description) == (
        False,
        dg.AssetCheckSeverity.ERROR,
        "critical: it is slow",
    )
    found = sla_result(Evaluation(now - MOST_INTERVALS * 15.0 - 1, 15.0), now)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "silent since 2023-11-14 22:" in str(found.description)
    found = sla_result(None, now, "TimeoutError")
    assert not found.passed
    assert "TimeoutError" in str(found.description)
    assert SERVICE_LEVELS.blocking is False


def test_an_evaluation_is_read_back_as_it_was_written(make: Callable[..., Settings]) -> None:
    settings = make()
    redis.ensure_running(settings.home)
    cache = open_cache(settings)
    assert cache is not None
    written = Evaluation(1.5, 15.0, {"hit_rate": 0.25}, [violation("warning")._asdict() | {"text": "x"}])
    write_evaluation(cache, written)
    cache.close()
    assert last_evaluation(settings) == written


def test_the_command_looks_once(make: Callable[..., Settings], address: str, tmp_path: Path) -> None:
    """Exit code 1 where something is missed, 0 where all is well; the figures stand beside their thresholds."""
    environment = os.environ | {
        "LABEL_ASSETS_HOME": str(tmp_path / "home"),
        "LABEL_ASSETS_SLA__TARGETS": address,
        "LABEL_ASSETS_SLA__INTERVAL_S": "0.1",
    }
    command = [sys.executable, "-m", "label_assets.cli", "monitor", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "answers            1                            ≥ 1" in done.stdout
    assert "hit_rate           too little happened (0)      ≥ 0.95" in done.stdout
    gone = environment | {"LABEL_ASSETS_SLA__TARGETS": "http://127.0.0.1:1/metrics"}
    done = subprocess.run(command, env=gone, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "does not answer, for 0 s" in done.stderr


def test_the_command_ends_when_it_is_asked(make: Callable[..., Settings], address: str, tmp_path: Path) -> None:
    settings = make()
    redis.ensure_running(settings.home)
    environment = os.environ | {
        "LABEL_ASSETS_HOME": str(tmp_path / "home"),
        "LABEL_ASSETS_SLA__TARGETS": address,
        "LABEL_ASSETS_SLA__INTERVAL_S": "0.1",
    }
    child = subprocess.Popen([sys.executable, "-m", "label_assets.cli", "monitor"], env=environment)
    deadline = time.monotonic() + 120
    while last_evaluation(settings) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0
    found = last_evaluation(settings)
    assert found is not None
    assert json.dumps(found.figures)
    assert found.figures[f"answers {address}"] == 1.0
