"""Dagster's processes on one machine: what `label-assets dev` does, and the daemon of `label-assets backfill`.

Belongs here: one process tree, its beginning and its end. Does not belong here: servers and who belongs to Dagster
(`stack`, `warehouse.embedded`).
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import IO

import typer

from label_assets.errors import EmbeddedServerError
from label_assets.settings import Settings
from label_assets.stack import dagster_environment, end_dagster, only_dagster, running_servers

GRACE_S = 20
POLL_S = 0.2

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
        stops = stack.enter_context(stop_requests())
        record = stack.enter_context(only_dagster(settings))  # may end a Dagster that still holds the port
        _check_port(host, port)
        stack.enter_context(running_servers(settings))
        if stops():
            return 0
        typer.echo(f"Dagster UI  http://{host}:{port} in half a minute  (Ctrl-C stops it and what it started)")
        typer.echo(f"home        {settings.home}")
        with running_dagster(settings, [*COMMAND, "--host", host, "--port", str(port)], record) as child:
            while child.poll() is None and not stops():
                time.sleep(POLL_S)
            asked = bool(stops())
        # Dagster's own code is 0 even where its web server died.
        return 0 if asked else child.returncode or 1


@contextmanager
def running_dagster(
    settings: Settings,
    command: Sequence[str],
    record: Callable[[int | None], None],
    output: IO[bytes] | None = None,
    **variables: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Dagster in a session of its own; on the way out end it with everything that it started.

    Args:
        settings: The settings.
        command: Program and arguments.
        record: Notes the session, so that it can be found again (`stack.only_dagster`).
        output: File for what it says; default: the terminal.
        **variables: Further variables of the environment.
    """
    child = subprocess.Popen(
        command,
        env={**os.environ, **dagster_environment(settings), **variables},
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        start_new_session=True,  # Ctrl-C must reach Dagster once, from us, and not every process of it at once
    )
    try:
        record(child.pid)
        yield child
    finally:
        _end(settings, child)
        record(None)


def _end(settings: Settings, child: subprocess.Popen[bytes]) -> None:
    """End Dagster while the servers still run, so that a run that is nearly done can end and say so."""
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    end_dagster(settings)  # what Dagster leaves behind: code servers that wait for a run, and that run
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_S)


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Note SIGINT and SIGTERM instead of being interrupted: neither starting nor stopping a server stops half-way.

    Yields:
        Tells how many came.
    """
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: len(received)
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
