"""One machine's stack: the embedded servers, Dagster's home and the environment that Dagster processes need.

Belongs here: which servers run for whom. Does not belong here: how a server starts (`warehouse.embedded`), commands
(`cli`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from label_assets.settings import Settings

DAGSTER_PROCESS_SETTINGS = {
    # Measured: a run of many partitions is an order of magnitude faster when its events are stored in batches and its
    # planned materializations as one subset.
    "DAGSTER_EVENT_BATCH_SIZE": "1000",
    "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "1",
}


def dagster_home(settings: Settings) -> Path:
    """DAGSTER_HOME of the environment, else a folder in `home` with our dagster.yaml, brought up to date."""
    if os.environ.get("DAGSTER_HOME"):
        return Path(os.environ["DAGSTER_HOME"])
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    text = files("label_assets").joinpath("dagster.yaml").read_text(encoding="utf-8")
    target = folder / "dagster.yaml"
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
    return folder


def dagster_environment(settings: Settings) -> dict[str, str]:
    """Variables that every Dagster process needs, starting the embedded PostgreSQL where no URL is configured.

    Raises:
        EmbeddedServerError: if PostgreSQL does not start.
    """
    url = settings.postgres_url
    if url is None:
        from label_assets.warehouse.embedded import postgres  # noqa: PLC0415 - only where it is used

        url = postgres.ensure_running(settings.home)
    return {
        **DAGSTER_PROCESS_SETTINGS,
        "DAGSTER_HOME": str(dagster_home(settings)),
        "DAGSTER_POSTGRES_URL": url,
        "LABEL_ASSETS_HOME": str(settings.home),
    }


def stop_servers(settings: Settings) -> list[str]:
    """Stop every embedded server of `home`.

    Returns:
        Names of those that ran.
    """
    from label_assets.warehouse.embedded import clickhouse, postgres, redis  # noqa: PLC0415 - only where it is used

    servers = {"ClickHouse": clickhouse, "PostgreSQL": postgres, "Redis": redis}
    return [name for name, server in servers.items() if server.stop(settings.home)]


@contextmanager
def running_servers(settings: Settings) -> Iterator[dict[str, str]]:
    """Start what is not configured by URL; on the way out stop what was started here.

    Yields:
        The environment of Dagster processes.
    """
    from label_assets.warehouse.embedded import clickhouse, postgres, redis  # noqa: PLC0415 - only where it is used

    started = []
    servers = (
        (clickhouse, settings.clickhouse_url),
        (postgres, settings.postgres_url),
        (redis, settings.redis_url),
    )
    try:
        for server, url in servers:
            if url is None and not server.status(settings.home).running:
                server.ensure_running(settings.home)
                started.append(server)
        yield dagster_environment(settings)
    finally:
        for server in reversed(started):
            server.stop(settings.home)
