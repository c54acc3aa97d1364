"""Part `history`: one instrument's history, from its file to every table, and where the time goes.

Twice: the assets' own work without Dagster (read candles, compute, upsert), which is what DESIGN.md §11 bounds, and
whole runs of the graph as `label-assets materialize` makes them: the first one, the same again, one corrected candle.

Belongs here: one instrument in this process. Does not belong here: daemons and many instruments (`backfill`).
"""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from benchmarks.figures import Figure, Measured, Size, figure
from benchmarks.homes import land, land_market, market_rows, own_servers
from benchmarks.processes import Watch, cpu_of_servers, peak_rss_here, watching
from benchmarks.stopwatch import Stopwatch
from label_assets.assets.candles import ingest
from label_assets.assets.labels import write_computed, write_labels
from label_assets.assets.levels import write_levels
from label_assets.assets.partitions import MonthRun, month_runs, months_between, partition_key
from label_assets.assets.resources import KEPT_BYTES
from label_assets.catalog.tables import CANDLES
from label_assets.compute.candles import candle_rows
from label_assets.compute.compilation import compile_kernels
from label_assets.compute.families import COMPUTED_TABLES
from label_assets.compute.inputs import MarketReader
from label_assets.compute.source import configured_source
from label_assets.compute.versions import code_versions
from label_assets.market.calendar import SessionCalendar
from label_assets.materialize import dagster_instance, materialize_range
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

INSTRUMENT = "EURUSD"
MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-01", "2024-03"),
    "bench": ("2005-01", "2024-12"),
    "full": ("2005-01", "2024-12"),
}
REPETITIONS: dict[Size, int] = {"tiny": 1, "bench": 3, "full": 7}
RUNS = ("first run", "unchanged again", "one corrected candle")


class Cost(NamedTuple):
    """What something cost.

    Attributes:
        wall_s: Wall time [s].
        cpu_s: CPU time of this process and of all servers [s].
        rows: Label rows that it was about.
    """

    wall_s: float
    cpu_s: float
    rows: int


def measure(size: Size, home: Path) -> Measured:
    """The assets' own work, whole runs, and their split."""
    months = MONTHS[size]
    compile_kernels()
    with own_servers(home, instruments=[INSTRUMENT], first_month=months[0]) as settings, watching(home) as watch:
        land_market(home / "landing", [INSTRUMENT], months)
        own = [own_work(in_database(settings, f"own_{n}"), months) for n in range(REPETITIONS[size] + 1)][1:]
        runs: dict[str, list[Cost]] = {name: [] for name in RUNS}
        splits: dict[str, list[Stopwatch]] = {name: [] for name in RUNS}
        with dagster_instance(settings) as instance:
            whole_run(in_database(settings, "warm"), instance, months)
            for repetition in range(REPETITIONS[size]):
                fresh = in_database(settings, f"run_{repetition}")
                for name in RUNS:
                    if name == RUNS[2]:
                        _correct(home, months, repetition)
                    cost, split = whole_run(fresh, instance, months)
                    runs[name].append(cost)
                    splits[name].append(split)
                    gc.collect()
        _run_of_its_own(settings, months)
    figures = [
        figure("read, compute, upsert", "M label rows/min", "wall", [each.rows / each.wall_s * 6e-5 for each in own]),
        figure("read, compute, upsert by CPU time", "M label rows/min", "CPU", [_by_cpu(each) for each in own]),
    ]
    for name, costs in runs.items():
        figures += [
            figure(name, "s", "wall", [cost.wall_s for cost in costs], "runs of the whole graph"),
            figure(f"{name}, all processes", "s", "CPU", [cost.cpu_s for cost in costs], "their CPU time"),
        ]
        figures += _shares(name, costs, splits[name])
    first = runs[RUNS[0]][0]
    return Measured(
        figures=figures,
        notes=[
            f"{INSTRUMENT} {months[0]} to {months[1]}: {first.rows:,} label rows of H1, H4, D and W from M15 candles.",
            "`read, compute, upsert` is path windows, levels, all families and labels from stored candles into an "
            "empty database, without Dagster. Whole runs begin at the Parquet file and hold raw candles, candles, "
            "statistics and all checks too.",
            "`waits for …` is time in which the process waits for that server; `Dagster and the rest` is what no "
            "other phase has: events, steps, Python of checks and metadata.",
            "Memory of `run` is that of a `label-assets materialize` of the whole history, a process of its own.",
        ],
        peak_rss=_peaks(watch),
        details={"calls": {name: found[-1].calls for name, found in splits.items()}},
    )


def _peaks(watch: Watch) -> dict[str, int]:
    return watch.peak_rss | {"the benchmark itself": peak_rss_here()}


def _run_of_its_own(settings: Settings, months: tuple[str, str]) -> None:
    """A first run in a process that does nothing else: this one holds what ten others left."""
    variables = {
        "LABEL_ASSETS_HOME": str(settings.home),
        "LABEL_ASSETS_SOURCE": settings.source,
        "LABEL_ASSETS_LANDING_FOLDER": str(settings.landing_folder),
        "LABEL_ASSETS_INSTRUMENTS": INSTRUMENT,
        "LABEL_ASSETS_FIRST_MONTH": months[0],
        "LABEL_ASSETS_DATABASE": "own_process",
    }
    command = [sys.executable, "-m", "label_assets.cli", "materialize", "--from", months[0], "--to", months[1]]
    subprocess.run(command, env=os.environ | variables, check=True, stdout=subprocess.DEVNULL)


def _by_cpu(cost: Cost) -> float:
    """M label rows a minute of CPU time."""
    return cost.rows / cost.cpu_s * 6e-5


def in_database(settings: Settings, name: str) -> Settings:
    """The settings with a database of that name."""
    return settings.model_copy(update={"database": name})


def own_work(settings: Settings, months: tuple[str, str]) -> Cost:
    """What the assets do, into an empty database."""
    (months_run,) = month_runs([partition_key(INSTRUMENT, month) for month in months_between(*months)])
    warehouse, calendar = Warehouse(settings, KEPT_BYTES), SessionCalendar(settings.session_open)
    try:
        _store_candles(warehouse, settings, calendar, months_run)
        gc.collect()
        with costing(settings.home) as cost:
            reader = MarketReader(warehouse, settings)
            write_levels(settings, warehouse, reader, months_run)
            for table in COMPUTED_TABLES:
                write_computed(settings, warehouse, reader, table, months_run)
            written = write_labels(warehouse, code_versions(settings)["labels"], months_run)
        return cost()._replace(rows=written.result.rows_written)
    finally:
        warehouse.close()


def _store_candles(warehouse: Warehouse, settings: Settings, calendar: SessionCalendar, months: MonthRun) -> None:
    ingest(warehouse, configured_source(settings), settings, calendar, months)
    owned = candle_rows(warehouse, calendar, INSTRUMENT, settings.ladder, (months.start_ts, months.end_ts))
    warehouse.upsert(CANDLES, owned.scope, owned.rows)


def whole_run(settings: Settings, instance: dg.DagsterInstance, months: tuple[str, str]) -> tuple[Cost, Stopwatch]:
    """One run of the whole graph, and where its time went."""
    watch = Stopwatch()
    _wrap_borders(watch, settings)
    try:
        with costing(settings.home) as cost:
            (run,) = materialize_range(settings, instance, [INSTRUMENT], months)
    finally:
        watch.unwrap()
    return cost()._replace(rows=run.rows), watch


def _correct(home: Path, months: tuple[str, str], repetition: int) -> None:
    """Land the same file with a higher high of one candle in its middle."""
    rows = market_rows(INSTRUMENT, months)
    rows["high"][len(rows["ts"]) // 2 + repetition] *= 1.001
    land(home / "landing", INSTRUMENT, rows)


def _wrap_borders(watch: Stopwatch, settings: Settings) -> None:
    """Time what a run calls at its borders."""
    from clickhouse_connect.driver.client import Client  # noqa: PLC0415 - after the servers are chosen
    from sqlalchemy.engine import Connection  # noqa: PLC0415

    from label_assets.assets import labels, statistics  # noqa: PLC0415
    from label_assets.compute import families, levels  # noqa: PLC0415

    for name in ("query_arrow", "query", "command"):
        watch.wrap(Client, name, "waits for ClickHouse, reading")
    watch.wrap(Client, "insert_arrow", "waits for ClickHouse, writing")
    for name in ("upsert", "upsert_all"):
        watch.wrap(Warehouse, name, "compare")
    for name in ("execute", "commit"):
        watch.wrap(Connection, name, "waits for PostgreSQL")
    watch.wrap(families, "compute_rows", "compute")
    watch.wrap(levels, "owned_levels", "compute")
    watch.wrap(statistics, "statistics_rows", "compute")
    watch.wrap(labels, "label_rows", "join labels")
    watch.wrap(type(configured_source(settings)), "read", "read the source")


def _shares(name: str, costs: list[Cost], splits: list[Stopwatch]) -> Iterator[Figure]:
    """Seconds of each phase, and of what is in none."""
    phases = sorted({phase for split in splits for phase in split.seconds})
    for phase in phases:
        values = [split.seconds.get(phase, 0.0) for split in splits]
        yield figure(f"{name}: {phase}", "s", "wall", values, f"where the time of a run goes: {name}")
    rest = [cost.wall_s - sum(split.seconds.values()) for cost, split in zip(costs, splits, strict=True)]
    yield figure(f"{name}: Dagster and the rest", "s", "wall", rest, f"where the time of a run goes: {name}")


@contextmanager
def costing(home: Path) -> Iterator[Callable[[], Cost]]:
    """Wall time of the body and CPU time of this process and the servers of a home.

    Yields:
        Gives the cost once the body has ended.
    """
    cpu, wall = time.process_time() + cpu_of_servers(home), time.perf_counter()
    found: list[Cost] = []
    yield lambda: found[0]
    took = time.perf_counter() - wall
    found.append(Cost(took, time.process_time() + cpu_of_servers(home) - cpu, 0))
