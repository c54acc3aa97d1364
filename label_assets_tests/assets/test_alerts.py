"""Alerts: what is told of which run, once and only once; and a webhook that does not answer harms nobody."""

import json
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from label_assets.assets.alerts import alert_sensors, newly_overdue
from label_assets.definitions import build_defs
from label_assets.errors import SettingsError
from label_assets.monitoring import webhook
from label_assets.monitoring.alert import Alert, tell
from label_assets.monitoring.webhook import PAUSES_S, post
from label_assets.settings import AlertSettings, Settings, load_settings
from label_assets_tests.assets.landing import INSTRUMENT, failures, run_well, small
from label_assets_tests.assets.listener import SECRET, Listener, listening
from label_assets_tests.assets.selected import run_selected

ATTEMPTS = len(PAUSES_S) + 1
ALERT = Alert("run_failed", "Run failed: somewhere", ("a step: a reason",), {"run_id": "r"})


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(webhook, "PAUSES_S", (0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as opened:
        yield opened


def alerting(listener: Listener, **overrides: object) -> Settings:
    return load_settings(alerts={"webhook_url": listener.url, "ui_url": "http://ui.example/"} | overrides)


def sensor(settings: Settings, name: str) -> dg.SensorDefinition:
    return next(found for found in alert_sensors(settings) if found.name == name)


@dg.asset
def thing() -> None:
    """An asset of no interest."""


@dg.asset_check(asset=thing, name="is_pretty")
def is_pretty() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, metadata={"violations": 3, "n": 0})


@dg.asset_check(asset=thing, name="is_right")
def is_right() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.ERROR, description="It is wrong.")


@dg.asset_check(asset=thing, name="exists")
def exists() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset
def broken() -> None:
    raise ValueError("out of paper " * 200)


def run(instance: dg.DagsterInstance, *parts: object) -> dg.ExecuteInProcessResult:
    """One run of assets with checks."""
    assets = [part for part in parts if not isinstance(part, dg.AssetChecksDefinition)]
    checks = [part for part in parts if isinstance(part, dg.AssetChecksDefinition)]
    job = dg.Definitions(assets=assets, asset_checks=checks).resolve_implicit_global_asset_job_def()  # type: ignore[arg-type]
    return job.execute_in_process(instance=instance, raise_on_error=False)


def tick(definition: dg.SensorDefinition, instance: dg.DagsterInstance, cursor: str | None) -> str:
    """One evaluation as the daemon does it; returns the cursor that it would store."""
    with dg.build_sensor_context(instance=instance, cursor=cursor, definitions=dg.Definitions()) as context:
        found = definition.evaluate_tick(context)
    assert not [reaction for reaction in found.dagster_run_reactions if reaction.error]
    assert found.cursor is not None
    return found.cursor


def on_disk(folder: Path) -> dg.DagsterInstance:
    folder.mkdir(exist_ok=True)
    return dg.DagsterInstance.local_temp(str(folder))


def test_a_failed_run_is_told_once_even_after_a_restart(listener: Listener, tmp_path: Path) -> None:
    definition = sensor(alerting(listener), "run_failure_alerts")
    with on_disk(tmp_path) as instance:
        cursor = tick(definition, instance, None)
        run(instance, broken)
        first = run(instance, thing)
        assert first.success
        cursor = tick(definition, instance, cursor)
        assert len(listener.bodies) == 1
        cursor = tick(definition, instance, cursor)
        assert len(listener.bodies) == 1
    with on_disk(tmp_path) as instance:
        cursor = tick(definition, instance, cursor)
        assert len(listener.bodies) == 1
        run(instance, broken)
        tick(definition, instance, cursor)
    assert len(listener.bodies) == 2
    assert listener.kinds == ["POST application/json"] * 2
    body = listener.bodies[0]
    assert body["kind"] == "run_failed"
    assert body["steps"][0]["step"] == "broken"
    assert body["steps"][0]["error"].startswith("ValueError: out of paper")
    assert len(body["steps"][0]["error"]) == 500
    assert body["url"] == f"http://ui.example/runs/{body['run_id']}"
    assert body["text"].splitlines()[0] == f"Run failed: no partition (job __ASSET_JOB, run {body['run_id']})"
    assert body["url"] in body["text"]
    assert listener.bodies[1]["run_id"] != body["run_id"]


def test_failed_checks_of_a_run_that_went_through_are_one_alert(listener: Listener, tmp_path: Path) -> None:
    definition = sensor(alerting(listener), "check_failure_alerts")
    with on_disk(tmp_path) as instance:
        cursor = tick(definition, instance, None)
        assert run(instance, thing, is_pretty, is_right, exists).success
        assert run(instance, thing, exists).success
        tick(definition, instance, tick(definition, instance, cursor))
    (body,) = listener.bodies
    assert body["kind"] == "checks_failed"
    said = {check["name"]: (check["asset"], check["severity"], check["says"]) for check in body["checks"]}
    assert said == {
        "is_pretty": ("thing", "WARN", "violations 3"),
        "is_right": ("thing", "ERROR", "It is wrong."),
    }
    assert "ERROR thing.is_right: It is wrong." in body["text"]


@pytest.mark.parametrize(("checks", "told"), [((is_pretty,), 0), ((is_pretty, is_right), 1)])
def test_warnings_are_not_told_to_whom_only_errors_matter(
    listener: Listener, tmp_path: Path, checks: tuple[dg.AssetChecksDefinition, ...], told: int
) -> None:
    definition = sensor(alerting(listener, severity="ERROR"), "check_failure_alerts")
    with on_disk(tmp_path) as instance:
        cursor = tick(definition, instance, None)
        run(instance, thing, *checks)
        tick(definition, instance, cursor)
    assert [[check["name"] for check in body["checks"]] for body in listener.bodies] == [["is_right"]] * told


def test_a_run_of_the_graph_names_its_partitions_steps_and_checks(
    listener: Listener, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / f"{INSTRUMENT}_M15.parquet").write_bytes(b"no Parquet")
    settings = make_settings(
        **small(source="landing", landing_folder=folder, alerts={"webhook_url": listener.url}, horizons=[6])
    )
    definition = sensor(settings, "run_failure_alerts")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_selected(settings, ["raw_candles"], "2024-01", "2024-02", instance=instance)
        assert set(failures(result)) == {"raw_candles"}
        event = next(event for event in result.all_events if event.event_type == dg.DagsterEventType.RUN_FAILURE)
        instance.add_run_tags(result.run_id, {"dagster/will_retry": "true"})
        failed = instance.get_run_by_id(result.run_id)
        assert failed is not None
        with dg.build_run_status_sensor_context(definition.name, event, instance, failed) as context:
            definition(context.for_run_failure())
    (body,) = listener.bodies
    assert body["partitions"] == f"{INSTRUMENT}|2024-01 .. {INSTRUMENT}|2024-02"
    assert f"{INSTRUMENT}_M15.parquet" in body["steps"][0]["error"]
    assert body["will_retry"] is True
    assert "it will be tried again" in body["text"]
    assert body["url"] is None


def test_overdue_rows_of_a_real_run_reach_the_webhook(
    listener: Listener, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(**small(granularities=["H1"], alerts={"webhook_url": listener.url}))
    run_well(settings, "2024-01")
    definition = sensor(settings, "check_failure_alerts")
    february = [key.to_user_string() for key in build_defs(settings).resolve_asset_graph().get_all_asset_keys()]
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = tick(definition, instance, None)
        assert run_selected(settings, february, "2024-02", instance=instance).success
        tick(definition, instance, cursor)
    (body,) = listener.bodies
    assert body["partitions"] == f"{INSTRUMENT}|2024-02"
    (check,) = body["checks"]
    assert check["name"] == "no_overdue_open_rows"
    assert f"{INSTRUMENT} 2024-01..2024-01" in check["says"]


@pytest.mark.parametrize(
    ("statuses", "attempts", "reason"),
    [
        ([200], 1, ""),
        ([204], 1, ""),
        ([503, 500, 200], 3, ""),
        ([429, 200], 2, ""),
        ([500], ATTEMPTS, "HTTP status 500"),
        ([404], 1, "HTTP status 404"),
        ([302], 1, "HTTP status 302"),  # following it would be a GET without the alert
    ],
)
def test_attempts_are_bounded_and_made_where_another_may_help(
    listener: Listener, statuses: list[int], attempts: int, reason: str
) -> None:
    listener.statuses = statuses
    assert post(alerting(listener).alerts, ALERT.body()) == reason
    assert listener.kinds == ["POST application/json"] * attempts


def test_a_webhook_that_never_answers_is_given_up(listener: Listener) -> None:
    listener.statuses = [0]
    assert post(alerting(listener, timeout_s=0.1).alerts, ALERT.body()) == "TimeoutError"
    assert len(listener.bodies) == ATTEMPTS


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:{_unused_port()}/hooks/{SECRET}",
        f"http://[::1/hooks/{SECRET}",
        f"http://127.0.0.1:port/hooks/{SECRET}",
        f"http://no-such-host.invalid/hooks/{SECRET}",
    ],
    ids=["nobody listens", "no address", "no port", "no such host"],
)
def test_a_failing_webhook_breaks_no_sensor_and_shows_no_secret(
    listener: Listener, tmp_path: Path, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    settings = load_settings(alerts={"webhook_url": url})
    definition = sensor(settings, "run_failure_alerts")
    with on_disk(tmp_path) as instance:
        cursor = tick(definition, instance, None)
        run(instance, broken)
        tick(definition, instance, cursor)
    shown = "".join(capfd.readouterr())
    assert "The webhook did not take the alert" in shown
    assert "Run failed: no partition" in shown  # the log has it all the same
    assert SECRET not in shown
    assert SECRET not in repr(settings)
    assert not listener.bodies


@pytest.mark.parametrize(
    "alerts",
    [
        {"webhook_url": f"ftp://example/{SECRET}"},
        {"webhook_url": [SECRET]},
        {"webhok_url": f"https://example/{SECRET}"},
        SECRET,
    ],
)
def test_a_wrong_setting_is_refused_without_its_value(alerts: object) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(alerts=alerts)
    assert "alerts" in str(refusal.value)
    assert SECRET not in str(refusal.value)


def test_without_a_webhook_alerts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test_alerts")
    tell(ALERT, AlertSettings(), log)
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", ALERT.text)]
    assert ALERT.text == "Run failed: somewhere\n• a step: a reason"
    assert json.loads(json.dumps(ALERT.body()))["run_id"] == "r"


def test_overdue_assets_are_told_when_they_become_so(listener: Listener, tmp_path: Path) -> None:
    definition = sensor(alerting(listener), "overdue_alerts")

    def become(instance: dg.DagsterInstance, asset: str, state: FreshnessState) -> None:
        """What Dagster's freshness daemon reports."""
        change = FreshnessStateChange(
            key=dg.AssetKey(asset), new_state=state, previous_state=FreshnessState.UNKNOWN, state_change_timestamp=1.0
        )
        instance._report_runless_asset_event(change)

    with on_disk(tmp_path) as instance:
        cursor = tick(definition, instance, None)
        become(instance, "candles", FreshnessState.PASS)
        become(instance, "labels", FreshnessState.FAIL)
        cursor = tick(definition, instance, cursor)
        cursor = tick(definition, instance, cursor)
        become(instance, "candles", FreshnessState.WARN)
        become(instance, "labels", FreshnessState.PASS)
        cursor = tick(definition, instance, cursor)
    assert [body["assets"] for body in listener.bodies] == [
        {"candles": "PASS", "labels": "FAIL"},
        {"candles": "WARN", "labels": "PASS"},
    ]
    assert listener.texts[0] == "Nothing new for long (overdue_hours = 96)\n• labels: FAIL"


def test_an_asset_is_overdue_once_for_each_state() -> None:
    assert newly_overdue({"candles": "FAIL", "labels": "WARN"}, {"labels": "WARN"}) == ["candles"]
    assert newly_overdue({"labels": "FAIL"}, {"labels": "WARN"}) == ["labels"]
    assert newly_overdue({"labels": "UNKNOWN", "candles": "NOT_APPLICABLE"}, {}) == []
    assert "overdue_alerts" not in {found.name for found in alert_sensors(load_settings(overdue_hours=0))}
