"""The graph that Dagster sees: assets, edges, policies, versions."""

import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from label_assets.assets.documentation import PAGES
from label_assets.assets.freshness import KEPT_FRESH
from label_assets.assets.partitions import BACKFILL_POLICY
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.index import table
from label_assets.compute.versions import code_versions
from label_assets.definitions import build_defs
from label_assets.pages import graph_picture
from label_assets.settings import load_settings

TABLE_OF = {"levels": "level_intervals"}
FAMILY_NAMES = [family.name for family in FAMILIES]
LEVEL_FAMILIES = ("level_touches", "level_breaks", "sample_weights")
EDGES = {
    "raw_candles": set(),
    "candles": {"raw_candles"},
    "path_windows": {"candles"},
    "levels": {"candles"},
    **{name: {"path_windows"} for name in ("returns", "excursions", "volatility", "path_shape")},
    **{name: {"path_windows", "levels"} for name in ("barriers", "level_touches", "level_breaks")},
    "sample_weights": {"barriers"},
    "labels": {"path_windows", *FAMILY_NAMES},
    "label_statistics": {"labels"},
    "hot_labels": {"labels"},
}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(load_settings())


def test_assets_and_edges(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == EDGES


def test_one_partitioning_and_one_backfill_policy(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    assert len({node.partitions_def.get_serializable_unique_identifier() for node in nodes}) == 1
    assert all(node.backfill_policy is BACKFILL_POLICY for node in nodes)


def test_every_asset_describes_itself(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        name = key.to_user_string()
        assert node.description, name
        assert node.group_name in {"candles", "windows_and_levels", "families", "labels"}, name
        if name == "hot_labels":
            assert node.kinds == {"redis"}
            continue
        assert "clickhouse" in node.kinds, name
        assert [column.name for column in node.metadata["dagster/column_schema"].columns] == list(
            table(TABLE_OF.get(name, name)).names
        )


def test_every_asset_links_to_a_page_of_the_docs_and_names_its_table() -> None:
    root = Path(__file__).parents[2]
    published = build_defs(load_settings(docs_url="https://docs.example/", database="other")).resolve_asset_graph()
    local = build_defs(load_settings()).resolve_asset_graph()
    assert {key.to_user_string() for key in local.get_all_asset_keys()} == PAGES.keys()
    for key in local.get_all_asset_keys():
        name = key.to_user_string()
        page, _, anchor = PAGES[name].partition("#")
        headings = re.findall(r"^#+ (.*)$", (root / "docs" / page).read_text(), flags=re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, name
        assert local.get(key).metadata["docs"].value == f"docs/{PAGES[name]}"
        assert published.get(key).metadata["docs"].value == f"https://docs.example/{PAGES[name]}"
        if name != "hot_labels":
            assert published.get(key).metadata["dagster/table_name"] == f"other.{TABLE_OF.get(name, name)}"


def test_the_picture_in_the_readme_is_the_generated_one() -> None:
    """Paste it from docs/graph.md, which `make docs` writes."""
    assert graph_picture() in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_checks_block_where_rows_would_be_wrong_and_only_tell_where_they_are_few_or_odd(
    definitions: dg.Definitions,
) -> None:
    specs = [spec for definition in definitions.asset_checks or () for spec in definition.check_specs]
    assert {f"{spec.asset_key.to_user_string()}.{spec.name}": spec.blocking for spec in specs} == {
        "raw_candles.rows_are_accounted_for": True,
        "candles.ohlc_holds": True,
        "candles.stamps_are_aligned": True,
        "candles.candles_are_in_order": True,
        "candles.keys_are_unique": True,
        "candles.no_unexpected_gaps": False,
        "labels.values_are_in_range": True,
        "labels.one_row_per_candle_and_horizon": True,
        "labels.columns_agree": True,
        "labels.look_ahead_audit": True,
        "labels.no_overdue_open_rows": False,
        "labels.no_outdated_rows": False,
        "label_statistics.class_balance_is_stable": False,
        "hot_labels.service_levels": False,
    }
    assert all(spec.description for spec in specs)


def test_candles_and_labels_become_overdue_unless_nobody_wants_to_know() -> None:
    nodes = build_defs(load_settings(overdue_hours=24, owners="team:research,team:data")).resolve_asset_graph()
    for key in nodes.get_all_asset_keys():
        policy = nodes.get(key).freshness_policy
        assert (policy is not None) == (key.to_user_string() in KEPT_FRESH)
        if isinstance(policy, TimeWindowFreshnessPolicy):
            assert policy.fail_window.to_timedelta() == timedelta(hours=24)
            assert policy.warn_window is not None
            assert policy.warn_window.to_timedelta() == timedelta(hours=18)
        assert nodes.get(key).owners == ["team:research", "team:data"]
    nodes = build_defs(load_settings(overdue_hours=0)).resolve_asset_graph()
    assert all(nodes.get(key).freshness_policy is None for key in nodes.get_all_asset_keys())
    assert all(not nodes.get(key).owners for key in nodes.get_all_asset_keys())


@pytest.mark.parametrize(
    ("overrides", "changed"),
    [
        ({"labels": {"barrier_width": "1 %"}}, {"barriers"}),
        ({"labels": {"flat_return": 1e-4}}, {"returns"}),
        ({"labels": {"profit_factor_cap": 50.0}}, {"excursions"}),
        (
            {"labels": {"atr_period": 20}},
            {"path_windows", "levels", "returns", "barriers", "volatility", *LEVEL_FAMILIES},
        ),
        ({"labels": {"level_widths": "0.1 %, 0.2 %"}}, {"levels", "barriers", *LEVEL_FAMILIES}),
        ({"labels": {"merge_atr": 0.2}}, {"barriers", *LEVEL_FAMILIES}),
        ({"labels": {"level_ahead_atr": 0.6}}, {"barriers", "sample_weights"}),
        ({"horizons": (6, 24)}, {"path_windows", *FAMILY_NAMES}),
        ({"session_open": "00:00 UTC"}, {"candles", "levels", "path_windows", *FAMILY_NAMES}),
        ({"labels": {"numbers": {"D": {"gap_limit_s": 864_000}}}}, {"levels", "path_windows", *FAMILY_NAMES}),
        ({"home": "/elsewhere", "database": "other"}, set()),
    ],
)
def test_a_setting_changes_the_versions_of_the_assets_that_use_it(overrides: dict, changed: set[str]) -> None:
    before, after = code_versions(load_settings()), code_versions(load_settings(**overrides))
    assert {name for name in before if before[name] != after[name]} == changed | (
        {"labels", "label_statistics", "hot_labels"} if changed else set()
    )


def test_versions_are_those_of_the_assets(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    versions = code_versions(load_settings())
    assert {key.to_user_string(): graph.get(key).code_version for key in graph.get_all_asset_keys()} == versions
    assert LABELS.name in versions
    assert len(set(versions.values())) == len(versions)


def test_loading_opens_nothing_and_imports_nothing_heavy() -> None:
    code = (
        "import sys, label_assets.definitions as d; from label_assets.settings import load_settings; "
        "d.build_defs(load_settings(clickhouse_url='http://127.0.0.1:1')); "
        "print([name for name in ('numba', 'chdb', 'clickhouse_connect', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
