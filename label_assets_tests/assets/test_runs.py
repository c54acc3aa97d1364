"""Runs of the real graph on the real engine: the laws of LABELS.md §5 in stored rows."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from label_assets.assets.partitions import month_start, months_between, next_month
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.families.barriers import BARRIERS
from label_assets.catalog.families.level_breaks import LEVEL_BREAKS
from label_assets.catalog.families.level_touches import LEVEL_TOUCHES
from label_assets.catalog.families.sample_weights import SAMPLE_WEIGHTS
from label_assets.compute.reach import forward_months
from label_assets.definitions import build_defs
from label_assets.settings import Settings
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.runs import (
    assert_same,
    contents,
    label_rows,
    materialize,
    synthetic_frame,
    write_parquet,
    written,
)

FIRST, LAST = "2024-01", "2024-05"
MONTHS = months_between(FIRST, LAST)
CANDLE_ASSETS = ("raw_candles", "candles", "levels")
LABEL_TABLES = ("path_windows", *(family.name for family in FAMILIES), "labels")
LABEL_ASSETS = (*LABEL_TABLES, "label_statistics", "hot_labels")

LEVEL_FAMILIES = (LEVEL_TOUCHES, LEVEL_BREAKS, SAMPLE_WEIGHTS)
DEEP_LABELS = {
    "return_quantile",
    *(column.name for family in LEVEL_FAMILIES for column in family.table.columns),
    *(column.name for column in BARRIERS.table.columns if column.number == "11.a"),
}
"""Labels that look further back than the ATR."""

MakeSettings = Callable[..., Settings]


def backfill_month(settings: Settings, month: str) -> None:
    """What a backfill of one month does: the month's candles, then the windows of every month that reach into it."""
    assert materialize(settings, "EURUSD", (month, month), CANDLE_ASSETS, checks=False).success
    earlier = MONTHS[max(0, MONTHS.index(month) - forward_months(settings))]
    assert materialize(settings, "EURUSD", (earlier, month), LABEL_ASSETS, checks=False).success


@pytest.fixture
def whole(make_settings: MakeSettings, fill: Filled) -> tuple[Settings, dict]:
    """One run over everything."""
    settings = make_settings(horizons=(6, 24))
    fill(settings, FIRST, LAST)
    return settings, contents(settings)


def test_one_run_is_complete_and_the_second_writes_nothing(whole: tuple[Settings, dict]) -> None:
    settings, tables = whole
    labelled = sum(name != "M15" for name in tables["candles"]["granularity"].to_pylist())
    assert labelled > 2_500
    for name in LABEL_TABLES:
        assert tables[name].num_rows == labelled * 2, name
    assert tables["rejected_candles"].num_rows == 0
    again = materialize(settings, "EURUSD", (FIRST, LAST))
    assert again.success
    assert sum(written(again).values()) == 0
    assert set(written(again)) == {*CANDLE_ASSETS, *LABEL_ASSETS}
    assert_same(tables, contents(settings))


def test_partitions_do_not_show_in_the_values(whole: tuple[Settings, dict], make_settings: MakeSettings) -> None:
    _, tables = whole
    forward = make_settings(horizons=(6, 24))
    for month in MONTHS:
        backfill_month(forward, month)
    assert_same(tables, contents(forward))


@pytest.mark.slow
def test_order_does_not_show_after_one_repair(whole: tuple[Settings, dict], make_settings: MakeSettings) -> None:
    _, tables = whole
    shuffled = make_settings(horizons=(6, 24))
    for month in np.random.default_rng(3).permutation(MONTHS):
        backfill_month(shuffled, str(month))
    assert materialize(shuffled, "EURUSD", (FIRST, LAST)).success
    assert_same(tables, contents(shuffled))


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    columns = synthetic_frame("EURUSD", month_start("2024-01"), month_start("2024-04"))
    write_parquet(folder / "EURUSD_M15.parquet", columns)
    return folder


def test_a_changed_candle_moves_only_what_it_may(landing: Path, make_settings: MakeSettings) -> None:
    """A corrected candle in the middle: no row that ended before it moves, and none out of its look-back."""
    settings = make_settings(source="landing", landing_folder=landing, granularities=("H1", "H4"))
    assert materialize(settings, "EURUSD", ("2024-01", "2024-03")).success
    before = label_rows(settings)
    columns = synthetic_frame("EURUSD", month_start("2024-01"), month_start("2024-04"))
    place = len(columns["ts"]) // 2
    changed_ts = int(columns["ts"][place])
    for name in ("open", "high", "low", "close"):
        columns[name][place] *= 1.01
    write_parquet(landing / "EURUSD_M15.parquet", columns)
    rewritten = materialize(settings, "EURUSD", ("2024-01", "2024-03"))
    assert rewritten.success
    after = label_rows(settings)
    assert written(rewritten)["raw_candles"] == 1
    assert [(row["granularity"], row["ts"]) for row in before] == [(row["granularity"], row["ts"]) for row in after]
    rows = [old for old, new in zip(before, after, strict=True) if old != new]
    assert 0 < written(rewritten)["labels"] == len(rows) < 1_300
    for row in rows:
        assert row["horizon_end_ts"] > changed_ts
    beyond_the_atr = changed_ts + 15 * 4 * 3600 + 3 * 86_400  # 15 candles of H4 and a weekend
    for old, new in zip(before, after, strict=True):
        if old["entry_ts"] > beyond_the_atr:
            assert {name for name, value in old.items() if value != new[name]} <= DEEP_LABELS


def test_the_end_of_the_data_is_open_and_completes(landing: Path, make_settings: MakeSettings) -> None:
    """Cutting the data off only turns values into NULL or leaves them; new data complete the open rows."""
    full = synthetic_frame("EURUSD", month_start("2024-01"), month_start("2024-04"))
    settings = make_settings(source="landing", landing_folder=landing, granularities=("H1", "H4", "D"))
    cut = full["ts"] < month_start("2024-03") + 12 * 86_400 + 37 * 900
    write_parquet(landing / "EURUSD_M15.parquet", {name: values[cut] for name, values in full.items()})
    assert materialize(settings, "EURUSD", ("2024-01", "2024-03")).success
    early = {(row["granularity"], row["ts"]): row for row in label_rows(settings)}
    assert sum(row["window_status"] == "open" for row in early.values()) == 6 * 3
    write_parquet(landing / "EURUSD_M15.parquet", full)
    assert materialize(settings, "EURUSD", ("2024-01", "2024-03")).success
    late = {(row["granularity"], row["ts"]): row for row in label_rows(settings)}
    assert set(early) < set(late)
    for key, row in early.items():
        if row["window_status"] == "open":
            assert late[key]["window_status"] == "complete"
            known = ("entry_ts", "entry_price", "atr", "triple_barrier_label", "barrier_end_ts", "barrier_return")
            assert all(row[name] is None or row[name] == late[key][name] for name in known)
            assert row["forward_return"] is None
        else:
            assert row == late[key]


def test_two_instruments_and_holes_in_one_run(make_settings: MakeSettings) -> None:
    """A range over the instrument dimension: any mix of partitions is one run."""
    settings = make_settings(granularities=("H1",))
    job = build_defs(settings).resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        tags={
            "dagster/asset_partition_range_start": "EURUSD|2024-02",
            "dagster/asset_partition_range_end": "GBPUSD|2024-03",
        },
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    partitions = {event.partition for event in done.get_asset_materialization_events()}
    assert partitions == {f"{name}|2024-0{month}" for name in ("EURUSD", "GBPUSD") for month in (2, 3)}
    rows = {
        event.partition: event.materialization.metadata["rows"].value
        for event in done.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("labels")
    }
    stored = contents(settings)["labels"].to_pylist()
    for partition, count in rows.items():
        instrument, month = partition.split("|")
        start, end = month_start(month), month_start(next_month(month))
        found = [row for row in stored if row["instrument_id"] == instrument and start <= row["ts"] < end]
        assert len(found) == count > 400


def test_each_row_says_which_definitions_made_it(make_settings: MakeSettings) -> None:
    settings = make_settings(granularities=("H1",))
    assert materialize(settings, "EURUSD", ("2024-01", "2024-01")).success
    first = set(contents(settings)["labels"]["label_version"].to_pylist())
    narrow = settings.model_copy(update={"labels": settings.labels.model_copy(update={"barrier_width": "0.1 %"})})
    assert materialize(narrow, "EURUSD", ("2024-01", "2024-01"), ("barriers", "sample_weights", "labels")).success
    second = set(contents(settings)["labels"]["label_version"].to_pylist())
    assert len(first) == len(second) == 1
    assert first != second
