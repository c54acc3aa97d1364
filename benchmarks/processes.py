"""Memory and CPU time of every process of a home, looked at while something runs.

Belongs here: which processes these are, of which kind, and what they used. Does not belong here: starting them.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

POLL_S = 0.25
LOOK_FOR_NEW_S = 1.0

KINDS = (
    ("dagster_webserver", "Dagster UI"),
    ("dagster._daemon", "Dagster daemon"),
    ("dagster api grpc", "Dagster code server"),
    ("dagster code-server", "Dagster code server"),
    ("dagster dev", "dagster dev"),
    ("multiprocessing.forkserver", "Dagster run"),
    ("main() dev", "label-assets dev"),
    ("label_assets.cli materialize", "run"),
    ("label_assets.cli live", "live worker"),
    ("label_assets.cli serve", "API"),
    ("clickhouse_owner", "ClickHouse"),
    ("redis-server", "Redis"),
    ("benchmarks", "the benchmark itself"),
    ("postgres", "PostgreSQL"),
)
"""What a command line contains, and what such a process is called; the first that fits. PostgreSQL is last, for the
command lines of Dagster's processes name its address."""


def kind_of(command: str) -> str:
    """What a process is, by its command line."""
    return next((kind for text, kind in KINDS if text in command), "other")


def processes_of(home: Path) -> Iterator[psutil.Process]:
    """Processes that know a home by environment, arguments or folder."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and (
                str(home) in " ".join(process.cmdline())
                or process.cwd().startswith(str(home))
                or str(home) in process.environ().get("LABEL_ASSETS_HOME", "")
            ):
                yield process


def cpu_of_servers(home: Path) -> float:
    """CPU time that all processes of a home but this one have used until now, ended children included [s]."""
    total = 0.0
    for process in processes_of(home):
        with suppress(psutil.Error):
            if process.pid != os.getpid():
                total += sum(process.cpu_times()[:4])  # its own in user and kernel mode, then its ended children's
    return total


def peak_rss_here() -> int:
    """Most resident memory that this process ever had [bytes]."""
    return peak_rss_of(psutil.Process())


def peak_rss_of(process: psutil.Process) -> int:
    """As the kernel counts it, so that no peak lies between two looks."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return int(process.memory_info().rss)


class Watch(threading.Thread):
    """Looks at the processes of a home four times a second.

    A process that lives shorter than a second may be missed; the last quarter of a second of others is.

    Attributes:
        peak_rss: Most resident memory of any process of a kind [bytes].
        series: Of each kind, the largest process over time: seconds and bytes.
        cpu_s: CPU time since the start of the watch, by kind [s].
    """

    def __init__(self, home: Path) -> None:
        """Nothing is looked at before `start`."""
        super().__init__(daemon=True)
        self.home = home
        self.peak_rss: dict[str, int] = {}
        self.series: dict[str, list[tuple[float, float]]] = {}
        self._known: dict[psutil.Process, str] = {}
        self._first_cpu: dict[psutil.Process, float] = {}
        self._last_cpu: dict[psutil.Process, float] = {}
        self._stopping = threading.Event()
        self._since = time.monotonic()
        self._next_look = 0.0

    def run(self) -> None:
        """Look until `end`."""
        while not self._stopping.wait(POLL_S):
            self.look()

    def end(self) -> None:
        """Look once more, and stop."""
        self._stopping.set()
        self.join()
        self._next_look = 0.0
        self.look()

    @property
    def cpu_s(self) -> dict[str, float]:
        """CPU time by kind [s]; all of it of a process that began meanwhile."""
        found: dict[str, float] = {}
        for process, last in self._last_cpu.items():
            kind = self._known[process]
            found[kind] = found.get(kind, 0.0) + last - self._first_cpu[process]
        return found

    def look(self) -> None:
        """One look."""
        now = time.monotonic()
        if now >= self._next_look:
            self._find_new(now)
        largest: dict[str, int] = {}
        for process, kind in list(self._known.items()):
            try:
                with process.oneshot():
                    cpu, rss = process.cpu_times(), process.memory_info().rss
                    peak = peak_rss_of(process)
            except psutil.Error:
                continue
            self._last_cpu[process] = cpu.user + cpu.system
            self.peak_rss[kind] = max(self.peak_rss.get(kind, 0), peak)
            largest[kind] = max(largest.get(kind, 0), rss)
        for kind, rss in largest.items():
            self.series.setdefault(kind, []).append((now - self._since, float(rss)))

    def _find_new(self, now: float) -> None:
        is_first = not self._known
        self._next_look = now + LOOK_FOR_NEW_S
        for process in processes_of(self.home):
            if process in self._known:
                continue
            with suppress(psutil.Error):
                kind = kind_of(" ".join(process.cmdline()) or process.name())
                cpu = process.cpu_times()
                self._known[process] = kind
                self._first_cpu[process] = cpu.user + cpu.system if is_first else 0.0
                self._last_cpu[process] = cpu.user + cpu.system


@contextmanager
def watching(home: Path) -> Iterator[Watch]:
    """A watch that looks while the body runs."""
    watch = Watch(home)
    watch.look()
    watch.start()
    try:
        yield watch
    finally:
        watch.end()


def end_processes(home: Path) -> list[str]:
    """Kill whatever of a home still runs; returns what it was.

    Never this process itself.
    """
    left = [process for process in processes_of(home) if process.pid != os.getpid()]
    names = []
    for process in left:
        with suppress(psutil.Error):
            names.append(kind_of(" ".join(process.cmdline()) or process.name()))
            process.kill()
    psutil.wait_procs(left, 10)
    return names
