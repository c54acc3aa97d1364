"""The API as a process of its own, as `label-assets serve` starts it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any, NamedTuple

from label_assets.settings import Settings
from label_assets.warehouse.embedded.lifecycle import free_port

PATIENCE_S = 60


class Running(NamedTuple):
    """A server."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(running: Running, path: str, body: Any = None, timeout_s: float = 30.0) -> Answer:
    """One request on a connection of its own."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(running.url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


@contextmanager
def serving(settings: Settings, **serve: Any) -> Iterator[Running]:
    """`label-assets serve` on a free port, until the end."""
    port = free_port(None)
    variables = {
        "LABEL_ASSETS_HOME": str(settings.home),
        "LABEL_ASSETS_DATABASE": settings.database,
        "LABEL_ASSETS_INSTRUMENTS": ",".join(each.name for each in settings.instruments),
        "LABEL_ASSETS_GRANULARITIES": ",".join(settings.granularities),
        "LABEL_ASSETS_HORIZONS": ",".join(map(str, settings.horizons)),
        "LABEL_ASSETS_FIRST_MONTH": settings.first_month,
        "LABEL_ASSETS_CACHE__SYNC_S": "0.5",
        "LABEL_ASSETS_SERVE__REQUESTS_PER_MINUTE": "0",
        "CLICKHOUSE_URL": str(settings.clickhouse_url),
        "REDIS_URL": str(settings.redis_url),
        **{f"LABEL_ASSETS_SERVE__{name.upper()}": str(value) for name, value in serve.items()},
    }
    command = [sys.executable, "-m", "label_assets.cli", "serve", "--port", str(port)]
    settings.home.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(command, cwd=settings.home, env={**os.environ, **variables})
    running = Running(port, process)
    try:
        until = time.monotonic() + PATIENCE_S
        while not _lives(running):
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.05)
        yield running
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _lives(running: Running) -> bool:
    try:
        return ask(running, "/v1/health", timeout_s=2.0).status == 200
    except OSError:
        return False
