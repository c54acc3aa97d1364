"""What is outdated after a change of settings, definitions or data: what Dagster says, and what a backfill mends."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest
from pydantic import BaseModel

from label_assets.assets.partitions import partition_key
from label_assets.catalog.families import FAMILIES
from label_assets.compute import versions as versions_module
from label_assets.compute.versions import code_versions
from label_assets.definitions import build_defs
from label_assets.settings import LabelSettings, Settings, load_settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import (
    INSTRUMENT,
    contents,
    differences,
    evaluations,
    failures,
    market_rows,
    small,
    write_rows,
)
from label_assets_tests.assets.selected import run_selected

JANUARY, FEBRUARY = "2024-01", "2024-02"
ALWAYS = {"labels", "label_statistics", "hot_labels"}
CHANGED = ["barriers", "labels", "label_statistics", "hot_labels"]
"""What a new width of the plain barrier changes: weights follow the level-adjusted one."""

OTHER_VALUES: dict[str, Any] = {
    "atr_period": 20,
    "minimum_coverage": 0.9,
    "flat_return": 1e-4,
    "clip_atr": 5.0,
    "barrier_width": "1 %",
    "profit_factor_cap": 50.0,
    "end_extremum_gap_cap": 5.0,
    "level_span": 4,
    "level_widths": "0.1 %, 0.2 %",
    "flip_deadline": 40,
    "considered_atr": 2.0,
    "merge_atr": 0.2,
    "most_considered": 16,
    "level_barrier_atr": 3.0,
    "level_ahead_atr": 0.6,
    "level_margin_atr": 0.2,
    "numbers": {"D": {"gap_limit_s": 864_000}},
}
NO_VALUES = {
    "home": "/elsewhere",
    "clickhouse_url": "http://127.0.0.1:1",
    "database": "other",
    "redis_url": "redis://127.0.0.1:1",
    "postgres_url": "postgresql+psycopg2://127.0.0.1:1/other",
    "first_month": "2019-01",
    "pictures": False,
    "sensors": False,
    "overdue_hours": 1,
    "owners": "team:other",
    "docs_url": "https://docs.example/label_assets",
    "alerts": {"severity": "ERROR"},
}
"""Settings that enter no value. What `source` and its settings are shows in the data version of raw_candles."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def stale(settings: Settings, instance: dg.DagsterInstance, month: str) -> dict[str, set[str]]:
    """Categories of the causes of every asset that is outdated in a month, as the UI asks for them."""
    graph = build_defs(settings).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    key = partition_key(INSTRUMENT, month)
    causes = {each.to_user_string(): resolver.get_stale_causes(each, key) for each in graph.get_all_asset_keys()}
    return {name: {cause.category.value for cause in found} for name, found in causes.items() if found}


def versions_that_differ(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize("name", LabelSettings.model_fields)
def test_every_number_of_the_definitions_enters_a_version(name: str) -> None:
    changed = versions_that_differ(
        code_versions(load_settings()), code_versions(load_settings(labels={name: OTHER_VALUES[name]}))
    )
    assert changed > ALWAYS, "an asset of which the values change, and what joins it"
    assert not changed & {"raw_candles", "candles"}


def test_where_things_are_and_who_is_told_enters_none() -> None:
    before = code_versions(load_settings())
    for name, value in NO_VALUES.items():
        assert code_versions(load_settings(**{name: value})) == before, name
    value_settings = {"base_granularity", "granularities", "horizons", "session_open", "labels"}
    data_settings = {"source", "landing_folder", "sources_file", "synthetic", "instruments"}
    # A new setting has to be put into one of the three.
    unsorted = set(Settings.model_fields) - NO_VALUES.keys() - value_settings - data_settings
    assert {name for name in unsorted if name not in _SECTIONS_OF_OTHERS} == set()


_SECTIONS_OF_OTHERS = {
    name
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) and name not in {"labels"}
}
"""Sections of the live engine, the API and the like: none of them makes a row of a table."""


@pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])
def test_a_new_definition_of_a_family_changes_it_and_what_joins_it(
    family: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    before = code_versions(settings)
    newer = tuple(replace(each, version=each.version + 1) if each is family else each for each in FAMILIES)
    monkeypatch.setattr(versions_module, "FAMILIES", newer)
    assert versions_that_differ(before, code_versions(settings)) == {family.name, *ALWAYS}


@pytest.mark.parametrize(
    ("constant", "changed"),
    [
        ("CANDLES_VERSION", {"raw_candles", "candles", *ALWAYS}),
        ("LEVELS_VERSION", {"levels", *ALWAYS}),
        ("WINDOWS_VERSION", {"path_windows", *ALWAYS}),
        ("STATISTICS_VERSION", {"label_statistics"}),
    ],
)
def test_a_new_definition_of_what_is_no_family(
    constant: str, changed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings()
    before = code_versions(settings)
    monkeypatch.setattr(versions_module, constant, getattr(versions_module, constant) + 1)
    assert versions_that_differ(before, code_versions(settings)) == changed


@pytest.mark.slow
def test_a_new_parameter_outdates_exactly_what_uses_it_and_a_backfill_of_that_is_as_if_it_had_always_been(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance
) -> None:
    settings = make_settings(**small(granularities=["H1"]))
    every = [key.to_user_string() for key in build_defs(settings).resolve_asset_graph().get_all_asset_keys()]
    assert run_selected(settings, every, JANUARY, FEBRUARY, instance=instance).success
    assert stale(settings, instance, JANUARY) == stale(settings, instance, FEBRUARY) == {}

    narrow = settings.model_copy(update={"labels": LabelSettings(barrier_width="0.1 %")})
    assert stale(narrow, instance, JANUARY) == stale(narrow, instance, FEBRUARY) == {name: {"CODE"} for name in CHANGED}
    assert stale(settings, instance, JANUARY) == {}, "and back"

    # One month of two: what is left is told, by Dagster and by a check of the rows.
    result = run_selected(narrow, CHANGED, FEBRUARY, instance=instance)
    assert result.success, failures(result)
    found = evaluations(result)["no_outdated_rows"]
    assert not found.passed
    assert not found.blocking
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["by_partition"].value.keys() == {f"{INSTRUMENT}|{JANUARY}"}
    (place,) = found.metadata["where"].value
    assert place == f"{INSTRUMENT} {code_versions(settings)['labels']}"
    assert found.metadata["violations"].value > 400
    assert f"{INSTRUMENT} {JANUARY}..{JANUARY}" in (found.description or "")
    assert {name for name, causes in stale(narrow, instance, JANUARY).items() if "CODE" in causes} == set(CHANGED)
    assert not [causes for causes in stale(narrow, instance, FEBRUARY).values() if "CODE" in causes]

    result = run_selected(narrow, CHANGED, JANUARY, FEBRUARY, instance=instance)
    assert evaluations(result)["no_outdated_rows"].passed
    for month in (JANUARY, FEBRUARY):
        # Dagster cannot know that weights do not read what has changed in barriers.
        assert stale(narrow, instance, month) == {"sample_weights": {"DATA"}}
    fresh = make_settings(**small(granularities=["H1"], labels=narrow.labels))
    result = run_selected(fresh, every, JANUARY, FEBRUARY)
    assert result.success, failures(result)
    stored, wanted = (contents(Warehouse(each)) for each in (narrow, fresh))
    assert differences(wanted, stored) == {}
    versions = set(stored["labels"]["label_version"].to_pylist())
    assert versions == {code_versions(narrow)["labels"]}


def test_other_data_outdates_what_is_made_from_it(
    make_settings: Callable[..., Settings], instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """A code version alone would not: the file is no code."""
    settings = make_settings(**small(source="landing", landing_folder=tmp_path))
    rows = market_rows(JANUARY, JANUARY)
    write_rows(tmp_path, rows)
    for asset in ("raw_candles", "candles"):
        assert run_selected(settings, [asset], JANUARY, instance=instance).success
    assert run_selected(settings, ["raw_candles"], JANUARY, instance=instance).success
    assert stale(settings, instance, JANUARY) == {}, "the same file again"
    rows["close"][500] = rows["low"][500]
    write_rows(tmp_path, rows)
    assert run_selected(settings, ["raw_candles"], JANUARY, instance=instance).success
    assert stale(settings, instance, JANUARY) == {"candles": {"DATA"}}
    assert run_selected(settings, ["candles"], JANUARY, instance=instance).success
    assert stale(settings, instance, JANUARY) == {}
