"""What a backfill targets and how it is cut into runs; no daemon carries these out."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, months_between, partition_key
from label_assets.backfill import Selection, failures_of, missing_partitions, new_backfill, partitions_of, rest_of
from label_assets.backfill import selected_assets as select
from label_assets.compute.reach import forward_months
from label_assets.definitions import build_defs
from label_assets.errors import SettingsError
from label_assets.instance import ASSETS, cut_by_instrument
from label_assets.settings import Settings, load_settings

INSTRUMENTS = ("EURUSD", "GBPUSD", "XAUUSD")
SETTINGS = {"instruments": INSTRUMENTS, "granularities": ("H1", "D"), "first_month": "2024-01"}
MONTHS = ("2024-10", "2024-11")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(**SETTINGS)


@pytest.fixture(scope="module")
def job(settings: Settings) -> dg.JobDefinition:
    return build_defs(settings).resolve_implicit_global_asset_job_def()


@pytest.fixture(scope="module")
def graph(settings: Settings) -> AssetGraph:
    return build_defs(settings).resolve_asset_graph()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def names(keys: set[dg.AssetKey]) -> set[str]:
    return {key.to_user_string() for key in keys}


def targets(backfill: PartitionBackfill) -> dict[str, set[str]]:
    """Targeted partitions by asset."""
    assert backfill.asset_backfill_data is not None
    subsets = backfill.asset_backfill_data.target_subset.partitions_subsets_by_asset_key
    return {asset.to_user_string(): set(subset.get_partition_keys()) for asset, subset in subsets.items()}


def keys(months: tuple[str, str], instruments: tuple[str, ...] = INSTRUMENTS) -> set[str]:
    return {partition_key(name, month) for name in instruments for month in months_between(*months)}


def materialized(instance: dg.DagsterInstance, asset: str, *partitions: str) -> None:
    for partition in partitions:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=partition))


def failed_run(instance: dg.DagsterInstance, job: dg.JobDefinition, months: tuple[str, str]) -> dg.DagsterRun:
    """A run of EURUSD that was planned and then lost."""
    run = instance.create_run_for_job(
        job,
        tags={
            RANGE_START_TAG: partition_key("EURUSD", months[0]),
            RANGE_END_TAG: partition_key("EURUSD", months[1]),
        },
        asset_selection={dg.AssetKey("labels")},
    )
    instance.report_run_failed(run)
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def test_assets_are_named_or_selected_as_in_the_ui(graph: AssetGraph) -> None:
    assert names(select(graph, "labels, barriers")) == {"labels", "barriers"}
    assert names(select(graph, "labels+")) == {"labels", "label_statistics", "hot_labels"}
    assert names(select(graph, "key:raw_candles or key:candles")) == {"raw_candles", "candles"}
    assert select(graph, "*") == ASSETS
    for text in ("lables", "labels,", "group:nothing", "labels barriers"):
        with pytest.raises(SettingsError, match="label_statistics"):
            select(graph, text)


def test_months_before_the_selected_ones_whose_windows_look_into_them_follow(
    settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance
) -> None:
    backfill = new_backfill(settings, graph, instance, Selection(INSTRUMENTS, MONTHS))
    assert backfill is not None
    found = targets(backfill)
    assert found["raw_candles"] == found["candles"] == keys(MONTHS)
    first = months_between("2024-01", MONTHS[0])[-1 - forward_months(settings)]
    assert found["labels"] == found["levels"] == keys((first, MONTHS[1])) > keys(MONTHS)
    with pytest.raises(SettingsError, match="2023-12"):
        new_backfill(settings, graph, instance, Selection(INSTRUMENTS, ("2023-12", "2024-01")))
    with pytest.raises(SettingsError, match="AUDUSD"):
        new_backfill(settings, graph, instance, Selection(("AUDUSD",), MONTHS))


def test_one_family_is_one_family(settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance) -> None:
    backfill = new_backfill(settings, graph, instance, Selection(("EURUSD",), MONTHS, "barriers"))
    assert backfill is not None
    assert targets(backfill) == {"barriers": keys(MONTHS, ("EURUSD",))}


def test_missing_is_what_was_never_materialized_or_whose_last_attempt_failed(
    settings: Settings, graph: AssetGraph, job: dg.JobDefinition, instance: dg.DagsterInstance
) -> None:
    wanted = sorted(keys(("2024-01", "2024-04"), ("EURUSD",)))
    labels = dg.AssetKey("labels")
    assert missing_partitions(instance, {labels}, wanted) == {labels: wanted}
    failed_run(instance, job, ("2024-01", "2024-02"))
    materialized(instance, "labels", *wanted[:3])
    assert missing_partitions(instance, {labels}, wanted) == {labels: wanted[3:]}, "mended after it had failed"
    failed_run(instance, job, ("2024-03", "2024-04"))
    assert missing_partitions(instance, {labels}, wanted) == {labels: wanted[2:]}, "materialized, then failed"
    materialized(instance, "labels", *wanted)
    assert missing_partitions(instance, {labels}, wanted) == {}
    selection = Selection(("EURUSD",), ("2024-01", "2024-04"), "labels", missing_only=True)
    assert new_backfill(settings, graph, instance, selection) is None


def test_what_follows_from_the_missing_is_done_again(
    settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance
) -> None:
    wanted = sorted(keys(("2024-01", "2024-04"), ("EURUSD",)))
    for asset in ("raw_candles", "candles", "path_windows", "levels"):
        materialized(instance, asset, *[key for key in wanted if asset != "candles" or not key.endswith("03")])
    selection = Selection(
        ("EURUSD",), ("2024-01", "2024-04"), "raw_candles,candles,path_windows,levels", missing_only=True
    )
    backfill = new_backfill(settings, graph, instance, selection)
    assert backfill is not None
    reached = keys(("2024-01", "2024-03"), ("EURUSD",))
    assert targets(backfill) == {
        "candles": {"EURUSD|2024-03"}, "path_windows": reached, "levels": reached,
    }  # fmt: skip


def test_a_backfill_is_one_run_an_instrument(
    settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance
) -> None:
    """More instruments than months, and not neighbors: Dagster would cut by months, and neighbors within a month."""
    backfill = new_backfill(settings, graph, instance, Selection(("XAUUSD", "EURUSD"), ("2024-10", "2024-10")))
    assert backfill is not None
    cut = cut_by_instrument(backfill, 17)
    ranges = [(run.tags[RANGE_START_TAG], run.tags[RANGE_END_TAG]) for run in cut.submitting_run_requests]
    first = months_between("2024-01", "2024-10")[-1 - forward_months(settings)]
    assert ranges == [(f"{name}|{first}", f"{name}|2024-10") for name in ("EURUSD", "XAUUSD")]
    assert len(cut.reserved_run_ids) == len(ranges)
    for run in cut.submitting_run_requests:
        assert set(run.asset_selection or ()) == ASSETS
    assert set(map(frozenset, targets(cut).values())) == {frozenset(keys((first, "2024-10"), ("EURUSD", "XAUUSD")))}
    assert cut_by_instrument(cut, 18) is cut, "one that has begun stays as it is"


def test_holes_and_other_locations_are_left_to_dagster(
    settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance
) -> None:
    with_hole = PartitionBackfill.from_asset_partitions(
        backfill_id="hole",
        asset_graph=graph,
        partition_names=[partition_key("EURUSD", month) for month in ("2024-01", "2025-01")],
        asset_selection=sorted(ASSETS),
        backfill_timestamp=time.time(),  # which months exist depends on it
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    assert cut_by_instrument(with_hole, 0) is with_hole
    backfill = new_backfill(settings, graph, instance, Selection(("EURUSD",), MONTHS, "labels"))
    assert backfill is not None
    data = backfill.asset_backfill_data
    assert data is not None
    subset = next(iter(data.target_subset.partitions_subsets_by_asset_key.values()))
    foreign = data.target_subset._replace(partitions_subsets_by_asset_key={dg.AssetKey("theirs"): subset})
    theirs = backfill._replace(asset_backfill_data=data._replace(target_subset=foreign))
    assert cut_by_instrument(theirs, 0) is theirs


def test_the_rest_of_a_backfill_is_what_it_did_not_materialize(
    settings: Settings, graph: AssetGraph, instance: dg.DagsterInstance
) -> None:
    backfill = new_backfill(settings, graph, instance, Selection(("EURUSD",), MONTHS, "labels"))
    assert backfill is not None
    instance.add_backfill(backfill)
    with pytest.raises(SettingsError, match="REQUESTED"):
        rest_of(instance, graph, backfill.backfill_id)
    with pytest.raises(SettingsError, match="no such backfill"):
        rest_of(instance, graph, "unknown")
    data = backfill.asset_backfill_data
    assert data is not None
    labels = dg.AssetKey("labels")
    done = data.target_subset.partitions_subsets_by_asset_key[labels].empty_subset()
    partly = data._replace(
        materialized_subset=data.target_subset._replace(
            partitions_subsets_by_asset_key={labels: done.with_partition_keys(["EURUSD|2024-10"])}
        )
    )
    instance.update_backfill(backfill._replace(status=BulkActionStatus.CANCELED, asset_backfill_data=partly))
    rest = rest_of(instance, graph, backfill.backfill_id)
    assert rest is not None
    assert targets(rest) == {"labels": {"EURUSD|2024-11"}}
    assert rest.tags["dagster/parent_backfill_id"] == backfill.backfill_id


def test_a_run_that_was_lost_is_told_with_its_partitions(job: dg.JobDefinition, instance: dg.DagsterInstance) -> None:
    run = failed_run(instance, job, ("2024-01", "2024-02"))
    assert partitions_of(run) == "EURUSD|2024-01..2024-02"
    (failure,) = failures_of(instance, [run])
    assert (failure.step, failure.run_id) == ("", run.run_id)
