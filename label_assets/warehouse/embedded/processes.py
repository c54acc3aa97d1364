"""Detached processes: start one, and recognise it later although pids are used again."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from label_assets.errors import EmbeddedServerError

_LOG_LIMIT_BYTES = 8 * 1024 * 1024
_LOG_TAIL_LINES = 25

# Popen objects of servers that this process started: polled so that a server that died is not left a zombie.
_children: dict[int, subprocess.Popen[bytes]] = {}


def process_identity(pid: int) -> str | None:
    """Return what tells this process from any other that had or will have its pid; None if it does not live.

    On Linux: boot id and start in clock ticks. Elsewhere: start in seconds. A zombie does not live.
    """
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        # The fields after the name, which may itself hold spaces and brackets; the 20th of them is the start.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{fields[19]}"
    except (psutil.Error, ProcessLookupError):
        return None
    except OSError:
        return _portable_identity(pid)


def _portable_identity(pid: int) -> str | None:
    try:
        return f"epoch:{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None


def spawn(
    arguments: Sequence[str], folder: Path, env: Mapping[str, str] | None = None, user: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one; its output goes to `server.log` in the folder.

    Args:
        arguments: Program and arguments.
        folder: Folder of the server, also its working directory.
        env: Environment; by default that of this process.
        user: Numeric user to become, if this process is root and the server may not be.
    """
    log = folder / "server.log"
    try:
        if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
            log.replace(folder / "server.log.1")
        with log.open("ab") as output:
            log.chmod(0o600)
            child = subprocess.Popen(
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=None if env is None else dict(env),
                start_new_session=True,
                user=user,
                group=user and _group_of(user),
                extra_groups=None if user is None else [],
            )
    except OSError as error:
        raise EmbeddedServerError(
            asked=f"the local {folder.name} server as {arguments[0]}",
            found=f"{error.strerror or error} ({type(error).__name__})",
            allowed="a program that this user may run and a folder that it may write",
            action=f"check the rights of {arguments[0]} and the free space of {folder}",
        ) from error
    _children[child.pid] = child
    return child


def _group_of(user: int) -> int:
    import pwd  # noqa: PLC0415  absent on Windows, needed by root only

    return pwd.getpwuid(user).pw_gid


def log_tail(folder: Path) -> str:
    """Return the last lines of the server's log, for error messages."""
    try:
        lines = (folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(lines[-_LOG_TAIL_LINES:]) or "(empty log)"
