"""The process that holds chDB: `python -m label_assets.warehouse.embedded.clickhouse_owner --home …`.

It holds one folder for as long as it lives, answers on one loopback port, and leaves in order on SIGTERM. It ends
through os._exit, because the engine's threads outlive Python's own end and crash in it.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from label_assets.warehouse.embedded.lifecycle import (
    LOOPBACK,
    ServerRecord,
    free_port,
    secret,
    server_folder,
    try_lock,
    wait_for,
    write_record,
)
from label_assets.warehouse.embedded.processes import process_identity

MEMORY_RATIO = 0.5
MAX_QUERIES = 32
_LOG = logging.getLogger("clickhouse_owner")
_OWNER_LOCK_PATIENCE_S = 30.0
_WRITES_GRACE_S = 8.0
_KILL_GRACE_S = 2.0


def main() -> None:
    """Run the server until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of all local servers")
    parser.add_argument("--port", type=int, default=0, help="port to prefer; another one is taken if it is not free")
    parser.add_argument("--max-queries", type=int, default=MAX_QUERIES, help="statements that run at once")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    faulthandler.enable()  # a crash inside the engine then leaves its stack in the log
    os.umask(0o077)
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder = server_folder(arguments.home, "clickhouse")
    lock = os.open(folder / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not wait_for(lambda: try_lock(lock), _OWNER_LOCK_PATIENCE_S):
        sys.exit(f"another process holds {folder}")
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    try:
        _serve(folder, arguments.port, arguments.max_queries, leave)
    except Exception as error:  # noqa: BLE001
        _LOG.exception("the server cannot run")
        # chDB's message holds fifty lines of stack; the reader of the end of this log needs the first one.
        _LOG.error("the server cannot run: %s: %s", type(error).__name__, str(error).partition(", Stack trace")[0])
        logging.shutdown()
        os._exit(1)
    logging.shutdown()
    os._exit(0)


def _serve(folder: Path, port: int, max_queries: int, leave: threading.Event) -> None:
    from label_assets.warehouse.embedded.clickhouse_engine import Engine  # noqa: PLC0415
    from label_assets.warehouse.embedded.clickhouse_http import ClickHouseHandler  # noqa: PLC0415
    from label_assets.warehouse.embedded.clickhouse_server import ClickHouseServer  # noqa: PLC0415

    engine = Engine(folder / "data", MEMORY_RATIO)
    for number in (signal.SIGTERM, signal.SIGINT):  # chDB may have put its own in their place
        signal.signal(number, lambda *_: leave.set())
    free = free_port(port)
    server = ClickHouseServer((LOOPBACK, free), ClickHouseHandler, engine, secret(folder), max_queries)
    threading.Thread(target=server.serve_forever, args=(0.1,), name="accept", daemon=True).start()
    pid = os.getpid()
    identity = process_identity(pid) or ""
    write_record(folder, ServerRecord(LOOPBACK, server.server_port, pid, identity, time.time(), engine.version))
    _LOG.info(
        "ClickHouse %s on %s:%d, process %d, data in %s", engine.version, LOOPBACK, server.server_port, pid, folder
    )
    leave.wait()
    _LOG.info("leaving")
    server.leaving.set()
    server.shutdown()
    server.server_close()
    server.kill_reads()
    if not wait_for(lambda: server.running == 0, _WRITES_GRACE_S):
        engine.kill_all()
        wait_for(lambda: server.running == 0, _KILL_GRACE_S)
    server.sessions.expire(everything=True)
    engine.close()
    _LOG.info("left")


if __name__ == "__main__":
    main()
