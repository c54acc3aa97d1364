"""One machine's stack: the embedded servers, Dagster's home and the environment that Dagster processes need.

Belongs here: which servers run for whom. Does not belong here: how a server starts (`warehouse.embedded`), commands
(`cli`).
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from label_assets.errors import EmbeddedServerError
from label_assets.settings import Settings

if TYPE_CHECKING:
    import psutil

DAGSTER_PROCESS_SETTINGS = {
    # Measured: a run of many partitions is an order of magnitude faster when its events are stored in batches and its
    # planned materializations as one subset.
    "DAGSTER_EVENT_BATCH_SIZE": "1000",
    "DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS": "1",
}


END_OF_DAGSTER = ((signal.SIGINT, 15), (signal.SIGTERM, 5), (signal.SIGKILL, 5))
"""How Dagster's processes are asked to end, and how long each request may take [s]. SIGINT lets a run note its end."""


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


def _session_file(settings: Settings) -> Path:
    return settings.home / "development.lock"


@contextmanager
def only_dagster(settings: Settings) -> Iterator[Callable[[int | None], None]]:
    """Be the only Dagster of `home`, and end what a killed one left behind.

    The kernel frees the lock when its holder dies, so a kill -9 locks nobody out.

    Yields:
        Takes the session id of the Dagster that was started, so that it can be found again, or None when it ended in
        order.

    Raises:
        EmbeddedServerError: if another one runs.
    """
    from label_assets.warehouse.embedded.lifecycle import try_lock  # noqa: PLC0415 - only where it is used

    settings.home.mkdir(parents=True, exist_ok=True)
    with _session_file(settings).open("a+", encoding="ascii") as file:
        if not try_lock(file.fileno()):
            raise EmbeddedServerError(
                asked=f"a Dagster of {settings.home}",
                found="another `label-assets dev` or `label-assets backfill` runs for it",
                allowed="one for each home: two daemons on one storage would launch everything twice",
                action="use that one, end it with Ctrl-C or `label-assets stop`, or set another LABEL_ASSETS_HOME",
            )
        end_dagster(settings)

        def record(session: int | None) -> None:
            file.truncate(0)
            file.write("" if session is None else str(session))
            file.flush()

        yield record


def dagster_is_taken(settings: Settings) -> bool:
    """Say whether a Dagster of this home runs, or begins or ends."""
    from label_assets.warehouse.embedded.lifecycle import try_lock  # noqa: PLC0415 - only where it is used

    try:
        with _session_file(settings).open("r+", encoding="ascii") as file:
            return not try_lock(file.fileno())
    except FileNotFoundError:
        return False


def own_storage(settings: Settings) -> bool:
    """Say whether Dagster's storage is the embedded server of this home, which nobody else uses."""
    return settings.postgres_url is None and not os.environ.get("DAGSTER_HOME")


def dagster_processes(settings: Settings) -> "list[psutil.Process]":
    """Processes of the Dagster that was started for this home, its first one first if it lives.

    They are those of its session, whoever their parent is by now: runs outlive the code server that started them.
    Embedded servers are none of them, they have sessions of their own.
    """
    import psutil  # noqa: PLC0415 - of the extra `local`

    try:
        session = int(_session_file(settings).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return []
    found = []
    for process in psutil.process_iter():
        try:
            of_session = os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
            # A session id is used again one day; the environment tells that this one is still ours.
            if of_session and process.environ().get("LABEL_ASSETS_HOME") == str(settings.home):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it ended while we looked, or it is another user's
    return sorted(found, key=lambda process: process.pid != session)


def end_dagster(settings: Settings) -> bool:
    """End the Dagster of this home: first its first process, which ends the others in order, then who is left.

    Returns:
        Whether there was one.
    """
    processes = dagster_processes(settings)
    if processes:
        _end_processes(processes[:1])
        _end_processes(dagster_processes(settings))
    return bool(processes)


def _end_processes(processes: "list[psutil.Process]") -> None:
    import psutil  # noqa: PLC0415 - of the extra `local`

    for number, patience_s in END_OF_DAGSTER:
        for process in processes:
            with suppress(psutil.Error):  # it ended meanwhile
                process.send_signal(number)
        _, processes = psutil.wait_procs(processes, patience_s)


def stop_servers(settings: Settings) -> list[str]:
    """Stop the Dagster and every embedded server of `home`.

    Returns:
        Names of those that ran.
    """
    from label_assets.warehouse.embedded import clickhouse, postgres, redis  # noqa: PLC0415 - only where it is used

    dagster = ["Dagster"] if end_dagster(settings) else []
    servers = {"ClickHouse": clickhouse, "PostgreSQL": postgres, "Redis": redis}
    stopped = [name for name, server in servers.items() if server.stop(settings.home)]
    queue = ["queue of candles"] if redis.stop(settings.home, redis.QUEUE) else []
    return dagster + stopped + queue


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
