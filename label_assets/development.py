"""The Dagster UI and its daemon on one machine: what `label-assets dev` does.

Belongs here: one process tree and its end. Does not belong here: servers (`stack`, `warehouse.embedded`).
"""

import os
import signal
import subprocess
import sys
from types import FrameType

import typer

from label_assets.errors import EmbeddedServerError
from label_assets.settings import Settings
from label_assets.stack import running_servers

GRACE_S = 20


def run_development(settings: Settings, host: str, port: int) -> int:
    """Run `dagster dev` with everything it needs until it ends or a signal comes.

    Args:
        settings: The settings.
        host: Address of the UI.
        port: Port of the UI.

    Returns:
        Exit code.

    Raises:
        EmbeddedServerError: if a server does not start or the UI is not installed.
    """
    try:
        import dagster_webserver  # noqa: F401, PLC0415 - asked for here so that the message is ours
    except ImportError:
        raise EmbeddedServerError(
            asked="the Dagster UI",
            found="package dagster-webserver is not installed",
            allowed="an installation with the extra `local`",
            action="pip install 'label-assets[local]'",
        ) from None
    with running_servers(settings) as environment:
        typer.echo(f"Dagster UI  http://{host}:{port}  (Ctrl-C stops it and the servers that it started)")
        typer.echo(f"home        {settings.home}")
        command = [sys.executable, "-m", "dagster", "dev", "-m", "label_assets.definitions"]
        child = subprocess.Popen(
            [*command, "--host", host, "--port", str(port)],
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C must reach Dagster once, from us, and not every process of it at once
        )
        return _wait(child)


def _wait(child: subprocess.Popen[bytes]) -> int:
    def forward(number: int, _frame: FrameType | None) -> None:
        child.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGTERM)
            child.wait(GRACE_S)
