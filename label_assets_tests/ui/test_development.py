"""`label-assets dev` as a person uses it: start it, materialize from the UI, look, stop it, and nothing is left."""

import signal
from collections.abc import Iterator

import pytest

from label_assets.assets.partitions import months_between
from label_assets_tests.ui import dagster_graphql as ui_client
from label_assets_tests.ui.dagster_graphql import wait_for
from label_assets_tests.ui.development import Development, free_port, own_development

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

INSTRUMENTS = ("EURUSD", "GBPUSD")


@pytest.fixture
def development() -> Iterator[Development]:
    with own_development() as started:
        yield started


def test_materialize_from_the_ui_then_stop(development: Development) -> None:
    development.start()
    ui = development.ui

    location = ui_client.code_location(ui)
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation", location
    nodes = ui_client.asset_nodes(ui)
    assets = list(nodes)
    for name, node in nodes.items():
        assert node["description"], name
        assert node["opVersion"], name
        assert node["partitionStats"]["numMaterialized"] == 0, name
        assert ("redis" if name == "hot_labels" else "clickhouse") in node["kinds"], name
        if name == "hot_labels":
            continue  # no table
        columns = [entry["schema"]["columns"] for entry in node["metadataEntries"] if "schema" in entry]
        assert columns, name
        assert all(column["description"] for column in columns[0]), name

    # One partition of the whole chain is one run.
    run_id = ui_client.launch_run(ui, assets, "EURUSD", "2025-03")
    wait_for("the run ends", lambda: ui_client.run(ui, run_id)["status"] in ui_client.ENDED_RUN)
    run = ui_client.run(ui, run_id)
    assert {step["status"] for step in run["stepStats"]} == {"SUCCESS"}, run
    assert set(assets) <= {step["stepKey"] for step in run["stepStats"]}
    for name, node in ui_client.asset_nodes(ui).items():
        assert node["partitionStats"] == node["partitionStats"] | {"numMaterialized": 1, "numFailed": 0}, name
        for check in node["assetChecksOrError"].get("checks", []):
            assert check["executionForLatestMaterialization"]["status"] == "SUCCEEDED", check
    metadata = ui_client.materializations(ui, "labels", "EURUSD|2025-03")
    rows = development.sql("SELECT toUInt32(count()) AS n FROM labels WHERE instrument_id = 'EURUSD'")[0]["n"]
    assert isinstance(rows, int)
    assert rows
    assert metadata[0]["rows"] == metadata[0]["rows_written"] == rows

    # Several partitions are a backfill, about one run a group and wave. March is followed by April's candles now, so
    # months before the selected ones get their windows anew: the mapping that looks forward.
    partitions = [f"{instrument}|{month}" for instrument in INSTRUMENTS for month in ("2025-04", "2025-05")]
    backfill_id = ui_client.launch_backfill(ui, assets, partitions)
    wait_for(
        "the backfill ends",
        lambda: ui_client.backfill(ui, backfill_id)["status"] in ui_client.ENDED_BACKFILL,
        patience_s=300,
    )
    backfill = ui_client.backfill(ui, backfill_id)
    assert backfill["status"] == "COMPLETED_SUCCESS", backfill
    assert {run["status"] for run in backfill["runs"]} == {"SUCCESS"}
    # One run an instrument, from the first month whose windows look into the selected ones on.
    runs = sorted(ui_client.partition_range(run) for run in backfill["runs"])
    assert [first.split("|")[0] for first, _ in runs] == sorted(INSTRUMENTS), runs
    assert {last for _, last in runs} == {f"{instrument}|2025-05" for instrument in INSTRUMENTS}, runs
    done = [[f"{first.split('|')[0]}|{month}" for month in months_between(first[7:], last[7:])] for first, last in runs]
    for counts in backfill["assets"].values():
        assert counts["numPartitionsMaterialized"] == counts["numPartitionsTargeted"], counts
        targeted = counts["numPartitionsTargeted"]
        assert targeted == sum(len(keys) for keys in done), counts
    march = ui_client.materializations(ui, "labels", "EURUSD|2025-03")
    assert march[0]["pending"] == 0 < metadata[0]["pending"]

    months = development.sql(
        "SELECT instrument_id, formatDateTime(ts, '%Y-%m') AS month, toUInt32(count()) AS n, "
        "toUInt8(uniqExact(granularity)) AS g FROM labels GROUP BY ALL HAVING n > 100 ORDER BY ALL"
    )
    stored = {(row["instrument_id"], row["month"]) for row in months}
    assert stored == {tuple(key.split("|")) for keys in done for key in keys}
    assert {row["g"] for row in months} == {2}
    # One row more than before April was there: the day that opens on the evening of 31 March ends in April.
    in_march = [row["n"] for row in months if (row["instrument_id"], row["month"]) == ("EURUSD", "2025-03")]
    assert in_march == [march[0]["rows"]] == [rows + 1]

    assert development.signal(signal.SIGINT) == 0
    assert development.processes() == []
    assert "Traceback" not in development.log.read_text()


def test_interrupted_and_killed_starts_leave_the_next_one_free(development: Development) -> None:
    development.start()
    assert development.run("dev", "--port", str(free_port())).returncode == 1, "two for one home"

    development.signal(signal.SIGKILL)
    orphans = development.dagster()
    assert orphans, "Dagster outlives a killed parent; the next start ends it"
    development.port = free_port()
    development.ui = ui_client.Graphql(development.port)
    development.start()
    assert not {process.pid for process in orphans} & {process.pid for process in development.dagster()}

    ui = development.ui
    run_id = ui_client.launch_run(ui, list(ui_client.asset_nodes(ui)), "EURUSD", "2025-03")
    wait_for("the run starts", lambda: ui_client.run(ui, run_id)["status"] in {"STARTED", *ui_client.ENDED_RUN})
    assert development.signal(signal.SIGTERM) == 0, "in the middle of a run"
    # The servers that the killed one started are not this one's to stop.
    stopped = development.run("stop")
    assert "ClickHouse" in stopped.stdout
    assert "Dagster" not in stopped.stdout
    assert development.processes() == []
