"""Part `backfill`: what the UI's "Materialize all" starts, through the real daemon, with all that it costs.

In full it is 29 instruments × 10 years, with sizes and queries of what is stored then.

Belongs here: many instruments, every process. Does not belong here: one history in detail (`history`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Measured, Size, figure
from benchmarks.homes import ALL_INSTRUMENTS, land_market, own_dagster
from benchmarks.processes import Watch, watching
from benchmarks.queries import ask
from benchmarks.targets import NOT_THE_PRODUCT
from label_assets.assets.partitions import months_between, partition_key
from label_assets_tests.ui import dagster_graphql as client
from label_assets_tests.ui.dagster_graphql import ENDED_BACKFILL, Graphql, wait_for

INSTRUMENTS: dict[Size, tuple[str, ...]] = {
    "tiny": ALL_INSTRUMENTS[:2],
    "bench": ALL_INSTRUMENTS[:6],
    "full": ALL_INSTRUMENTS,
}
MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-11", "2024-12"),
    "bench": ("2015-01", "2024-12"),
    "full": ("2015-01", "2024-12"),
}
PATIENCE_S: dict[Size, float] = {"tiny": 480, "bench": 720, "full": 1800}
POLL_S = 2.0
QUERY_REPETITIONS = 9


def measure(size: Size, home: Path) -> Measured:
    """Land every history, start Dagster, launch, wait, count."""
    names, months = INSTRUMENTS[size], MONTHS[size]
    candles = land_market(home / "landing", names, months)
    with own_dagster(home, home / "landing", names, months[0], sensors="false") as development:
        keys = [partition_key(name, month) for name in names for month in months_between(*months)]
        assets = list(client.asset_nodes(development.ui))
        with watching(home) as watch:
            launched = time.time()
            backfill_id = client.launch_backfill(development.ui, assets, keys)
            told, completed = _end(development.ui, backfill_id, PATIENCE_S[size])
        if told["status"] not in ("COMPLETED", "COMPLETED_SUCCESS"):
            raise RuntimeError(f"the backfill ended as {told['status']}: {told['error']}")
        rows = int(str(development.sql("SELECT toUInt64(count()) AS n FROM labels")[0]["n"]))
        runs = _run_times(development.ui, backfill_id)
        stored, notes = (
            ask(development.settings, names[0], months[1], QUERY_REPETITIONS) if size == "full" else ([], [])
        )
    product_s = sum(seconds for kind, seconds in watch.cpu_s.items() if kind not in NOT_THE_PRODUCT)
    first, last = min(start for start, _ in runs), max(end for _, end in runs)
    return Measured(
        figures=[
            figure("backfill, all overhead", "M label rows/min", "wall", [rows / (last - launched) * 6e-5]),
            figure("backfill, first run's start to last one's end", "M label rows/min", "wall",
                   [rows / (last - first) * 6e-5]),
            figure("backfill, by CPU time of all processes", "M label rows/min", "CPU",
                   [rows / product_s * 6e-5]),
            figure("a run", "s", "wall", [end - start for start, end in runs]),
            figure("launch until the first run starts", "s", "wall", [first - launched]),
            figure("launch until the last run has ended", "s", "wall", [last - launched]),
            figure("launch until Dagster calls it complete", "s", "wall", [completed - launched]),
            *_cpu_by_kind(watch.cpu_s),
            *_growth_of_memory(watch),
            *stored,
        ],
        notes=[
            f"{len(names)} instruments × {len(months_between(*months))} months: {candles:,} M15 candles in files, "
            f"{rows:,} label rows, {len(runs)} runs.",
            "All overhead is the time from the launch to the end of the last run: all labels are stored then. The "
            "daemon looks at backfills every 30 s, which is fixed in Dagster; a small backfill mostly waits for that.",
            "CPU time lacks what a process used in its last quarter of a second.",
            *notes,
        ],
        peak_rss=watch.peak_rss,
        series=watch.series,
    )  # fmt: skip


def _end(ui: Graphql, backfill_id: str, patience_s: float) -> tuple[dict[str, Any], float]:
    """What the page of the backfill says at its end, and when that was [epoch s]."""
    wait_for("the backfill ends", lambda: _status(ui, backfill_id) in ENDED_BACKFILL, patience_s, POLL_S)
    completed = time.time()
    return client.backfill(ui, backfill_id), completed


def _status(ui: Graphql, backfill_id: str) -> str:
    """The status alone: asking for all runs and counts would cost the web server what is to be measured."""
    found = ui(
        "query Q($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }",
        id=backfill_id,
    )
    return str(found["partitionBackfillOrError"]["status"])


def _run_times(ui: Graphql, backfill_id: str) -> list[tuple[float, float]]:
    """Start and end of every run of the backfill [epoch s]."""
    found = ui(
        """query Q($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
             runs(limit: 1000) { startTime endTime } } } }""",
        id=backfill_id,
    )["partitionBackfillOrError"]["runs"]
    return [(run["startTime"], run["endTime"]) for run in found]


def _cpu_by_kind(cpu_s: Mapping[str, float]) -> Iterator[Figure]:
    for kind, seconds in sorted(cpu_s.items(), key=lambda item: -item[1]):
        if seconds > 0:
            yield figure(f"CPU of {kind}", "s", "CPU", [seconds], "CPU time by process")


def _growth_of_memory(watch: Watch) -> Iterator[Figure]:
    """Of each kind, the most memory in the last quarter of the time over that in the second one: 1 is bounded."""
    for kind, points in watch.series.items():
        quarter = _most(points, 0.25, 0.5), _most(points, 0.75, 1.0)
        if min(quarter) > 0:
            yield figure(
                f"memory of {kind}, last quarter over second", "ratio", "none", [quarter[1] / quarter[0]],
                "growth of memory while the data grow",
            )  # fmt: skip


def _most(points: Sequence[tuple[float, float]], first: float, last: float) -> float:
    end = points[-1][0]
    return max((y for x, y in points if first * end <= x <= last * end), default=0.0)
