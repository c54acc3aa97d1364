"""What a run tells: numbers of each partition that can be plotted, and one line in the log for each instrument."""

import re
from collections.abc import Callable

import dagster as dg
import pytest

from label_assets.definitions import build_defs
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import INSTRUMENT, LABEL_TABLES, erase, metadata, small
from label_assets_tests.assets.selected import run_selected

JANUARY, FEBRUARY = "2024-01", "2024-02"
COUNTS = ("rows", "pending", "rows_written", "rows_unchanged", "rows_removed")
LINE = re.compile(
    rf"{INSTRUMENT} {JANUARY}\.\.{FEBRUARY}: read .+; computed (\d+) (rows|labels), (\d+) of them open, in \d+ ms; "
    r"wrote (\d+) new or changed and (\d+) removals, (\d+) were there already, in \d+ ms"
)


def _unit(asset: str) -> str:
    """A row of statistics counts labels and is none."""
    return "labels" if asset in LABEL_TABLES and asset != "label_statistics" else "rows"


def lines(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult, step: str) -> list[re.Match[str]]:
    """The lines of a step that are of the form that every asset has."""
    found = [LINE.search(entry.user_message) for entry in instance.all_logs(result.run_id) if entry.step_key == step]
    return [match for match in found if match]


def test_a_run_tells_what_was_read_computed_and_written(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(**small(granularities=["H1"]))
    graph = build_defs(settings).resolve_asset_graph()
    assets = [key.to_user_string() for key in graph.get_all_asset_keys() if key.to_user_string() != "hot_labels"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_selected(settings, assets, JANUARY, FEBRUARY, instance=instance)
        assert result.success
        for asset in assets:
            told = metadata(result, asset)
            assert sorted(told) == [JANUARY, FEBRUARY], asset
            for numbers in told.values():
                assert all(isinstance(numbers[name], int) for name in COUNTS), asset
                assert numbers["rows"] == numbers["rows_written"] > 0, asset
                assert numbers[f"run_{_unit(asset)}_per_second"] > 0, asset
                assert all(numbers[f"run_{part}_ms"] >= 0 for part in ("read", "compute", "write")), asset
            (line,) = lines(instance, result, asset)
            total = {name: sum(numbers[name] for numbers in told.values()) for name in COUNTS}
            rows, unit, pending, new, removed, there = line.groups()
            assert unit == _unit(asset)
            assert [int(value) for value in (rows, pending, new, removed, there)] == list(total.values()) or (
                asset == "levels"  # its line counts open intervals of levels that are older than the run
            )
        for asset in ("candles", "path_windows", "labels"):
            assert {numbers["coverage"] for numbers in metadata(result, asset).values()} == {1.0}, asset
        assert metadata(result, "labels")[JANUARY]["pending"] == 0 < metadata(result, "labels")[FEBRUARY]["pending"]


def test_coverage_falls_where_candles_are_missing(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(**small(granularities=["H1"]))
    assert run_selected(settings, ["raw_candles"], JANUARY, FEBRUARY).success
    warehouse = Warehouse(settings)
    assert erase(warehouse, "raw_candles", "toDate(t.ts) = '2024-02-14' AND toMinute(t.ts) = 15") == 24
    warehouse.close()
    result = run_selected(settings, ["candles", "path_windows"], JANUARY, FEBRUARY)
    assert result.success
    candles = metadata(result, "candles")
    assert candles[JANUARY]["coverage"] == 1.0
    assert candles[FEBRUARY]["coverage"] == pytest.approx(1 - 1 / 4 / 21, abs=0.002)  # of 21 trading days
    windows = metadata(result, "path_windows")
    assert windows[JANUARY]["coverage"] == 1.0 > windows[FEBRUARY]["coverage"] > 0.98
