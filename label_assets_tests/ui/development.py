"""A home of its own with `label-assets dev` in it, as a person starts it."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import contents
from label_assets_tests.ui.dagster_graphql import Graphql, wait_for

FIRST_MONTH = "2025-01"
STOP_S = 60.0


def free_port() -> int:
    """A port below those that the kernel gives to outgoing connections.

    Among those, one of our own attempts to connect could get the port as its own address: it would be connected to
    itself, and hold the port when the web server wants it (seen).
    """
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return int(probe.getsockname()[1])


class Development:
    """One home, and the `label-assets dev` of it."""

    def __init__(self, home: Path, settings: Mapping[str, str]) -> None:
        self.home = home
        self.port = free_port()
        self.ui = Graphql(self.port)
        self.log = home / "dev.log"
        self.environment = os.environ | settings | {"LABEL_ASSETS_HOME": str(home)}
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", "from label_assets.cli import main; main()", *arguments]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command("dev", "--port", str(self.port)),
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,  # a signal of the test reaches it and not the test's own group
            )
        process = self.process
        wait_for("the UI answers", lambda: self.ui.answers() or process.poll() is not None, patience_s=150)
        assert process.poll() is None, self.log.read_text()

    def signal(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    @property
    def settings(self) -> Settings:
        """Those that its processes read from their environment."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                if name.startswith("LABEL_ASSETS_"):
                    patch.setenv(name, value)
            return load_settings()

    def contents(self) -> dict[str, pa.Table]:
        """All that its database holds."""
        warehouse = Warehouse(self.settings)
        try:
            return contents(warehouse)
        finally:
            warehouse.close()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), env=self.environment, cwd=self.home, capture_output=True, text=True, check=False
        )

    def sql(self, statement: str) -> list[dict[str, object]]:
        answer = self.run("sql", statement, "--format", "json")
        assert answer.returncode == 0, answer.stderr
        rows: list[dict[str, object]] = json.loads(answer.stdout)
        return rows

    def processes(self) -> list[psutil.Process]:
        """Every process that knows this home by environment, arguments or folder: Dagster, runs and servers."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and (
                    process.environ().get("LABEL_ASSETS_HOME") == str(self.home)
                    or str(self.home) in " ".join(process.cmdline())
                    or process.cwd().startswith(str(self.home))  # Redis shows neither its folder nor its environment
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def dagster(self) -> list[psutil.Process]:
        """Those of them that are Dagster's."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error):  # it may end between the two looks
                if "dagster" in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def kill(self) -> None:
        """Leave nothing behind whatever happened; psutil signals no newcomer with an old process id."""
        left = self.processes()
        for process in left:
            try:
                process.kill()
            except psutil.Error:
                continue
        psutil.wait_procs(left, 10)
        if self.process is not None:
            self.process.wait(10)


@contextmanager
def own_development(**settings: str) -> Iterator[Development]:
    """A home with two instruments and two granularities that nobody else uses; nothing of it is left afterwards.

    Args:
        **settings: Variables in lower case and without `LABEL_ASSETS_` that replace or add to those.
    """
    defaults = {"instruments": "EURUSD,GBPUSD", "granularities": "H1,D", "first_month": FIRST_MONTH}
    variables = {f"LABEL_ASSETS_{name.upper()}": value for name, value in (defaults | settings).items()}
    home = Path(tempfile.mkdtemp(prefix="label_assets_dev_"))
    home.chmod(0o755)  # where root may not use namespaces, PostgreSQL runs as another user who must get through
    started = Development(home, variables)
    try:
        yield started
    finally:
        started.kill()
        shutil.rmtree(home, ignore_errors=True)
