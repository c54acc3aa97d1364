"""ClickHouse for an event loop: a few threads that wait, a bound on who waits for them, outages that are named.

Belongs here: threads, time limits, reconnecting. Does not belong here: statements (`serving.reading`).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import pyarrow as pa

from label_assets.errors import RequestError, WarehouseError
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

LOG = logging.getLogger("label_assets.serving")

P = ParamSpec("P")
T = TypeVar("T")

RECONNECT_S = 1.0
"""Shortest time between two attempts to connect anew after an outage."""

CONNECT_TIMEOUT_S = 2.0


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


client_gone: ContextVar[Callable[[], Coroutine[Any, Any, None]]] = ContextVar("client_gone", default=_never)
"""Returns when the client of a request closed the connection; what was asked for it is not begun then."""


class ClientGoneError(OSError):
    """Nobody waits for the answer any more."""


class Store:
    """The warehouse of one worker, and the threads that ask it."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self.settings = settings
        self.warehouse = Warehouse(settings)
        self.readers = Threads("read", settings.serve.threads, settings.serve.waiting)
        self._lock = Lock()
        self._reconnected = 0.0
        self._tuned: object | None = None

    def close(self) -> None:
        """End the threads and close the connection."""
        self.readers.close()
        self.warehouse.close()

    async def ask(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Run a function that reads from `warehouse` in a thread.

        Raises:
            RequestError: too much is being asked, or there was no answer in time.
            WarehouseError: ClickHouse does not answer.
        """
        try:
            limit_s = self.settings.serve.read_timeout_s
            return await self.readers.run(limit_s, lambda: self.attempt(lambda: function(*arguments, **named)))
        except TimeoutError:
            raise WarehouseError(
                asked="rows of ClickHouse",
                found=f"no answer after {self.settings.serve.read_timeout_s:g} s",
                allowed="an answer within serve.read_timeout_s",
                action="ask again, or for less at once",
            ) from None

    async def query(self, sql: str, **parameters: Any) -> pa.Table:
        """Rows of a statement."""
        return await self.ask(self.warehouse.query_text, sql, **parameters)

    def attempt(self, function: Callable[[], T]) -> T:
        """Run a function that reads from `warehouse`; after a failure let the next one connect anew.

        The address is found out again then: an embedded server that was killed is started by whoever asks for it.
        """
        try:
            self._tune()
            return function()
        except WarehouseError as error:
            with self._lock:
                if time.monotonic() - self._reconnected > RECONNECT_S:
                    LOG.warning("%s", error)
                    self.warehouse.close()
                    self._reconnected = time.monotonic()
            raise

    def _tune(self) -> None:
        """Bound the time that a connection waits, so that threads come back from a server that hangs."""
        client: Any = self.warehouse.client
        if client is not self._tuned:
            from urllib3 import Timeout  # noqa: PLC0415 - it comes with clickhouse-connect, on first use

            client.timeout = Timeout(connect=CONNECT_TIMEOUT_S, read=self.settings.serve.read_timeout_s)
            self._tuned = client


class Threads:
    """Some threads and a bound on who waits for them."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        """Start nothing yet."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = threads + waiting
        self._running = 0

    def close(self) -> None:
        """End the threads after what they are at."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def run(self, limit_s: float, function: Callable[[], T]) -> T:
        """Run a function in a thread. Once begun it runs on, even if nobody waits for it any more.

        Raises:
            RequestError: too many are waiting.
            TimeoutError: it took too long.
            ClientGoneError: the client of this request left.
        """
        if self._running >= self._most:
            raise RequestError(
                kind="overloaded",
                asked="an answer that needs ClickHouse or a computation",
                found=f"{self._running} others wait for one",
                allowed=f"{self._most} at once",
                action="ask again in a second",
            )
        self._running += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, function)
        future.add_done_callback(self._ended)
        gone = asyncio.ensure_future(client_gone.get()())
        try:
            await asyncio.wait((future, gone), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not future.done():
                future.cancel()  # of those that wait for a thread; one that runs goes on
        if future.done() and not future.cancelled():
            return future.result()
        if gone.done() and not gone.cancelled():
            raise ClientGoneError
        raise TimeoutError

    def _ended(self, future: "asyncio.Future[Any]") -> None:
        self._running -= 1
        if not future.cancelled():
            future.exception()  # taken note of: nobody may be waiting any more
