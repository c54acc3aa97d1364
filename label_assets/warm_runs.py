"""Processes of runs that need not import anything: copies of one that has.

Dagster's code server starts a new interpreter for each run. To import Dagster, pandas, clickhouse-connect and the
compiled kernels took it 7 of the 12 CPU seconds of a run over one instrument's year. Python's own `forkserver` does it
once: a process without connections, and without threads but the allocator's, imports `label_assets.preloaded` and
copies itself for each run. It belongs to its code server: a reloaded code location has its own, with the new code.

Belongs here: how the code server makes processes. Does not belong here: what is imported (`preloaded`), launchers.
"""

import multiprocessing
import sys
from typing import Any

PRELOADED = "label_assets.preloaded"


def keep_warm() -> None:
    """Where this process is a code server: let it copy its runs from a process that is ready."""
    server = sys.modules.get("dagster._grpc.server")
    if server is None or "forkserver" not in multiprocessing.get_all_start_methods():
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])

    def get(_: Any) -> Any:
        return context

    def ignore(_: Any, __: Any) -> None:
        """Dagster sets its own when the server is made."""

    server.DagsterApiServer._mp_ctx = property(get, ignore)
