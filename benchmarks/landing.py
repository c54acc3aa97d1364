"""Part `landing`: from a file that lands to its labels in ClickHouse, through sensor and run of a Dagster that idles.

Belongs here: one instrument, a day's file at a time. Does not belong here: whole histories (`backfill`).
"""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import Measured, Size, figure, quantiles
from benchmarks.homes import land, land_market, market_rows, own_dagster
from benchmarks.processes import watching
from label_assets.assets.partitions import month_start, next_month
from label_assets.assets.sensors import LANDING_INTERVAL_S, SETTLE_S
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import taken
from label_assets_tests.ui.dagster_graphql import ENDED_RUN, Graphql, wait_for

INSTRUMENT = "EURUSD"
MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-10", "2024-12"),
    "bench": ("2020-01", "2024-12"),
    "full": ("2015-01", "2024-12"),
}
REPETITIONS: dict[Size, int] = {"tiny": 1, "bench": 6, "full": 24}
DAY_S = 86_400
LONGEST_PAUSE_S = 5.0
"""A random pause before each file, longer than the sensor's interval: files land at any time of it [s]."""

PATIENCE_S = 600.0
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Landed(NamedTuple):
    """One file.

    Attributes:
        until_requested_s: Until the sensor had asked for a run [s].
        until_started_s: From then until the run started [s].
        until_stored_s: From then until the labels were there [s].
        total_s: All three [s].
    """

    until_requested_s: float
    until_started_s: float
    until_stored_s: float
    total_s: float


def measure(size: Size, home: Path) -> Measured:
    """Load a history, then land one day after the other."""
    months = MONTHS[size]
    land_market(home / "landing", [INSTRUMENT], months)
    coming = market_rows(INSTRUMENT, (next_month(months[1]), next_month(next_month(months[1]))))
    pause = random.Random(1)
    with own_dagster(home, home / "landing", [INSTRUMENT], months[0]) as development, watching(home) as watch:
        warehouse = Warehouse(development.settings)
        _wait_for_history(warehouse, development.ui)
        found: list[Landed] = []
        for day in _days(coming, month_start(next_month(months[1])), REPETITIONS[size]):
            time.sleep(1 + pause.uniform(0, LONGEST_PAUSE_S))
            found.append(_land_one(warehouse, development.ui, home / "landing", day, len(found)))
        warehouse.close()
    group = "where it goes"
    return Measured(
        figures=[
            *quantiles("landed → labels", "s", [each.total_s for each in found], SHARES, "a day's file → its labels"),
            figure("landed → labels", "s", "wall", [each.total_s for each in found]),
            figure("until the sensor asks for a run", "s", "wall", [each.until_requested_s for each in found], group),
            figure("until the run starts", "s", "wall", [each.until_started_s for each in found], group),
            figure("until labels are stored", "s", "wall", [each.until_stored_s for each in found], group),
        ],
        notes=[
            f"{len(found)} files of one day each, after a history of {months[0]} to {months[1]}; Dagster does nothing "
            f"else. The sensor looks every {LANDING_INTERVAL_S} s and leaves a file alone for {SETTLE_S:g} s, in case "
            "somebody still writes it.",
        ],
        peak_rss=watch.peak_rss,
    )


def _days(rows: dict[str, Any], start_ts: int, count: int) -> Iterator[dict[str, Any]]:
    """So many days that have candles."""
    day = start_ts
    while count:
        found = taken(rows, (rows["ts"] >= day) & (rows["ts"] < day + DAY_S))
        day += DAY_S
        if len(found["ts"]) > 16:  # not the two hours of a Sunday, which hold no whole H4 candle
            count -= 1
            yield found


def _wait_for_history(warehouse: Warehouse, ui: Graphql) -> None:
    wait_for("labels of the history", lambda: _is_loaded(warehouse), PATIENCE_S, poll_s=1)
    _wait_until_idle(ui)


def _is_loaded(warehouse: Warehouse) -> bool:
    return bool(warehouse.query_text("SELECT DISTINCT instrument_id FROM labels").num_rows > 0)


def _wait_until_idle(ui: Graphql) -> None:
    wait_for("no run goes on", lambda: all(run["status"] in ENDED_RUN for run in _runs(ui)), PATIENCE_S)


def _runs(ui: Graphql) -> list[dict[str, Any]]:
    """Every run, the latest first, with its times [epoch s]."""
    found: list[dict[str, Any]] = ui(
        "{ runsOrError(limit: 20) { ... on Runs { results { status creationTime startTime endTime } } } }"
    )["runsOrError"]["results"]
    return found


def _newest(warehouse: Warehouse) -> int:
    """Open time of the newest H1 label [epoch s]."""
    answer = warehouse.query_text(
        "SELECT toUnixTimestamp(max(ts)) AS newest FROM labels WHERE instrument_id = {name:String} "
        "AND granularity = 'H1'",
        name=INSTRUMENT,
    )
    return int(answer["newest"][0].as_py())


def _land_one(warehouse: Warehouse, ui: Graphql, folder: Path, day: dict[str, Any], number: int) -> Landed:
    before = _newest(warehouse)
    land(folder, INSTRUMENT, day, f"_day{number:02d}")
    landed = time.time()
    wait_for("labels of the new day", lambda: _has_newer(warehouse, before), PATIENCE_S, poll_s=0.05)
    stored = time.time()
    _wait_until_idle(ui)
    run = min((run for run in _runs(ui) if run["creationTime"] >= landed), key=lambda run: float(run["creationTime"]))
    return Landed(
        run["creationTime"] - landed, run["startTime"] - run["creationTime"], stored - run["startTime"], stored - landed
    )


def _has_newer(warehouse: Warehouse, before: int) -> bool:
    """Whether there are labels after a time; the sort key finds the few rows that can be."""
    answer = warehouse.query_text(
        "SELECT count() AS n FROM labels WHERE instrument_id = {name:String} AND granularity = 'H1' "
        "AND ts > toDateTime({before:UInt32}, 'UTC')",
        name=INSTRUMENT,
        before=before,
    )
    return bool(answer["n"][0].as_py())
