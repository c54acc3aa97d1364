"""Processes of runs begin with everything imported, and share no thread or connection with where they come from."""

import inspect
import os
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
from dagster._grpc.server import DagsterApiServer

from label_assets.warm_runs import keep_warm


def tell(answers: Any) -> None:
    """What a process of a run finds when it begins."""
    parent = psutil.Process(os.getppid())
    answers.put(
        {
            "modules": set(sys.modules),
            "threads": threading.active_count(),
            "parent's threads": [path.read_text().strip() for path in Path(f"/proc/{parent.pid}/task").glob("*/comm")],
            "parent's connections": len(parent.net_connections("inet")),
        }
    )


def test_dagster_still_makes_processes_so() -> None:
    assert "self._mp_ctx.Process(" in inspect.getsource(DagsterApiServer.StartRun)


def test_a_run_begins_with_what_it_needs() -> None:
    keep_warm()
    context = vars(DagsterApiServer)["_mp_ctx"].fget(None)
    answers = context.SimpleQueue()
    process = context.Process(target=tell, args=(answers,))
    process.start()
    found = answers.get()
    process.join(60)
    assert process.exitcode == 0
    assert {"label_assets.definitions", "matplotlib.pyplot", "dagster_postgres", "redis"} <= found["modules"]
    assert (found["threads"], found["parent's connections"]) == (1, 0)
    # What is not Python's main thread belongs to Arrow's allocator, which is prepared for copies.
    assert len([name for name in found["parent's threads"] if not name.startswith("jemalloc")]) == 1
