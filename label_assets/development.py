"""The Dagster UI and its daemon on one machine: what `label-assets dev` does.

Belongs here: one process tree, its beginning and its end. Does not belong here: servers and who belongs to Dagster
(`stack`, `warehouse.embedded`).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

import typer

from label_assets.errors import EmbeddedServerError
from label_assets.settings import Settings
from label_assets.stack import dagster_was_cut_off, end_dagster, only_dagster, running_servers

GRACE_S = 20
POLL_S = 0.2
CODE_SERVER_TAG = ".dagster/grpc_info"

COMMAND = (
    sys.executable,
    # Dagster recommends a command of another package; nobody who typed `label-assets dev` can act on that.
    *("-W", "ignore:Function `dev_command` is superseded"),
    *("-m", "dagster", "dev", "-m", "label_assets.definitions"),
)


def run_development(settings: Settings, host: str, port: int) -> int:
    """Run `dagster dev` with everything it needs until it ends or a signal comes.

    Args:
        settings: The settings.
        host: Address of the UI.
        port: Port of the UI.

    Returns:
        Exit code: 0 after Ctrl-C or SIGTERM, else that of Dagster, which was not asked to end.

    Raises:
        EmbeddedServerError: if a server does not start, the UI is not installed, its port is taken, or another
            `label-assets dev` runs for the same home.
    """
    _check_installed()
    with ExitStack() as stack:
        stop_requested = stack.enter_context(_stop_requests())
        record = stack.enter_context(only_dagster(settings))  # may end a Dagster that still holds the port
        _check_port(host, port)
        environment = stack.enter_context(running_servers(settings))
        if dagster_was_cut_off(settings):
            _fail_lost_runs(settings, environment)
        if stop_requested():
            return 0
        typer.echo(f"Dagster UI  http://{host}:{port} in half a minute  (Ctrl-C stops it and what it started)")
        typer.echo(f"home        {settings.home}")
        child = subprocess.Popen(
            [*COMMAND, "--host", host, "--port", str(port)],
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C must reach Dagster once, from us, and not every process of it at once
        )
        try:
            record(child.pid)
            while child.poll() is None and not stop_requested():
                time.sleep(POLL_S)
            asked = stop_requested()
        finally:
            in_order = _end(settings, child)
        if asked and in_order:
            record(None)
        # Dagster's own code is 0 even where its web server died.
        return 0 if asked else child.returncode or 1


def _end(settings: Settings, child: subprocess.Popen[bytes]) -> bool:
    """End Dagster while the servers still run, so that a run that is nearly done can end and say so.

    Returns:
        Whether nothing had to be ended but Dagster itself: no run, then.
    """
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    left = end_dagster(settings)  # what Dagster leaves behind: code servers that wait for a run, and that run
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)
    return not left


def _fail_lost_runs(settings: Settings, environment: dict[str, str]) -> None:
    """Mark runs as failed whose process ended with the last Dagster, so that they are tried again.

    Dagster's default launcher cannot tell that the process of a run is gone. The run would count as running for ever
    and hold its place in the queue: after one power cut in a backfill no other backfill would start. Runs of
    `label-assets materialize` have no code server and are left alone, as is a storage that others may use too.
    """
    if settings.postgres_url is not None or os.environ.get("DAGSTER_HOME"):
        return
    import dagster as dg  # noqa: PLC0415 - seconds, only after an end that was not in order

    os.environ.update(environment)
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        for run in instance.get_runs(filters=dg.RunsFilter(statuses=unfinished)):
            if CODE_SERVER_TAG not in run.tags:
                continue
            if run.status == dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run)
            else:
                instance.report_run_failed(run, "The process of the run ended with the Dagster that had started it.")
            typer.echo(f"run {run.run_id} had ended with its Dagster; it is marked as such")


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Note SIGINT and SIGTERM instead of being interrupted: neither starting nor stopping a server stops half-way.

    Yields:
        Tells whether one came.
    """
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _check_installed() -> None:
    try:
        import dagster_webserver  # noqa: F401, PLC0415 - asked for here so that the message is ours
    except ImportError:
        raise EmbeddedServerError(
            asked="the Dagster UI",
            found="package dagster-webserver is not installed",
            allowed="an installation with the extra `local`",
            action="pip install 'label-assets[local]'",
        ) from None


def _check_port(host: str, port: int) -> None:
    """Dagster finds out after half a minute; this does at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise EmbeddedServerError(
            asked=f"the Dagster UI at http://{host}:{port}",
            found=error.strerror or str(error),
            allowed="an address of this machine and a port on which nobody listens",
            action="end what listens there, or name another with --port",
        ) from error
