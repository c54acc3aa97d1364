"""The command `label-assets`.

Belongs here: commands, their options and how a failure is shown. Does not belong here: what they do.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from label_assets.errors import LabelAssetsError
from label_assets.settings import Settings, load_settings

app = typer.Typer(
    name="label-assets",
    help="Forward-looking market labels as a Dagster asset graph over ClickHouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
clickhouse_app = typer.Typer(help="The embedded ClickHouse server.", no_args_is_help=True)
schema_app = typer.Typer(help="Tables and views of the warehouse.", no_args_is_help=True)
docs_app = typer.Typer(help="Pages that are generated from the code.", no_args_is_help=True)
app.add_typer(clickhouse_app, name="clickhouse")
app.add_typer(schema_app, name="schema")
app.add_typer(docs_app, name="docs")

Instruments = Annotated[
    str | None, typer.Option(help="Names with commas between them; default: all that are configured.")
]


def main() -> None:
    """Run the command line; an error of ours is a message and exit code 1, not a traceback."""
    try:
        app()
    except LabelAssetsError as error:
        fail(error)


def fail(error: LabelAssetsError) -> NoReturn:
    """Show the four parts of an error and leave."""
    typer.secho(f"Error    {error.found}", fg=typer.colors.RED, err=True)
    typer.echo(f"Asked    {error.asked}\nAllowed  {error.allowed}\nNext     {error.action}", err=True)
    sys.exit(1)


@clickhouse_app.command("start")
def clickhouse_start() -> None:
    """Start the embedded ClickHouse, or find the one that runs."""
    from label_assets.warehouse.embedded import clickhouse

    settings = load_settings()
    clickhouse.ensure_running(settings.home)
    _clickhouse_status(settings)


@clickhouse_app.command("stop")
def clickhouse_stop() -> None:
    """Stop the embedded ClickHouse; what is stored stays."""
    from label_assets.warehouse.embedded import clickhouse

    stopped = clickhouse.stop(load_settings().home)
    typer.echo("stopped" if stopped else "it did not run")


@clickhouse_app.command("status")
def clickhouse_status() -> None:
    """Tell whether the embedded ClickHouse runs, where, and how much it holds. Exit code 3 if it does not run."""
    if not _clickhouse_status(load_settings()):
        raise typer.Exit(3)


def _clickhouse_status(settings: Settings) -> bool:
    from label_assets.warehouse.embedded import clickhouse

    status = clickhouse.status(settings.home)
    state = f"runs as process {status.pid} for {status.uptime_s or 0:.0f} s" if status.running else "does not run"
    typer.echo(f"ClickHouse {status.version or ''} {state}".replace("  ", " "))
    if status.url:
        typer.echo(f"address    {status.url}")
    typer.echo(f"data       {status.data_folder} ({status.size_bytes / 1e6:.1f} MB)")
    return status.running


@app.command()
def stop() -> None:
    """Stop the Dagster UI and every embedded server of this home; what is stored stays."""
    from label_assets.stack import stop_servers

    stopped = stop_servers(load_settings())
    typer.echo(f"stopped {', '.join(stopped)}" if stopped else "nothing ran")


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(help="A SELECT; '-' reads it from standard input.")],
    output: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """Run a statement that reads, against whichever warehouse is configured."""
    from label_assets.query import run_query

    typer.echo(run_query(load_settings(), sys.stdin.read() if statement == "-" else statement, output), nl=False)


@schema_app.command("plan")
def schema_plan() -> None:
    """Print the statements that would bring the database to the catalogue; run none."""
    from label_assets.query import planned_statements

    typer.echo(planned_statements(load_settings()))


@schema_app.command("migrate")
def schema_migrate() -> None:
    """Create missing tables, views and columns; refuse every other difference."""
    from label_assets.warehouse.client import Warehouse

    warehouse = Warehouse(load_settings())
    typer.echo(f"database {warehouse.client.database} holds the schema of the catalogue")
    warehouse.close()


@app.command()
def ddl(
    cluster: Annotated[
        str | None, typer.Option(help="ClickHouse cluster, as in <remote_servers>; default: one server.")
    ] = None,
) -> None:
    """Print the statements that make the database: replicated and spread over shards where a cluster is named."""
    from label_assets.warehouse.cluster import create_statements

    for statement in create_statements(cluster or "", load_settings().database):
        typer.echo(f"{statement};\n")


@app.command()
def materialize(
    first_month: Annotated[str, typer.Option("--from", help="First month, YYYY-MM.")],
    last_month: Annotated[str, typer.Option("--to", help="Last month, YYYY-MM, included.")],
    instruments: Instruments = None,
) -> None:
    """Materialize the whole graph for a range of months, one Dagster run for each instrument."""
    from label_assets.demo import run_with_progress, summarize

    settings = load_settings()
    names = instruments.split(",") if instruments else [item.name for item in settings.instruments]
    summarize(settings, run_with_progress(settings, [name.strip() for name in names], (first_month, last_month)))


@app.command()
def backfill(
    first_month: Annotated[str | None, typer.Option("--from", help="First month, YYYY-MM.")] = None,
    last_month: Annotated[str | None, typer.Option("--to", help="Last month, YYYY-MM, included.")] = None,
    instruments: Instruments = None,
    assets: Annotated[
        str,
        typer.Option(help="Names or selections as in the UI ('labels+', 'group:labels'), with commas between them."),
    ] = "*",
    missing_only: Annotated[
        bool, typer.Option("--missing-only", help="Only what was never materialized or failed, and what follows.")
    ] = False,
    resume: Annotated[
        str | None, typer.Option(help="Do the rest of a backfill that failed or was canceled; needs no other option.")
    ] = None,
) -> None:
    """Launch a backfill, as the UI does, and follow it; Ctrl-C cancels it. Exit code 1 if anything failed."""
    from label_assets.backfill import Selection
    from label_assets.backfill_command import run_backfill

    settings = load_settings()
    if resume is not None:
        raise typer.Exit(run_backfill(settings, resume))
    if first_month is None or last_month is None:
        raise typer.BadParameter("name both --from and --to, or --resume")
    names = instruments.split(",") if instruments else [item.name for item in settings.instruments]
    months = (first_month, last_month)
    selection = Selection(tuple(name.strip() for name in names), months, assets, missing_only)
    raise typer.Exit(run_backfill(settings, selection))


@app.command("sources")
def sources_(instruments: Instruments = None) -> None:
    """Read what the configured source has of every instrument: rows, span, what is left out and why. Stores nothing."""
    from rich.console import Console

    from label_assets.source_summary import summarize_source

    settings = load_settings()
    names = instruments.split(",") if instruments else [item.name for item in settings.instruments]
    raise typer.Exit(1 if summarize_source(settings, [name.strip() for name in names], Console()) else 0)


@app.command()
def demo() -> None:
    """Label a synthetic market: 3 instruments × 24 months, through Dagster into ClickHouse, with a chart."""
    from label_assets.demo import run_demo

    run_demo(load_settings())


@app.command()
def describe(
    instruments: Instruments = None,
    output: Annotated[Path | None, typer.Option(help="Markdown file to write; default: standard output.")] = None,
) -> None:
    """Show what the stored labels look like: shares of NULL, quantiles, class balance, what looks degenerate."""
    from label_assets.description import describe as describe_labels

    page = describe_labels(load_settings(), instruments.split(",") if instruments else None)
    if output is None:
        typer.echo(page)
    else:
        output.write_text(page, encoding="utf-8")
        typer.echo(f"wrote {output}")


@app.command()
def chart(
    instrument: Annotated[str, typer.Argument(help="Instrument.")],
    granularity: Annotated[str, typer.Argument(help="Labelled granularity.")],
    at: Annotated[datetime, typer.Option(help="Time, UTC: the last candle that opens until then is the entry.")],
    output: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("chart.png"),
    horizon: Annotated[int | None, typer.Option(help="Horizon; default: the first that is configured.")] = None,
) -> None:
    """Draw the levels around an entry with their roles over time, and its level-adjusted barriers."""
    from label_assets.charts.levels import draw_entry
    from label_assets.warehouse.client import Warehouse

    warehouse = Warehouse(load_settings())
    stamp = int(at.replace(tzinfo=UTC).timestamp())
    typer.echo(f"wrote {draw_entry(warehouse, instrument, granularity, stamp, horizon, output)}")
    warehouse.close()


@app.command("inspect")
def inspect_(
    file: Annotated[Path, typer.Argument(help="A file of candles; plain, .gz or .zip.")],
    instrument: Annotated[str | None, typer.Option(help="What it is of; default: what its name tells.")] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="Its format; default: found out.")] = None,
) -> None:
    """Tell what a file is, which clock its stamps show, and how to declare it as a source."""
    from label_assets.inspection.inspecting import inspect_file
    from label_assets.inspection.report import report

    settings = load_settings()
    inspection = inspect_file(file, settings.instruments, instrument, format_name)
    typer.echo(report(inspection, settings.base_granularity), nl=False)


@app.command()
def live(
    workers: Annotated[int, typer.Option(min=1, help="Processes of this machine; they share the instruments.")] = 1,
    worker: Annotated[int | None, typer.Option(hidden=True, help="Be this one of several.")] = None,
) -> None:
    """Label finished candles from Redis streams as they come: into the hot cache at once, ClickHouse in batches."""
    from label_assets.live.command import run_child, run_live

    settings = load_settings()
    raise typer.Exit(run_child(settings, worker) if worker is not None else run_live(settings, workers))


@app.command()
def feed(
    first: Annotated[datetime, typer.Option("--from", help="First open time, UTC.")],
    end: Annotated[datetime, typer.Option("--to", help="End of the open times, UTC, not included.")],
    instruments: Instruments = None,
    rate: Annotated[float, typer.Option(min=0, help="At most so many candles a second; 0: as fast as it goes.")] = 0.0,
    speed: Annotated[float, typer.Option(min=0, help="Seconds of the market in one second; 0: at once.")] = 0.0,
) -> None:
    """Replay candles of the configured source into the streams that `live` reads."""
    from label_assets.live.command import run_feed

    settings = load_settings()
    names = instruments.split(",") if instruments else [item.name for item in settings.instruments]
    stamps = (int(first.replace(tzinfo=UTC).timestamp()), int(end.replace(tzinfo=UTC).timestamp()))
    names = [settings.instrument(name.strip()).name for name in names]
    fed = run_feed(settings, names, stamps, candles_per_second=rate, speed=speed)
    typer.echo(f"{fed.candles} candles in {fed.seconds:.1f} s, {fed.candles / max(fed.seconds, 1e-9):.0f} a second")


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: the setting serve.host.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; default: the setting serve.port.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; default: the setting serve.workers.")] = None,
) -> None:
    """Answer requests for labels, levels and candles over HTTP. Anything but loopback needs API keys."""
    import gc

    gc.disable()  # an eighth of the start: importing makes a hundred thousand objects and drops hardly one
    from label_assets.serving.server import run_server

    gc.enable()
    given = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    run_server(load_settings(serve=given) if given else load_settings())


@app.command("api-key")
def api_key(name: Annotated[str, typer.Argument(help="Whose key it is; shown in no answer.")]) -> None:
    """Make an API key. It is shown once: only its hash goes into the settings."""
    from label_assets.serving.keys import new_key

    key, entry = new_key(name)
    typer.echo(f"key      {key}\nsetting  LABEL_ASSETS_SERVE__API_KEYS={entry}")
    typer.echo("The key cannot be shown again. The setting takes several entries, with commas between them.", err=True)


@app.command()
def monitor(
    once: Annotated[
        bool, typer.Option("--once", help="Look at one interval, show the figures; exit code 1 if missed.")
    ] = False,
) -> None:
    """Hold the metrics of `serve` and `live` against the service levels; log and post what is missed, until Ctrl-C."""
    from label_assets.monitoring.monitor import run_monitor

    raise typer.Exit(run_monitor(load_settings(), once=once, show=typer.echo))


@app.command("compile")
def compile_(
    live: Annotated[bool, typer.Option("--live", help="Also what `label-assets live` calls.")] = False,
) -> None:
    """Compile the kernels, which otherwise happens in the first run; part of an installation."""
    if live:
        from label_assets.live.compilation import compile_live_kernels

        compile_live_kernels(load_settings())
    else:
        from label_assets.compute.compilation import compile_kernels

        compile_kernels()
    typer.echo("kernels are compiled")


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address of the Dagster UI; it has no login of its own.")] = "127.0.0.1",
) -> None:
    """Run the embedded servers, the Dagster UI and its daemon until Ctrl-C."""
    from label_assets.development import run_development

    raise typer.Exit(run_development(load_settings(), host, port))


@docs_app.command("write")
def docs_write(folder: Annotated[Path, typer.Argument(help="Folder of the docs.")] = Path("docs")) -> None:
    """Write the pages that are generated from the catalogue and the settings."""
    from label_assets.pages import generated_pages

    for name, text in generated_pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {folder / name}")


if __name__ == "__main__":
    main()
