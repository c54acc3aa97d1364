"""The asset hot_labels in real runs: with Redis, without any, with one that does not answer."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

from label_assets.cache.hot import HotCache
from label_assets.cache.sections import sections
from label_assets.catalog.families import LABELS
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.assets.runs import materialize

JANUARY = ("2024-01", "2024-01")
MakeSettings = Callable[..., Settings]


def told(result: dg.ExecuteInProcessResult) -> list[dict[str, Any]]:
    """Metadata of each materialization of hot_labels, ordered by partition: Dagster yields them in any order."""
    assert result.success
    events = [
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("hot_labels")
    ]
    return [{name: entry.value for name, entry in event.metadata.items()} for event in sorted(events, key=_partition)]


def _partition(event: dg.AssetMaterialization) -> str:
    return str(event.partition)


@pytest.fixture
def settings(make_settings: MakeSettings, redis_url: str) -> Settings:
    return make_settings(redis_url=redis_url, instruments=["EURUSD"])


def test_a_run_leaves_its_newest_rows_in_redis(settings: Settings, cache: HotCache) -> None:
    first = told(materialize(settings, "EURUSD", ("2024-01", "2024-02")))
    assert [each["rows_written"] > 0 for each in first] == [False, True], "counts are told once"
    assert first[-1]["run_sections"] == 4
    warehouse = Warehouse(settings)
    for section in sections(settings):
        found = cache.range(section, cache.epochs(section)[0])
        assert found is not None
        stored = warehouse.read(LABELS, Scope("EURUSD", cache.epochs(section)[0], 2**32 - 1, section.granularity))
        assert found.table(*section).equals(stored)
    warehouse.close()
    again = told(materialize(settings, "EURUSD", JANUARY, ["hot_labels"]))
    assert (again[-1]["rows_written"], again[-1]["run_sections"]) == (0, 0)


def test_without_redis_the_run_says_so_and_goes_on(make_settings: MakeSettings) -> None:
    settings = make_settings(instruments=["EURUSD"], granularities=["D"])
    assert told(materialize(settings, "EURUSD", JANUARY, ["hot_labels"]))[0]["note"].startswith("skipped: no REDIS_URL")


def test_an_outage_of_redis_fails_no_run(make_settings: MakeSettings) -> None:
    settings = make_settings(redis_url="redis://127.0.0.1:1/0", instruments=["EURUSD"], granularities=["D"])
    assert "does not answer" in told(materialize(settings, "EURUSD", JANUARY, ["hot_labels"]))[0]["note"]
