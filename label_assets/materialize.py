"""Runs of the asset graph from Python: what `label-assets demo` and `label-assets materialize` do.

The runs are Dagster runs, stored in the same instance as those of the UI, one for each instrument.

Belongs here: launching and following runs. Does not belong here: what a run computes (`assets`).
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import dagster as dg

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, months_between, partition_key
from label_assets.definitions import build_defs
from label_assets.errors import LabelAssetsError, SettingsError
from label_assets.settings import Settings
from label_assets.stack import dagster_environment

Progress = Callable[[str, str], None]
"""Called with instrument and name of each finished step."""


class RunFailedError(LabelAssetsError):
    """A Dagster run that did not succeed."""


@dataclass(frozen=True)
class FinishedRun:
    """One finished run.

    Attributes:
        instrument_id: The instrument.
        run_id: Run of Dagster.
        seconds: Wall-clock time of the run [s].
        rows: Rows of `labels` in its partitions.
        rows_written: Rows written to any table.
    """

    instrument_id: str
    run_id: str
    seconds: float
    rows: int
    rows_written: int


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance of `home`, with the embedded PostgreSQL started where no URL is configured."""
    environment = dagster_environment(settings)
    os.environ.update(environment)
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        yield instance


def check_range(settings: Settings, instruments: Sequence[str], first_month: str, last_month: str) -> None:
    """Refuse partitions that do not exist.

    Raises:
        SettingsError: naming the instrument or month.
    """
    for name in instruments:
        settings.instrument(name)
    present = time.strftime("%Y-%m", time.gmtime())
    months = months_between(settings.first_month, present)
    for month in (first_month, last_month):
        if month not in months:
            raise SettingsError(
                asked=f"month {month!r}",
                found="no such partition",
                allowed=f"{months[0]} to {months[-1]}",
                action="name a month YYYY-MM in that range, or set first_month to an earlier one",
            )
    if first_month > last_month:
        raise SettingsError(
            asked=f"months {first_month} to {last_month}",
            found="the first month is after the last",
            allowed="the earlier month first",
            action="swap them",
        )


def step_count(settings: Settings) -> int:
    """Steps of one run of the whole graph, checks included."""
    return len(build_defs(settings).resolve_implicit_global_asset_job_def().nodes)


def materialize_range(
    settings: Settings,
    instance: dg.DagsterInstance,
    instruments: Sequence[str],
    months: tuple[str, str],
    progress: Progress = lambda instrument, step: None,
) -> list[FinishedRun]:
    """Materialize the whole graph for instruments and a range of months, one run for each instrument.

    Args:
        settings: The settings.
        instance: Where runs and events are stored.
        instruments: Names of the instruments.
        months: First and last month, `YYYY-MM`, both included.
        progress: Told of each finished step.

    Returns:
        One entry for each run, in order.

    Raises:
        SettingsError: for a partition that does not exist.
        RunFailedError: at the first run that fails, with its run id.
    """
    first_month, last_month = months
    check_range(settings, instruments, first_month, last_month)
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    return [_one_run(job, instance, name, (first_month, last_month), progress) for name in instruments]


def _one_run(
    job: dg.JobDefinition, instance: dg.DagsterInstance, instrument: str, months: tuple[str, str], progress: Progress
) -> FinishedRun:
    run_id = str(uuid4())
    failures: list[str] = []

    def follow(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            return
        if event.event_type == dg.DagsterEventType.STEP_SUCCESS:
            progress(instrument, event.step_key)
        elif event.event_type == dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            failures.append(f"{event.step_key}: {cause.message.strip() if cause else 'no message'}")

    instance.add_event_listener(run_id, follow)
    started = time.perf_counter()
    result = job.execute_in_process(
        instance=instance,
        run_id=run_id,
        asset_selection=sorted(job.asset_layer.executable_asset_keys),  # what the list of runs shows as their target
        tags={
            RANGE_START_TAG: partition_key(instrument, months[0]),
            RANGE_END_TAG: partition_key(instrument, months[1]),
        },
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )
    seconds = time.perf_counter() - started
    if not result.success:
        raise RunFailedError(
            asked=f"{instrument} {months[0]}..{months[1]} (run {run_id})",
            found="; ".join(failures) or "the run failed; its log says more",
            allowed="a run in which every step and every blocking check succeeds",
            action="mend the cause and repeat the command: every write may be repeated; the UI shows the run's log",
        )
    counts = {"rows": 0, "rows_written": 0}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        counts["rows_written"] += int(str(metadata["rows_written"].value))
        if event.asset_key == dg.AssetKey("labels"):
            counts["rows"] += int(str(metadata["rows"].value))
    return FinishedRun(instrument, run_id, seconds, **counts)
