"""Sensors that tell of failed runs, failed checks and overdue assets: to the log, and to a webhook if there is one.

Runs are followed by their final status and not by single check evaluations: one alert then says all that is wrong with
a run, Dagster itself keeps the cursor, and every event storage can be asked.

Belongs here: what is told and when. Does not belong here: telling (`monitoring.alert`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from label_assets.assets.freshness import KEPT_FRESH
from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG
from label_assets.monitoring.alert import Alert, tell
from label_assets.settings import AlertSettings, Settings

PARTITION_TAG = "dagster/partition"
RETRY_TAG = "dagster/will_retry"

RUNS_INTERVAL_S = 30
OVERDUE_INTERVAL_S = 300

MOST_STEPS = 10
MOST_CHARACTERS = 500
"""Of one step's message: an exception can carry a whole response."""


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass."""

    asset: str
    name: str
    severity: str
    blocking: bool
    says: str


def failed_checks(instance: dg.DagsterInstance, run_id: str) -> list[FailedCheck]:
    """Checks that did not pass in a run, in the order of evaluation."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    found = []
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        if evaluation is not None and not evaluation.passed:
            found.append(
                FailedCheck(
                    evaluation.asset_key.to_user_string(),
                    evaluation.check_name,
                    evaluation.severity.value,
                    bool(evaluation.blocking),
                    evaluation.description or _counts(evaluation),
                )
            )
    return found


def _counts(evaluation: dg.AssetCheckEvaluation) -> str:
    """The numbers of a check's metadata, where it has no description."""
    values = {name: entry.value for name, entry in evaluation.metadata.items()}
    return ", ".join(f"{name} {value}" for name, value in values.items() if isinstance(value, int | float) and value)


def _partitions(run: dg.DagsterRun) -> str:
    if RANGE_START_TAG in run.tags:
        return f"{run.tags[RANGE_START_TAG]} .. {run.tags[RANGE_END_TAG]}"
    return run.tags.get(PARTITION_TAG, "no partition")


def _about(run: dg.DagsterRun, checks: Sequence[FailedCheck], settings: AlertSettings) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "job": run.job_name,
        "partitions": _partitions(run),
        "checks": [asdict(check) for check in checks],
        "url": f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}" if settings.ui_url else None,
    }


def _check_lines(checks: Sequence[FailedCheck]) -> list[str]:
    return [f"{check.severity} {check.asset}.{check.name}: {check.says}"[:MOST_CHARACTERS] for check in checks]


def _links(about: Mapping[str, Any]) -> list[str]:
    return [about["url"]] if about["url"] else []


def run_failure_alert(context: dg.RunFailureSensorContext, settings: AlertSettings) -> Alert:
    """The alert of a failed run: steps that failed with their innermost cause, checks that did not pass."""
    run = context.dagster_run
    steps = []
    for event in context.get_step_failure_events()[:MOST_STEPS]:
        error = event.step_failure_data.error
        cause = error.cause if error and error.cause else error
        message = cause.message.strip() if cause else "no message"
        steps.append({"step": str(event.step_key), "error": message[:MOST_CHARACTERS]})
    checks = failed_checks(context.instance, run.run_id)
    will_retry = run.tags.get(RETRY_TAG, "").lower() == "true"
    about = _about(run, checks, settings) | {"steps": steps, "will_retry": will_retry}
    lines = [f"{step['step']}: {step['error']}" for step in steps]
    if not lines:
        lines.append((context.failure_event.message or "no message")[:MOST_CHARACTERS])
    lines += [*_check_lines(checks), *(["it will be tried again"] if will_retry else []), *_links(about)]
    title = f"Run failed: {about['partitions']} (job {run.job_name}, run {run.run_id})"
    return Alert("run_failed", title, tuple(lines), about)


def check_failure_alert(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: AlertSettings) -> Alert | None:
    """The alert of checks that did not pass in a run that went through; None if all did, or none severe enough."""
    least = dg.AssetCheckSeverity.ERROR.value
    checks = [
        check for check in failed_checks(instance, run.run_id) if settings.severity != least or check.severity == least
    ]
    if not checks:
        return None
    about = _about(run, checks, settings)
    title = f"Checks failed: {about['partitions']} (job {run.job_name}, run {run.run_id})"
    return Alert("checks_failed", title, (*_check_lines(checks), *_links(about)), about)


def newly_overdue(states: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Assets whose freshness has become a warning or a failure since the last look."""
    return [name for name, state in states.items() if state in {"WARN", "FAIL"} and before.get(name) != state]


def _overdue_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="overdue_alerts",
        minimum_interval_seconds=OVERDUE_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells when candles or labels become overdue: nothing of them was materialized for long.",
    )
    def overdue_alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        records = context.instance.get_freshness_state_records([dg.AssetKey(name) for name in KEPT_FRESH])
        states = {key.to_user_string(): record.freshness_state.value for key, record in sorted(records.items())}
        late = newly_overdue(states, json.loads(context.cursor or "{}"))
        if late:
            limit = f"overdue_hours = {settings.overdue_hours}"
            lines = tuple(f"{name}: {states[name]}" for name in late)
            alert = Alert("asset_overdue", f"Nothing new for long ({limit})", lines, {"assets": states})
            tell(alert, settings.alerts, context.log)
        context.update_cursor(json.dumps(states))
        return dg.SkipReason(f"overdue: {', '.join(late) or 'nothing that was not before'}")

    return overdue_alerts


def alert_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """Sensors for failed runs, failed checks of runs that went through, and overdue assets; all run by default."""

    @dg.run_failure_sensor(
        name="run_failure_alerts",
        minimum_interval_seconds=RUNS_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of each failed run: which steps, why, which checks.",
    )
    def run_failure_alerts(context: dg.RunFailureSensorContext) -> None:
        tell(run_failure_alert(context, settings.alerts), settings.alerts, context.log)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="check_failure_alerts",
        minimum_interval_seconds=RUNS_INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells of checks that did not pass in a run that went through: warnings, and what blocks nothing.",
    )
    def check_failure_alerts(context: dg.RunStatusSensorContext) -> None:
        alert = check_failure_alert(context.instance, context.dagster_run, settings.alerts)
        if alert is not None:
            tell(alert, settings.alerts, context.log)

    sensors = [run_failure_alerts, check_failure_alerts]
    return [*sensors, _overdue_sensor(settings)] if settings.overdue_hours else sensors
