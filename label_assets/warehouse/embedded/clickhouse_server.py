"""The listening server: what its connections share, and the watch over statements whose client has left."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from label_assets.warehouse.embedded.clickhouse_engine import Engine, EngineError
from label_assets.warehouse.embedded.clickhouse_sessions import SessionStore

_LOG = logging.getLogger(__name__)
_WATCH_INTERVAL_S = 0.25


class ClickHouseServer(ThreadingHTTPServer):
    """The listening server with what its requests share."""

    daemon_threads = True
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        engine: Engine,
        password: str,
        max_queries: int,
    ) -> None:
        """Bind and listen; `max_queries` statements run at once, more wait for a place."""
        self.engine = engine
        self.password = password
        self.sessions = SessionStore(engine)
        self.slots = threading.BoundedSemaphore(max_queries)
        self.leaving = threading.Event()
        self._running: dict[str, socket.socket | None] = {}
        self._running_lock = threading.Lock()
        super().__init__(address, handler)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of the standard library, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what a connection's thread raised; a client that left is no error."""
        _LOG.debug("connection %s ended", client_address, exc_info=True)

    @property
    def running(self) -> int:
        """Number of statements that run."""
        return len(self._running)

    @contextlib.contextmanager
    def registered(self, query_id: str) -> Iterator[None]:
        """Hold the query id while a statement runs.

        Raises:
            EngineError: 216 if a statement of this id runs already.
        """
        with self._running_lock:
            if query_id in self._running:
                raise EngineError.of(
                    216, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", f"Query with id = {query_id} is already running"
                )
            self._running[query_id] = None
        try:
            yield
        finally:
            with self._running_lock:
                self._running.pop(query_id, None)

    def watch(self, query_id: str, connection: socket.socket | None) -> None:
        """Kill this statement if the client on this connection leaves; None ends the watch."""
        with self._running_lock:
            if query_id in self._running:
                self._running[query_id] = connection

    def _watch(self) -> None:
        """Look after abandoned statements and old sessions."""
        while not self.leaving.wait(_WATCH_INTERVAL_S):
            self.sessions.expire()
            self._kill_reads(_has_left)

    def kill_reads(self) -> None:
        """Kill every statement that only reads: the server is leaving."""
        self._kill_reads(lambda _: True)

    def _kill_reads(self, condition: Callable[[socket.socket], bool]) -> None:
        with self._running_lock:
            found = [name for name, peer in self._running.items() if peer is not None and condition(peer)]
        for name in found:
            with contextlib.suppress(EngineError):
                self.engine.kill(name)


def _has_left(connection: socket.socket) -> bool:
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except (OSError, ValueError):
        return True
