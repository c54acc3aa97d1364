"""Dagster's instance, in which a backfill is one run for each instrument, whoever launches it.

Left to itself Dagster cuts a backfill along the dimension of which fewer keys are selected: 29 instruments × 24 months
become a run for each month, in no order, in which one instrument's broken file fails all 29; 8 instruments that are not
neighbors × 4 months became 20 runs. And it makes a second wave of runs, half a minute later, wherever windows look into
the selected months from earlier ones. A run over the months of one instrument, from the first that looks into them on,
needs none of that; the sensors start the same.

Belongs here: cutting. Does not belong here: which partitions are wanted (the UI, `backfill`), what a run does.
"""

import sys
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.events import DagsterEventBatchMetadata, JobFailureData, RunFailureReason
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.execution.retries import auto_reexecution_should_retry_run
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.tags import RETRY_ON_ASSET_OR_OP_FAILURE_TAG, WILL_RETRY_TAG
from dagster._core.utils import make_new_run_id
from dagster._time import datetime_from_timestamp

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, month_runs
from label_assets.catalog.families import FAMILIES
from label_assets.errors import (
    CandleError,
    CatalogError,
    SettingsError,
    SourceEmptyError,
    SourceError,
    SourceUnreadableError,
)
from label_assets.storage import close_connections, keep_connections

ASSETS = frozenset(
    dg.AssetKey(name)
    for name in (
        *("raw_candles", "candles", "levels", "path_windows"),
        *(family.name for family in FAMILIES),
        *("labels", "label_statistics", "hot_labels"),
    )
)
"""Assets of which backfills are cut; those of other code locations are none of our business."""


FAIL_AGAIN = {
    each.__name__
    for each in (
        *(SettingsError, CatalogError, CandleError, SourceError, SourceUnreadableError, SourceEmptyError),
        DagsterAssetCheckFailedError,
    )
}
"""Errors of steps that another attempt at the same run would meet again."""

BACKFILL_INTERVAL_S = 5
"""How often the daemon looks at backfills [s]. Dagster's own 30 s are no setting of it: a person waited them before the
first run began, and again before the backfill had ended. Its queue of runs and its sensors are asked as often."""

SENSOR_LOOP_S = 1
"""How often the daemon asks whether a sensor is due [s]. Dagster's own 5 s are no setting of it either: no sensor is
asked sooner, whatever interval it names."""

NO_RETRY = {RETRY_ON_ASSET_OR_OP_FAILURE_TAG: "false"}
"""Tag of a run of which Dagster then says why it is not tried again."""


class LabelAssetsInstance(dg.DagsterInstance):
    """Dagster's own, but for when and how a backfill begins, how a run fails, and that it keeps its connections."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """Take what Dagster gives."""
        super().__init__(*arguments, **named)
        keep_connections(self._storages)
        daemon: Any = sys.modules.get("dagster._daemon.controller")
        if daemon is not None:  # this process is the daemon, whose loops have not begun
            daemon.DEFAULT_DAEMON_INTERVAL_SECONDS = BACKFILL_INTERVAL_S
            sys.modules["dagster._daemon.sensor"].MIN_INTERVAL_LOOP_TIME = SENSOR_LOOP_S  # type: ignore[attr-defined]

    @property
    def _storages(self) -> tuple[Any, ...]:
        return self._run_storage, self._event_storage, self._schedule_storage

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:
        """Bound statements as the web server asks [ms, s, connections]."""
        keep_connections(
            self._storages, statement_timeout_ms=statement_timeout, recycle_s=pool_recycle, more=max_overflow
        )

    def dispose(self) -> None:
        """Give everything back."""
        super().dispose()
        close_connections(self._storages)

    @classmethod
    def config_schema(cls) -> Mapping[str, Any]:
        """It takes no configuration of its own; Dagster asks."""
        return {}

    @staticmethod
    def config_defaults(base_dir: str) -> Mapping[str, Any]:
        """Everything else has Dagster's defaults; Dagster asks."""
        return InstanceRef.config_defaults(base_dir)

    def handle_new_event(
        self, event: dg.EventLogEntry, *, batch_metadata: DagsterEventBatchMetadata | None = None
    ) -> None:
        """Store an event; of a run that failed, only after whether it will be tried again.

        Dagster stores the event first, then the run's status, then that decision. Its daemon reads the event, finds a
        run that has not failed, and never looks again: the backfill waits for ever (seen on a busy machine); or it
        reads the status, finds no decision, and the backfill ends (dagster-io/dagster#34204).
        """
        if event.is_dagster_event and event.get_dagster_event().is_run_failure and self.run_retries_enabled:
            self._publish_failure(event.run_id, event.get_dagster_event(), event.timestamp)
        super().handle_new_event(event, batch_metadata=batch_metadata)

    def _publish_failure(self, run_id: str, failure: dg.DagsterEvent, timestamp: float) -> None:
        run = self.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        data = failure.event_specific_data
        reason = data.failure_reason if isinstance(data, JobFailureData) else None
        if reason == RunFailureReason.STEP_FAILURE and self._fails_again(run_id):
            run = run.with_tags({**run.tags, **NO_RETRY})
            self.add_run_tags(run_id, NO_RETRY)
        again = auto_reexecution_should_retry_run(self, run.with_status(dg.DagsterRunStatus.FAILURE), reason)
        self.add_run_tags(run_id, {WILL_RETRY_TAG: str(again).lower()})
        self._run_storage.handle_run_event(run_id, failure, datetime_from_timestamp(timestamp))

    def _fails_again(self, run_id: str) -> bool:
        """Whether a step failed for what another attempt finds unchanged: an input, a setting, a check."""
        steps = self.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
        errors = (step.event_log_entry.get_dagster_event().step_failure_data.error for step in steps)
        causes = ((error.cause or error).cls_name for error in errors if error is not None)
        return any(cause in FAIL_AGAIN for cause in causes)

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        """Store a new backfill, which starts it, with its runs made beforehand where that can be done."""
        latest = self.event_log_storage.get_maximum_record_id() or 0
        super().add_backfill(cut_by_instrument(partition_backfill, latest))


def cut_by_instrument(backfill: PartitionBackfill, latest_storage_id: int) -> PartitionBackfill:
    """Give a backfill its runs, one for each instrument, as if the daemon had made them and been interrupted.

    Every asset gets every selected month of an instrument, also those that the windows of other assets made necessary:
    bringing older candles in again changes nothing.

    Args:
        backfill: A new one.
        latest_storage_id: The last event before it; what comes later may be its work.

    Returns:
        The same, with runs; or unchanged if it is not ours, or an instrument's months have a hole: the months before
        the hole must then be done first, and Dagster waits for them.
    """
    data = backfill.asset_backfill_data
    if data is None or data.requested_runs_for_target_roots or data.target_subset.non_partitioned_asset_keys:
        return backfill
    subsets = data.target_subset.partitions_subsets_by_asset_key
    if not set(subsets) <= ASSETS:
        return backfill
    keys = {key for subset in subsets.values() for key in subset.get_partition_keys()}
    runs = month_runs(keys)
    if not runs or len({run.instrument_id for run in runs}) < len(runs):
        return backfill
    target = AssetGraphSubset.create_empty_subset()._replace(
        partitions_subsets_by_asset_key={asset: DefaultPartitionsSubset(keys) for asset in subsets}
    )
    requests = [
        dg.RunRequest(asset_selection=sorted(subsets), tags={RANGE_START_TAG: run.keys[0], RANGE_END_TAG: run.keys[-1]})
        for run in runs
    ]
    return backfill._replace(
        asset_backfill_data=data._replace(
            target_subset=target, requested_runs_for_target_roots=True, latest_storage_id=latest_storage_id
        )
    ).with_submitting_run_requests(requests, [make_new_run_id() for _ in requests])
