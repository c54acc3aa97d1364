"""Dagster's instance as `dagster.yaml` makes it: what others see of a run that fails, and when."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.events import DagsterEventType, JobFailureData, RunFailureReason
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, ROOT_RUN_ID_TAG, RUN_FAILURE_REASON_TAG, WILL_RETRY_TAG
from dagster._daemon import backfill, controller, sensor

from label_assets.assets.sensors import LANDING_INTERVAL_S
from label_assets.errors import SourceUnreadableError, WarehouseUnavailableError
from label_assets.instance import BACKFILL_INTERVAL_S, SENSOR_LOOP_S, LabelAssetsInstance

RETRIES = 1


@pytest.fixture
def instance() -> Iterator[LabelAssetsInstance]:
    own = {
        "instance_class": {"module": "label_assets.instance", "class": "LabelAssetsInstance"},
        "run_retries": {"enabled": True, "max_retries": RETRIES},
        "telemetry": {"enabled": False},
    }
    with dg.instance_for_test(overrides=own) as opened:
        assert isinstance(opened, LabelAssetsInstance)
        yield opened


def started_run(instance: LabelAssetsInstance, parent: dg.DagsterRun | None = None) -> dg.DagsterRun:
    @dg.job
    def nothing() -> None:
        pass

    root = parent.run_id if parent else None
    tags = {PARENT_RUN_ID_TAG: root, ROOT_RUN_ID_TAG: root} if root else {}
    return instance.create_run_for_job(
        nothing, status=dg.DagsterRunStatus.STARTED, parent_run_id=root, root_run_id=root, tags=tags
    )


def test_whether_a_failed_run_is_tried_again_is_known_when_its_failure_is(
    instance: LabelAssetsInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    storage = instance.event_log_storage
    store_event = storage.store_event

    def looking(event: dg.EventLogEntry) -> None:
        if event.is_dagster_event and event.get_dagster_event().event_type == DagsterEventType.RUN_FAILURE:
            run = instance.get_run_by_id(event.run_id)
            assert run is not None
            seen.append((run.status, run.tags.get(RUN_FAILURE_REASON_TAG), run.tags.get(WILL_RETRY_TAG)))
        store_event(event)

    monkeypatch.setattr(storage, "store_event", looking)
    first = started_run(instance)
    again = started_run(instance, parent=first)
    expected: list[tuple[Any, ...]] = []
    for run, will_retry in ((started_run(instance), "true"), (again, "false")):
        instance.report_run_failed(run, job_failure_data=JobFailureData(None, RunFailureReason.STEP_FAILURE))
        expected.append((dg.DagsterRunStatus.FAILURE, "STEP_FAILURE", will_retry))
        stored = instance.get_run_by_id(run.run_id)
        assert stored is not None
        assert stored.tags[WILL_RETRY_TAG] == will_retry
    assert seen == expected


@pytest.mark.parametrize(
    ("error", "will_retry"),
    [
        (SourceUnreadableError(asked="a", found="b", allowed="c", action="d"), "false"),
        (WarehouseUnavailableError(asked="a", found="b", allowed="c", action="d"), "true"),
    ],
    ids=["broken file", "database away"],
)
def test_what_would_fail_again_is_not_tried_again(
    instance: LabelAssetsInstance, error: Exception, will_retry: str
) -> None:
    @dg.asset
    def broken() -> None:
        raise error

    result = dg.materialize([broken], instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[WILL_RETRY_TAG] == will_retry


class _Pauses(list[float]):
    """Stands for the event that a loop of the daemon waits for."""

    def wait(self, seconds: float) -> None:
        self.append(seconds)


def test_its_daemon_looks_at_backfills_every_few_seconds(
    instance: LabelAssetsInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "DEFAULT_DAEMON_INTERVAL_SECONDS", 30)
    LabelAssetsInstance.from_ref(instance.get_ref()).dispose()
    pauses = _Pauses()
    monkeypatch.setattr(backfill, "execute_backfill_iteration", lambda *_, **__: iter(()))
    loop: Any = backfill.execute_backfill_iteration_loop(None, None, pauses)  # type: ignore[arg-type]
    while not pauses:
        next(loop)
    assert BACKFILL_INTERVAL_S - 1 < pauses[0] <= BACKFILL_INTERVAL_S


def test_its_daemon_asks_sensors_as_often_as_they_name(
    instance: LabelAssetsInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensor, "MIN_INTERVAL_LOOP_TIME", 30)
    LabelAssetsInstance.from_ref(instance.get_ref()).dispose()
    pauses = _Pauses()
    monkeypatch.setattr(sensor, "execute_sensor_iteration", lambda *_, **__: iter(()))
    loop: Any = sensor.execute_sensor_iteration_loop(None, None, pauses)  # type: ignore[arg-type]
    while not pauses:
        next(loop)
    assert 0 < pauses[0] <= SENSOR_LOOP_S <= LANDING_INTERVAL_S
