"""Partition keys, runs of months, and the mapping that looks forward."""

from datetime import UTC, datetime

from label_assets.assets.partitions import (
    MonthRun,
    forward_mapping,
    month_runs,
    month_start,
    months_between,
    next_month,
    partition_key,
    partitions,
)
from label_assets.compute.reach import forward_months
from label_assets.settings import load_settings


def test_any_mix_becomes_runs_of_successive_months() -> None:
    keys = ["B|2024-02", "A|2023-12", "A|2024-01", "B|2024-04", "A|2024-01", "B|2024-01"]
    assert month_runs(keys) == [
        MonthRun("A", "2023-12", "2024-01"),
        MonthRun("B", "2024-01", "2024-02"),
        MonthRun("B", "2024-04", "2024-04"),
    ]
    assert month_runs(keys)[0].keys == ["A|2023-12", "A|2024-01"]


def test_months_cover_time_without_hole_or_overlap() -> None:
    months = months_between("2023-11", "2024-03")
    assert months == ["2023-11", "2023-12", "2024-01", "2024-02", "2024-03"]
    for month in months:
        run = MonthRun("A", month, month)
        assert run.end_ts == month_start(next_month(month))
        assert datetime.fromtimestamp(run.start_ts, UTC) == datetime.fromisoformat(f"{month}-01T00:00:00+00:00")


def test_the_running_month_exists_and_instruments_keep_their_order() -> None:
    keys = partitions(load_settings(instruments=["EURUSD", "COFFEE"], first_month="2024-01")).get_partition_keys()
    present = datetime.now(UTC).strftime("%Y-%m")
    assert keys[0] == partition_key("EURUSD", "2024-01")
    assert keys[-1] == partition_key("COFFEE", present)


def test_windows_look_forward_as_far_as_reach_says() -> None:
    settings = load_settings(first_month="2024-01", granularities=("H1", "D"))
    definition = partitions(settings)
    subset = definition.subset_with_partition_keys([partition_key("EURUSD", "2024-06")])
    reach = forward_months(settings)
    assert reach == 2  # six daily candles of at most 5 days each, and the last one's own day
    mapping = forward_mapping(settings)
    upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, definition, definition)
    assert set(upstream.partitions_subset.get_partition_keys()) == {f"EURUSD|2024-0{month}" for month in (6, 7, 8)}
    downstream = mapping.get_downstream_partitions_for_partitions(subset, definition, definition)
    assert set(downstream.get_partition_keys()) == {f"EURUSD|2024-0{month}" for month in (4, 5, 6)}


def test_months_that_do_not_exist_are_dropped() -> None:
    settings = load_settings()
    definition = partitions(settings)
    subset = definition.subset_with_partition_keys([definition.get_partition_keys()[-1]])
    result = forward_mapping(settings).get_upstream_mapped_partitions_result_for_partitions(
        subset, definition, definition
    )
    assert set(result.partitions_subset.get_partition_keys()) == {definition.get_partition_keys()[-1]}
    assert not result.required_but_nonexistent_subset.get_partition_keys()


def test_longest_window_reaches_further_with_the_horizon() -> None:
    assert forward_months(load_settings(granularities=("W",), horizons=(6,))) == 5
    assert forward_months(load_settings(granularities=("W",), horizons=(100,))) == 76
