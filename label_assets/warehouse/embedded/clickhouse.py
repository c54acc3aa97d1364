"""A local ClickHouse for clients: start it, find it, stop it. Its engine lives in a process of its own.

endpoint = ensure_running(Path("~/.label_assets"))
client = clickhouse_connect.get_client(
    host=endpoint.host, port=endpoint.port, username=endpoint.user, password=endpoint.password,
    autogenerate_session_id=False, compress=False,
)
"""

from __future__ import annotations

import hmac
import http.client
import importlib.util
import os
import secrets
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from label_assets.warehouse.embedded.lifecycle import (
    ServerRecord,
    ServerStatus,
    describe,
    ensure_server,
    is_alive,
    not_installed,
    proof,
    read_record,
    secret,
    server_folder,
    stop_server,
    wait_until_ready,
)
from label_assets.warehouse.embedded.processes import spawn

_NAME = "clickhouse"
_USER = "default"
_PING_TIMEOUT_S = 3.0
_STOP_GRACE_S = 20.0


@dataclass(frozen=True)
class ClickHouseEndpoint:
    """Where the local server answers.

    Attributes:
        host: Loopback address.
        port: Port of the HTTP interface.
        user: Always `default`.
        password: Random, the same as long as the folder lives.
        pid: Process that holds the engine.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    pid: int

    @property
    def url(self) -> str:
        """`http://user:password@host:port`; the password needs no quoting."""
        return f"http://{self.user}:{self.password}@{self.host}:{self.port}"


def ensure_running(home: Path, *, timeout_s: float = 60.0) -> ClickHouseEndpoint:
    """Return the local server, starting it if it does not run; safe from many processes at once.

    After a crash it comes back on the same port with the same password if the port is free, so that clients made
    earlier keep working.

    Args:
        home: Folder of all local servers; this one uses `home/clickhouse`.
        timeout_s: Longest wait for a start.

    Raises:
        EmbeddedServerError: chDB is not installed, the folder cannot be written, or the server does not start.
    """
    for package in ("chdb", "lz4", "zstandard"):
        if importlib.util.find_spec(package) is None:
            raise not_installed(package, "ClickHouse")
    folder = server_folder(home, _NAME)
    password = secret(folder)
    record = ensure_server(
        folder,
        answers=lambda found: _answers(found, password),
        launch=lambda port: _launch(home, folder, password, port, timeout_s),
        timeout_s=timeout_s,
    )
    return ClickHouseEndpoint(record.host, record.port, _USER, password, record.pid)


def status(home: Path) -> ServerStatus:
    """Say whether the local server runs, where, and how large its folder is; starts nothing."""
    folder = Path(home).expanduser().resolve() / _NAME
    record = read_record(folder)
    url = None
    if record is not None and is_alive(record) and _answers(record, secret(folder)):
        url = f"http://{_USER}@{record.host}:{record.port}"
    return describe(folder, url, record)


def stop(home: Path) -> bool:
    """Stop the local server: running statements get a few seconds, then it is killed.

    Returns:
        Whether it ran.

    Raises:
        EmbeddedServerError: It cannot be stopped.
    """
    return stop_server(Path(home).expanduser().resolve() / _NAME, signal.SIGTERM, _STOP_GRACE_S)


def _launch(home: Path, folder: Path, password: str, port: int | None, timeout_s: float) -> ServerRecord:
    module = "label_assets.warehouse.embedded.clickhouse_owner"
    arguments = [sys.executable, "-m", module, "--home", str(Path(home).expanduser().resolve())]
    if port:
        arguments += ["--port", str(port)]
    child = spawn(arguments, folder, env={**os.environ, "TZ": "UTC", "PYTHONUNBUFFERED": "1"})
    found: list[ServerRecord] = []

    def ready() -> bool:
        record = read_record(folder)
        if record is None or not is_alive(record) or not _answers(record, password):
            return False
        found.append(record)
        return True

    wait_until_ready(child, folder, ready, timeout_s)
    return found[-1]


def _answers(record: ServerRecord, password: str) -> bool:
    """Ping, and let the server prove that it knows the password, which is not sent."""
    nonce = secrets.token_hex(16)
    connection = http.client.HTTPConnection(record.host, record.port, timeout=_PING_TIMEOUT_S)
    try:
        connection.request("GET", f"/ping?nonce={nonce}")
        response = connection.getresponse()
        given = response.headers.get("X-Label-Assets-Proof", "")
        return response.status == 200 and hmac.compare_digest(given.encode(), proof(password, nonce).encode())
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
