"""What the Dagster UI asks its server for, in the words that it uses: one function for each thing a person does.

Belongs here: queries and mutations of the UI. Does not belong here: what the answers should be.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

JOB = "__ASSET_JOB"
ENDED_RUN = {"SUCCESS", "FAILURE", "CANCELED"}
ENDED_BACKFILL = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
PATIENCE_S = 240.0


class Graphql:
    """The GraphQL endpoint of one webserver."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/graphql"

    def __call__(self, query: str, **variables: Any) -> dict[str, Any]:
        """Answer of one query; an answer with errors is an AssertionError."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def answers(self) -> bool:
        try:
            return bool(self("{ version }"))
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def wait_for(what: str, condition: Callable[[], bool], patience_s: float = PATIENCE_S, poll_s: float = 0.5) -> float:
    """Poll until a condition holds; returns the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < patience_s, f"waited {patience_s:g} s for: {what}"
        time.sleep(poll_s)
    return time.monotonic() - started


def code_location(ui: Graphql) -> dict[str, Any]:
    """The only code location: name, load status, error and repository."""
    entries = ui(
        """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
             __typename ... on PythonError { message } ... on RepositoryLocation { repositories { name } } } } } } }"""
    )["workspaceOrError"]["locationEntries"]
    assert len(entries) == 1, entries
    entry: dict[str, Any] = entries[0]
    return entry


def asset_nodes(ui: Graphql) -> dict[str, dict[str, Any]]:
    """Every asset by name, with what its page shows."""
    nodes = ui(
        """{ assetNodes { assetKey { path } groupName kinds description opVersion
             partitionStats { numMaterialized numPartitions numFailed }
             metadataEntries { label ... on TableSchemaMetadataEntry { schema { columns { name type description } } } }
             assetChecksOrError { ... on AssetChecks { checks { name blocking
               executionForLatestMaterialization { status } } } } } }"""
    )["assetNodes"]
    return {node["assetKey"]["path"][-1]: node for node in nodes}


def materializations(ui: Graphql, asset: str, partition: str) -> list[dict[str, Any]]:
    """Metadata of each materialization of one partition, the latest first."""
    events = ui(
        """query Q($asset: [String!]!, $partition: String!) { assetNodeOrError(assetKey: {path: $asset}) {
             ... on AssetNode { assetMaterializations(partitions: [$partition]) { metadataEntries {
               label ... on IntMetadataEntry { intValue } } } } } }""",
        asset=[asset],
        partition=partition,
    )["assetNodeOrError"]["assetMaterializations"]
    return [{entry["label"]: entry.get("intValue") for entry in event["metadataEntries"]} for event in events]


def launch_run(ui: Graphql, assets: Sequence[str], instrument: str, month: str) -> str:
    """What "Materialize" with one partition selected does.

    Returns:
        Id of the run.
    """
    location = code_location(ui)
    launched = ui(
        """mutation L($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
             __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
        params={
            "selector": {
                "repositoryLocationName": location["name"],
                "repositoryName": location["locationOrLoadError"]["repositories"][0]["name"],
                "pipelineName": JOB,
                "assetSelection": [{"path": [asset]} for asset in assets],
            },
            "mode": "default",
            "runConfigData": "{}",
            "executionMetadata": {
                "tags": [
                    {"key": "dagster/partition", "value": f"{instrument}|{month}"},
                    {"key": "dagster/partition/instrument", "value": instrument},
                    {"key": "dagster/partition/month", "value": month},
                ]
            },
        },
    )["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def run(ui: Graphql, run_id: str) -> dict[str, Any]:
    """Status and steps of a run."""
    found: dict[str, Any] = ui(
        """query Q($run: ID!) { runOrError(runId: $run) { ... on Run { status stepStats { stepKey status } } } }""",
        run=run_id,
    )["runOrError"]
    return found


def launch_backfill(ui: Graphql, assets: Sequence[str], partitions: Sequence[str]) -> str:
    """What "Materialize" with several partitions selected does.

    Returns:
        Id of the backfill.
    """
    launched = ui(
        """mutation L($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
             __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        params={"assetSelection": [{"path": [asset]} for asset in assets], "partitionNames": list(partitions)},
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


def backfill(ui: Graphql, backfill_id: str) -> dict[str, Any]:
    """Status of a backfill, its runs, and the counts of each asset by name."""
    found: dict[str, Any] = ui(
        """query Q($backfill: String!) { partitionBackfillOrError(backfillId: $backfill) { ... on PartitionBackfill {
             status runs { runId status tags { key value } } error { message }
             assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts { assetKey { path }
               numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed } } } } } }""",
        backfill=backfill_id,
    )["partitionBackfillOrError"]
    statuses = (found.pop("assetBackfillData") or {}).get("assetBackfillStatuses", [])
    found["assets"] = {status["assetKey"]["path"][-1]: status for status in statuses}
    return found


def partition_range(run: dict[str, Any]) -> tuple[str, str]:
    """First and last partition of one run of a backfill."""
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    if "dagster/partition" in tags:
        return tags["dagster/partition"], tags["dagster/partition"]
    return tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]


def cancel_backfill(ui: Graphql, backfill_id: str) -> None:
    """What "Cancel backfill" does."""
    answer = ui(
        """mutation C($backfill: String!) { cancelPartitionBackfill(backfillId: $backfill) { __typename
             ... on PythonError { message } } }""",
        backfill=backfill_id,
    )["cancelPartitionBackfill"]
    assert answer["__typename"] == "CancelBackfillSuccess", answer


def end_of_backfill(ui: Graphql, backfill_id: str, patience_s: float = 800.0) -> dict[str, Any]:
    """Wait until a backfill has ended, and give what its page then shows."""

    def has_ended() -> bool:
        return backfill(ui, backfill_id)["status"] in ENDED_BACKFILL

    wait_for(f"backfill {backfill_id} ends", has_ended, patience_s, poll_s=3)  # no cheap question
    return backfill(ui, backfill_id)


def run_messages(ui: Graphql, run_id: str) -> list[str]:
    """What the log of a run says, the first line first; of a failure also its cause."""
    events = ui(
        """query Q($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
             ... on MessageEvent { message } ... on ErrorEvent { error { message causes { message } } } } } } }""",
        run=run_id,
    )["logsForRun"]["events"]
    texts = []
    for event in events:
        error = event.get("error") or {"message": "", "causes": []}
        texts.append("\n".join([event["message"], error["message"], *(cause["message"] for cause in error["causes"])]))
    return texts


def start_sensor(ui: Graphql, name: str) -> None:
    """What the switch of a sensor does."""
    answer = ui(
        """mutation S($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename
             ... on PythonError { message } } }""",
        sensor=_sensor(ui, name),
    )["startSensor"]
    assert answer["__typename"] == "Sensor", answer


def ticks(ui: Graphql, name: str) -> list[dict[str, Any]]:
    """The last ticks of a sensor that have ended, the latest first: when they began [epoch s] and how they ended."""
    answer = ui(
        """query Q($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
             sensorState { ticks(limit: 20) { timestamp status error { message } } } } } }""",
        sensor=_sensor(ui, name),
    )["sensorOrError"]
    return [tick for tick in answer["sensorState"]["ticks"] if tick["status"] != "STARTED"]


def runs_of_sensors(ui: Graphql) -> list[dict[str, Any]]:
    """Every run that a sensor asked for, the first one first; its tags as a dictionary."""
    found = ui("""{ runsOrError { ... on Runs { results { runId status startTime tags { key value } } } } }""")[
        "runsOrError"
    ]["results"]
    runs = [run | {"tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]
    return [run for run in runs[::-1] if "dagster/sensor_name" in run["tags"]]


def _sensor(ui: Graphql, name: str) -> dict[str, str]:
    location = code_location(ui)
    return {
        "repositoryLocationName": location["name"],
        "repositoryName": location["locationOrLoadError"]["repositories"][0]["name"],
        "sensorName": name,
    }


def staleness(ui: Graphql, partition: str) -> dict[str, tuple[str, set[tuple[str, str]]]]:
    """Of each asset: what the badge of a partition says, and the category and asset of each cause."""
    nodes = ui(
        """query Q($partition: String!) { assetNodes { assetKey { path } staleStatus(partition: $partition)
             staleCauses(partition: $partition) { category key { path } } } }""",
        partition=partition,
    )["assetNodes"]
    return {
        node["assetKey"]["path"][-1]: (
            node["staleStatus"],
            {(cause["category"], cause["key"]["path"][-1]) for cause in node["staleCauses"]},
        )
        for node in nodes
    }
