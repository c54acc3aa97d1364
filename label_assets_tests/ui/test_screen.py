"""A day at the Dagster UI: with a browser as a person sees it, and through GraphQL where a screen would add nothing.

One `label-assets dev` for all of it; each test does what it needs itself.
"""

from collections.abc import Iterator

import pytest

from label_assets_tests.ui import dagster_graphql as ui_client
from label_assets_tests.ui.browser import Browser, browsing, button, text
from label_assets_tests.ui.dagster_graphql import Graphql, wait_for
from label_assets_tests.ui.development import Development, own_development

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MONTH, NEXT_MONTH = "2025-03", "2025-04"
OUTDATED = {"barriers", "labels", "label_statistics", "hot_labels"}
NARROW = '[labels]\nbarrier_width = "0.1 %"\n'


@pytest.fixture(scope="module")
def development() -> Iterator[Development]:
    with own_development(owners="team:research") as started:
        started.start()
        yield started


@pytest.fixture
def browser(development: Development) -> Iterator[Browser]:
    with browsing(development.port) as opened:
        yield opened


def runs(ui: Graphql) -> dict[str, str]:
    """Status of every run by its id, the newest first."""
    found = ui("{ runsOrError { ... on Runs { results { runId status } } } }")["runsOrError"]["results"]
    return {run["runId"]: run["status"] for run in found}


def choose(browser: Browser, instruments: list[str], months: str) -> None:
    """Open "Materialize all" over the graph and choose partitions."""
    browser.open("/asset-groups")
    browser.click(button("Materialize all"))
    browser.click(text("Select a partition or create one"))
    for name in instruments:
        browser.click(f"//span[text()='{name}']")
    browser.click("//*[starts-with(text(), 'Launch runs to')]")  # closes the list
    browser.type("//input[starts-with(@placeholder, 'ex: ')]", months)


def test_see_the_graph_materialize_a_partition_and_launch_a_backfill(
    development: Development, browser: Browser
) -> None:
    ui = development.ui
    browser.open("/asset-groups")
    for group in {node["groupName"] for node in ui_client.asset_nodes(ui).values()}:
        browser.see(text(group))
    browser.keep("1-graph", settle_s=3)

    choose(browser, ["EURUSD"], MONTH)
    browser.keep("2-one-partition")
    before = runs(ui)
    browser.click(button("Launch 1 run"))
    wait_for("the run is there", lambda: len(runs(ui)) == len(before) + 1)
    (run_id,) = runs(ui).keys() - before.keys()
    wait_for("the run ends", lambda: runs(ui)[run_id] in ui_client.ENDED_RUN)
    assert runs(ui)[run_id] == "SUCCESS"

    # What is there to see of it.
    browser.open(f"/runs/{run_id}")
    browser.see("//*[contains(text(), 'Finished execution of run')]")
    browser.keep("3-run")
    browser.open(f"/assets/labels?view=partitions&partition=EURUSD%7C{MONTH}")
    browser.see(text("Materialized"))
    rows = ui_client.materializations(ui, "labels", f"EURUSD|{MONTH}")[0]["rows"]
    browser.see(f"//tr[td[.='rows_written']]/td[.='{rows}']")
    browser.see(text("triple_barrier_label"))  # the table of class balances
    browser.keep("4-partition")
    browser.open(f"/assets/barriers?view=partitions&partition=EURUSD%7C{MONTH}")
    browser.click(text("[Show Markdown]"))
    browser.see("//img[starts-with(@src, 'data:image/png')]")
    browser.keep("5-chart")
    browser.open("/assets/labels")
    for shown in ("research", "triple_barrier_label", "Passing"):
        browser.see(text(shown))
    browser.click(button("Plots"))
    browser.see("//canvas")
    browser.keep("6-asset")
    browser.open("/assets/labels?view=checks&checkDetail=look_ahead_audit")
    browser.see(text("rows_audited"))
    browser.see(text("Passed"))
    browser.keep("7-checks")
    browser.open("/automation")
    browser.see(text("stream_sensor"))
    browser.keep("8-automation")

    choose(browser, ["EURUSD", "GBPUSD"], f"[{MONTH}...{NEXT_MONTH}]")
    browser.keep("9-backfill")
    browser.click(button("Launch backfill"))
    backfills = "{ partitionBackfillsOrError { ... on PartitionBackfills { results { id } } } }"

    def ids() -> list[str]:
        return [found["id"] for found in ui(backfills)["partitionBackfillsOrError"]["results"]]

    wait_for("the backfill is there", lambda: len(ids()) == 1)
    backfill = ui_client.end_of_backfill(ui, ids()[0])
    assert backfill["status"] == "COMPLETED_SUCCESS", backfill
    counts = backfill["assets"]["labels"]  # earlier months too: their windows look into the chosen ones
    assert counts["numPartitionsMaterialized"] == counts["numPartitionsTargeted"] >= 4, backfill
    browser.open("/assets/labels?view=partitions")
    browser.see(text(f"Materialized ({counts['numPartitionsMaterialized']})"))
    browser.keep("10-partitions")


def reload_definitions(development: Development) -> None:
    """What "Reload definitions" does."""
    answer = development.ui("mutation { reloadWorkspace { __typename } }")["reloadWorkspace"]
    assert answer["__typename"] == "Workspace", answer


def test_a_new_parameter_is_seen_as_outdated_and_a_backfill_brings_the_tables_up_to_date(
    development: Development,
) -> None:
    ui = development.ui
    partition = f"GBPUSD|{MONTH}"
    every = list(ui_client.asset_nodes(ui))
    run_id = ui_client.launch_run(ui, every, "GBPUSD", MONTH)
    wait_for("the run ends", lambda: ui_client.run(ui, run_id)["status"] in ui_client.ENDED_RUN)
    assert {status for status, _ in ui_client.staleness(ui, partition).values()} == {"FRESH"}
    balance = (
        f"SELECT label_version, toUInt32(countIf(triple_barrier_label = 0)) AS n, toUInt32(count()) AS rows "
        f"FROM labels WHERE instrument_id = 'GBPUSD' AND formatDateTime(ts, '%Y-%m') = '{MONTH}' GROUP BY ALL"
    )
    (before,) = development.sql(balance)

    (development.home / "label_assets.toml").write_text(NARROW)
    reload_definitions(development)
    found = ui_client.staleness(ui, partition)
    assert {name: causes for name, (status, causes) in found.items() if status == "STALE"} == {
        name: {("CODE", name)} for name in OUTDATED
    }
    backfill_id = ui_client.launch_backfill(ui, sorted(OUTDATED), [partition])
    backfill = ui_client.end_of_backfill(ui, backfill_id)
    assert backfill["status"] == "COMPLETED_SUCCESS", backfill
    found = ui_client.staleness(ui, partition)
    assert {name for name, (status, _) in found.items() if status != "FRESH"} <= {"sample_weights"}
    assert not [name for name, (_, causes) in found.items() if "CODE" in dict(causes)]
    (after,) = development.sql(balance)  # one version: no row of the previous one is left in the view
    assert after["label_version"] != before["label_version"]
    assert after["rows"] == before["rows"]
    assert isinstance(after["n"], int)
    assert isinstance(before["n"], int)
    assert after["n"] < before["n"] / 2
