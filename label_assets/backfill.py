"""Backfills: what is asked for as one of Dagster's, and what became of it.

They are the objects that the UI makes: they stand on its page of backfills and can be canceled there.

Belongs here: from a selection to a backfill, its state, its failures. Does not belong here: who carries it out and what
the terminal shows (`backfill_command`), what a run computes (`assets`).
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import dagster as dg
from dagster._core.definitions.asset_selection import DagsterInvalidAssetSelectionError
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.errors import DagsterInvalidSubsetError
from dagster._core.execution.backfill import BULK_ACTION_TERMINAL_STATUSES, BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import (
    AUTO_RETRY_RUN_ID_TAG,
    BACKFILL_ID_TAG,
    PARENT_BACKFILL_ID_TAG,
    PARTITION_NAME_TAG,
    ROOT_BACKFILL_ID_TAG,
)
from dagster._core.utils import make_new_backfill_id

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, months_between, partition_key
from label_assets.errors import SettingsError
from label_assets.materialize import check_range
from label_assets.settings import Settings

UNSUCCESSFUL = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
MARKED_FROM_OUTSIDE = "This run has been marked as failed from outside the execution context."


@dataclass(frozen=True)
class Selection:
    """What a backfill is asked for.

    Attributes:
        instruments: Names of the instruments.
        months: First and last month, `YYYY-MM`, both included.
        assets: Names with commas between them, each also a selection as in the UI (`labels+`, `group:labels`).
        missing_only: Only partitions that were never materialized or whose last attempt failed or was canceled, and
            what follows from them.
    """

    instruments: tuple[str, ...]
    months: tuple[str, str]
    assets: str = "*"
    missing_only: bool = False

    @property
    def keys(self) -> list[str]:
        """Partition keys, ordered by instrument and month."""
        return [partition_key(name, month) for name in self.instruments for month in months_between(*self.months)]


class State(NamedTuple):
    """How far a backfill has come.

    Attributes:
        status: Dagster's word for it.
        targeted: Partitions of assets that it is to materialize.
        materialized: Those that are.
        failed: Those that failed or wait for one that did.
        runs: Its runs, the first one first.
        error: What went wrong outside of runs.
    """

    status: BulkActionStatus
    targeted: int
    materialized: int
    failed: int
    runs: list[dg.DagsterRun]
    error: str | None

    @property
    def has_ended(self) -> bool:
        """Nothing more will happen."""
        return self.status in BULK_ACTION_TERMINAL_STATUSES


class Failure(NamedTuple):
    """A step, or a whole run, that failed and was not mended by another attempt.

    Attributes:
        step: Asset or check; empty where the run as a whole failed.
        partitions: The run's partitions.
        run_id: The run.
        cause: What the innermost error says.
    """

    step: str
    partitions: str
    run_id: str
    cause: str


def new_backfill(
    settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance, selection: Selection
) -> PartitionBackfill | None:
    """Make the backfill that the UI would make; it starts when it is added to the instance and a daemon sees it.

    As in the UI, partitions are chosen for the assets at the roots of the selection, and the others follow: new candles
    of March also give February's last windows anew.

    Args:
        settings: The settings.
        graph: Assets and how they hang together.
        instance: Where materializations and runs are stored.
        selection: What is asked for.

    Returns:
        The backfill, or None where nothing of the selection is missing.

    Raises:
        SettingsError: for an instrument, month or asset that does not exist.
    """
    check_range(settings, selection.instruments, *selection.months)
    assets = selected_assets(graph, selection.assets)
    now = time.time()
    title = f"{', '.join(selection.instruments)} {selection.months[0]} to {selection.months[1]}"
    if not selection.missing_only:
        return PartitionBackfill.from_asset_partitions(
            backfill_id=make_new_backfill_id(),
            asset_graph=graph,
            partition_names=selection.keys,
            asset_selection=sorted(assets),
            backfill_timestamp=now,
            tags={},
            dynamic_partitions_store=instance,
            all_partitions=False,
            title=_short(title),
            description=title,
            run_config=None,
        )
    empty = target = AssetGraphSubset.create_empty_subset()
    for asset, keys in missing_partitions(instance, assets, selection.keys).items():
        missing = graph.get(asset).partitions_def.subset_with_partition_keys(keys)  # type: ignore[union-attr]
        start = empty._replace(partitions_subsets_by_asset_key={asset: missing})
        target |= graph.bfs_filter_subsets(lambda key, _: key in assets, start)
    return _of_subset(target, instance, {}, f"missing of {title}") if target.asset_keys else None


def rest_of(instance: dg.DagsterInstance, graph: AssetGraph, backfill_id: str) -> PartitionBackfill | None:
    """Make a backfill of what another one, which has ended, was to materialize and did not.

    Raises:
        SettingsError: if there is no such backfill, or it has not ended.
    """
    found = instance.get_backfill(backfill_id)
    if found is None or not found.is_asset_backfill or found.status not in BULK_ACTION_TERMINAL_STATUSES:
        raise SettingsError(
            asked=f"the rest of backfill {backfill_id!r}",
            found="no such backfill of assets" if found is None else f"its status is {found.status.value}",
            allowed="a backfill that has ended, failed or was canceled",
            action="take the name from the UI's page of backfills, or wait until it has ended",
        )
    data = found.get_asset_backfill_data(graph)
    tags = {
        PARENT_BACKFILL_ID_TAG: backfill_id,
        ROOT_BACKFILL_ID_TAG: found.tags.get(ROOT_BACKFILL_ID_TAG, backfill_id),
    }
    target = data.target_subset - data.materialized_subset
    return _of_subset(target, instance, tags, f"rest of {found.title or backfill_id}") if target.asset_keys else None


def _of_subset(
    target: AssetGraphSubset, instance: dg.DagsterInstance, tags: Mapping[str, str], title: str
) -> PartitionBackfill:
    backfill: PartitionBackfill = PartitionBackfill.from_asset_graph_subset(
        backfill_id=make_new_backfill_id(),
        backfill_timestamp=time.time(),
        tags=tags,
        dynamic_partitions_store=instance,
        asset_graph_subset=target,
        title=_short(title),
        description=title,
        run_config=None,
    )
    return backfill


def _short(title: str) -> str:
    """What fits into a column of the UI; the whole is the description."""
    return title if len(title) <= 80 else f"{title[:79]}…"


def selected_assets(graph: AssetGraph, text: str) -> set[dg.AssetKey]:
    """Assets of a selection: names or selections as in the UI, with commas between them.

    Raises:
        SettingsError: for a part that selects nothing.
    """
    found: set[dg.AssetKey] = set()
    for part in (part.strip() for part in text.split(",")):
        try:
            keys = dg.AssetSelection.from_string(part).resolve(graph)
        except (DagsterInvalidAssetSelectionError, DagsterInvalidSubsetError):
            keys = frozenset()
        if not keys:
            raise SettingsError(
                asked=f"assets {part!r}",
                found="it selects nothing",
                allowed=", ".join(sorted(key.to_user_string() for key in graph.executable_asset_keys)),
                action="name one of these, or select as in the UI: 'labels+' with what follows, '+labels' with what "
                "it is made from, 'group:labels'",
            )
        found |= set(keys)
    return found


def missing_partitions(
    instance: dg.DagsterInstance, assets: Iterable[dg.AssetKey], keys: Iterable[str]
) -> dict[dg.AssetKey, list[str]]:
    """Partitions of each asset that were never materialized, or whose last attempt failed or was canceled.

    Dagster's own table of failed partitions is empty in our instances: it is made from one event for each planned
    partition, which cost 16 ms each, 56 s for a run of 240 months (`DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS`).

    Returns:
        Keys in their order; assets without any are left out.
    """
    wanted = list(keys)
    attempts = _unsuccessful_attempts(instance)
    found = {}
    for asset in sorted(assets):
        done = instance.event_log_storage.get_latest_storage_id_by_partition(
            asset, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        tried = attempts.get(asset, {})
        missing = [key for key in wanted if key not in done or tried.get(key, 0) > done[key]]
        if missing:
            found[asset] = missing
    return found


def _unsuccessful_attempts(instance: dg.DagsterInstance) -> dict[dg.AssetKey, dict[str, int]]:
    """Storage id of the last attempt at each partition by a run that did not succeed."""
    attempts: dict[dg.AssetKey, dict[str, int]] = {}
    for run in instance.get_runs(dg.RunsFilter(statuses=UNSUCCESSFUL)):
        planned = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        for record in planned.records:
            event = record.event_log_entry.get_dagster_event()
            if event.asset_key is None:
                continue
            keys = event.partitions_subset.get_partition_keys() if event.partitions_subset else [event.partition]
            of_asset = attempts.setdefault(event.asset_key, {})
            for key in filter(None, keys):
                of_asset[key] = max(of_asset.get(key, 0), record.storage_id)
    return attempts


def state_of(instance: dg.DagsterInstance, graph: AssetGraph, backfill_id: str, counted: dict[str, int]) -> State:
    """Look at a backfill.

    Its own counts are brought up to date now and then, by the daemon; in between the materializations of its runs are
    counted.

    Args:
        instance: Where it is stored.
        graph: Assets and how they hang together.
        backfill_id: Its name.
        counted: Materializations of runs that have ended, by run; is added to.
    """
    found = instance.get_backfill(backfill_id)
    if found is None:
        raise SettingsError(
            asked=f"backfill {backfill_id}",
            found="it is not in Dagster's storage any more",
            allowed="a backfill that nobody deletes while it runs",
            action="start it again",
        )
    runs = list(instance.get_runs(dg.RunsFilter(tags={BACKFILL_ID_TAG: backfill_id})))
    materializations = 0
    for run in runs:
        count = counted.get(run.run_id)
        if count is None:
            count = instance.get_run_stats(run.run_id).materializations
            if run.is_finished:
                counted[run.run_id] = count
        materializations += count
    data = found.get_asset_backfill_data(graph)
    targeted, known, failed = (
        subset.num_partitions_and_non_partitioned_assets
        for subset in (data.target_subset, data.materialized_subset, data.failed_and_downstream_subset)
    )
    has_ended = found.status in BULK_ACTION_TERMINAL_STATUSES
    return State(
        status=found.status,
        targeted=targeted,
        materialized=known if has_ended else min(targeted, max(known, materializations)),
        failed=failed,
        runs=runs[::-1],
        error=found.error.message.strip() if found.error else None,
    )


def request_cancellation(instance: dg.DagsterInstance, backfill_id: str) -> None:
    """Ask the daemon to cancel a backfill, as the UI does.

    It may have to be asked again: the daemon reads and writes the backfill as a whole and can overwrite the request.
    """
    found = instance.get_backfill(backfill_id)
    if found is not None and found.status == BulkActionStatus.REQUESTED:
        instance.update_backfill(found._replace(status=BulkActionStatus.CANCELING))


def failures_of(instance: dg.DagsterInstance, runs: Iterable[dg.DagsterRun]) -> Iterator[Failure]:
    """Every failure among runs that no later attempt replaced."""
    for run in runs:
        if run.status != dg.DagsterRunStatus.FAILURE or AUTO_RETRY_RUN_ID_TAG in run.tags:
            continue
        steps = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
        for record in steps:
            event = record.event_log_entry.get_dagster_event()
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            text = cause.message.strip() if cause else "no message"
            yield Failure(event.step_key or "", partitions_of(run), run.run_id, text)
        if not steps:
            yield Failure("", partitions_of(run), run.run_id, _end_of_run(instance, run))


def _end_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What Dagster says last of a run that failed outside of its steps."""
    types = {dg.DagsterEventType.ENGINE_EVENT, dg.DagsterEventType.RUN_FAILURE}
    records = instance.get_records_for_run(run.run_id, of_type=types, ascending=False, limit=5).records
    texts = [record.event_log_entry.get_dagster_event().message or "" for record in records]
    return next((text.strip() for text in texts if text and text != MARKED_FROM_OUTSIDE), "its log says more")


def partitions_of(run: dg.DagsterRun) -> str:
    """Partitions of a run, as a range where there are several."""
    first, last = run.tags.get(RANGE_START_TAG), run.tags.get(RANGE_END_TAG)
    if first is None or last is None:
        return run.tags.get(PARTITION_NAME_TAG, "")
    same = first.rsplit("|", 1)[0] == last.rsplit("|", 1)[0]
    return first if first == last else f"{first}..{last.rsplit('|', 1)[1] if same else last}"
