"""The commands `label-assets live` and `label-assets feed`.

Belongs here: processes, signals, what is printed. Does not belong here: what a worker does (`live.worker`).
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from prometheus_client import start_http_server

from label_assets.compute.source import configured_source
from label_assets.errors import LiveError
from label_assets.live.compilation import compile_live_kernels
from label_assets.live.feed import Fed, feed
from label_assets.live.worker import Worker
from label_assets.settings import Settings

LOG = logging.getLogger("label_assets.live")

RESTART_PAUSE_S = 1.0
PARENT_LOOK_S = 1.0


def run_worker(settings: Settings, number: int) -> int:
    """One worker in this process, until it is asked to end.

    Args:
        settings: The settings.
        number: Its number among the workers of this machine, from 0: the port of its metrics follows from it.

    Returns:
        Exit code.
    """
    _log_to_stderr()
    # Without this a thread may hold the interpreter for 5 ms while a candle waits.
    sys.setswitchinterval(0.0005)
    compile_live_kernels(settings)
    worker = Worker(settings)
    _on_signals(worker.stop)
    if settings.live.metrics_port:
        _show_metrics(settings, number, worker)
    worker.run()
    return 0


def run_child(settings: Settings, number: int) -> int:
    """As `run_worker`, in a process that `run_live` started: it ends when that one does, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
    return run_worker(settings, number)


def run_live(settings: Settings, workers: int) -> int:
    """Workers of this machine, each a process; one that dies is started anew.

    Returns:
        Exit code.
    """
    if workers == 1:
        return run_worker(settings, 0)
    _log_to_stderr()
    stopping = threading.Event()
    _on_signals(stopping.set)
    compile_live_kernels(settings)  # here once, or every worker would
    running = [_start(number) for number in range(workers)]
    LOG.info("%d workers: processes %s", workers, ", ".join(str(process.pid) for process in running))
    while not stopping.wait(0.2):
        for number, process in enumerate(running):
            if process.poll() is not None:
                LOG.error("worker %d ended with exit code %s; another takes its place", number, process.returncode)
                time.sleep(RESTART_PAUSE_S)
                running[number] = _start(number)
    for process in running:
        process.send_signal(signal.SIGTERM)
    return max(abs(process.wait()) for process in running)


def run_feed(
    settings: Settings,
    instruments: Sequence[str],
    time_range: tuple[int, int],
    *,
    candles_per_second: float,
    speed: float,
) -> Fed:
    """Replay the configured source into the streams."""
    _log_to_stderr()
    source = configured_source(settings)
    return feed(settings, source, instruments, time_range, candles_per_second=candles_per_second, speed=speed)


def _show_metrics(settings: Settings, number: int, worker: Worker) -> None:
    host, port = settings.live.metrics_host, settings.live.metrics_port + number
    try:
        start_http_server(port, host, worker.metrics.registry)
    except OSError as error:
        raise LiveError(
            asked=f"metrics of worker {number} at http://{host}:{port}/metrics",
            found=f"the address cannot be used: {error.strerror}",
            allowed="a free port for each worker, from LABEL_ASSETS_LIVE__METRICS_PORT on",
            action="end what uses it, such as another `label-assets live`, or set another port, or 0 for no metrics",
        ) from error
    LOG.info("metrics at http://%s:%d/metrics", host, port)


def _start(number: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "label_assets.cli", "live", "--worker", str(number)])


def _on_signals(stop: Callable[[], None]) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
