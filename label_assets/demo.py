"""What `label-assets demo` does and shows: runs with a progress display, a summary, a chart.

Belongs here: what a person sees on the terminal. Does not belong here: running (`materialize`), drawing (`charts`).
"""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.table import Table as Grid

from label_assets.assets.partitions import month_start, next_month
from label_assets.catalog.index import TABLES
from label_assets.errors import SettingsError
from label_assets.materialize import FinishedRun, dagster_instance, materialize_range, step_count
from label_assets.settings import Settings
from label_assets.stack import dagster_home
from label_assets.warehouse.client import Warehouse, address, shown

INSTRUMENTS = ("EURUSD", "GBPUSD", "USDJPY")
MONTHS = ("2024-01", "2025-12")
CHART_MONTH = "2025-03"
CHART_GRANULARITY = "H4"


def run_with_progress(settings: Settings, instruments: Sequence[str], months: tuple[str, str]) -> list[FinishedRun]:
    """Materialize the whole graph with a progress display.

    Raises:
        SettingsError: for an instrument or month without a partition.
        RunFailedError: at the first run that fails.
    """
    console = Console()
    console.print("starting ClickHouse and PostgreSQL where none is configured …")
    with dagster_instance(settings) as instance:
        Warehouse(settings).client.close()
        steps = step_count(settings)
        columns = (
            TextColumn("{task.description:<36}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console) as display:
            task = display.add_task("starting", total=steps * len(instruments))

            def show(instrument: str, step: str) -> None:
                display.update(task, advance=1, description=f"{instrument}: {step}")

            runs = materialize_range(settings, instance, instruments, months, show)
            display.update(task, description="done")
    return runs


def summarize(settings: Settings, runs: Sequence[FinishedRun]) -> None:
    """Print rows of each table, class balance, speed, and where things are."""
    console = Console()
    warehouse = Warehouse(settings)
    counts = Grid("table", Column("rows", justify="right"), title="Tables", title_justify="left", box=SIMPLE_HEAD)
    for table in TABLES:
        rows = warehouse.query_text(f"SELECT count() AS n FROM `{table.name}`")["n"][0].as_py()
        counts.add_row(table.name, f"{rows:,}")
    console.print(counts)
    figures = ("rows", "complete", "lower", "neither", "upper", "mfe", "mae")
    balance = Grid(
        Column("candles", no_wrap=True),
        *(Column(name, justify="right", no_wrap=True) for name in figures),
        title="Triple barrier of complete windows, mean excursions",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    for row in warehouse.query("read_class_balance", instruments=[run.instrument_id for run in runs]).to_pylist():
        balance.add_row(
            f"{row['instrument_id']} {row['granularity']}",
            f"{row['label_rows']:,}",
            f"{row['complete']:.1%}",
            *(f"{row[name]:.1%}" for name in ("lower", "none", "upper")),
            f"{row['mean_mfe']:.3%}",
            f"{row['mean_mae']:.3%}",
        )
    console.print(balance)
    seconds = sum(run.seconds for run in runs)
    rows, written = sum(run.rows for run in runs), sum(run.rows_written for run in runs)
    console.print(
        f"{len(runs)} runs, {rows:,} rows of labels in {seconds:.1f} s: {rows / seconds:,.0f} a second with all "
        f"overhead of Dagster; {written:,} rows written to all tables"
    )
    console.print(f"ClickHouse  {shown(address(settings))}, database {settings.database}")
    console.print(f"Dagster     {dagster_home(settings)}", soft_wrap=True)
    warehouse.close()


def run_demo(settings: Settings) -> None:
    """Materialize the synthetic market, print the summary and draw one month.

    Raises:
        SettingsError: if the settings name a real source: invented candles must not overwrite its candles.
    """
    from label_assets.charts.candles import draw_month  # noqa: PLC0415 - matplotlib: half a second, only here

    if settings.source != "synthetic":
        raise SettingsError(
            asked="the demo",
            found=f"source = {settings.source}: this warehouse is for real candles, the demo writes invented ones",
            allowed="source = synthetic",
            action="use `label-assets materialize`, or run the demo with another LABEL_ASSETS_HOME and source",
        )
    started = time.perf_counter()
    runs = run_with_progress(settings, INSTRUMENTS, MONTHS)
    summarize(settings, runs)
    chart: Path = settings.home / "charts" / f"{INSTRUMENTS[0]}_{CHART_GRANULARITY}_{CHART_MONTH}.png"
    warehouse = Warehouse(settings)
    month = (month_start(CHART_MONTH), month_start(next_month(CHART_MONTH)))
    draw_month(warehouse, INSTRUMENTS[0], CHART_GRANULARITY, month, settings.horizons[0], chart)
    warehouse.close()
    console = Console()
    console.print(f"Chart       {chart}", soft_wrap=True)
    console.print(
        f"{time.perf_counter() - started:.0f} s in all. Look around: label-assets sql 'SELECT * FROM labels LIMIT 3' "
        "--format json; the UI: label-assets dev. The servers keep running; label-assets stop ends them",
        soft_wrap=True,
    )
