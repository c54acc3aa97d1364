"""Brings to the hot cache what a write did not, from ClickHouse: the log of writes to resume is ClickHouse itself.

A write that failed is in the batch that ClickHouse takes next, or in one before, so once that is stored the rows are
read from there. A Redis that was started anew is empty, whether a write failed or not; it tells by its `run_id`.
Rows that Redis evicted are not brought back: what is used least makes room, and reads find them in ClickHouse.

Belongs here: when the cache is mended. Does not belong here: what is read (`cache.warming`).
"""

import contextlib
import logging
import threading
import time
from collections.abc import Sequence

from label_assets.cache.hot import HotCache, cache_url
from label_assets.cache.warming import sync
from label_assets.errors import CacheUnavailableError, EmbeddedServerError
from label_assets.warehouse.client import Warehouse

LOG = logging.getLogger("label_assets.live")

PAUSE_S = 1.0
"""Pause between attempts: each may take as long as the timeout of Redis."""


class CacheMending:
    """State of one worker's cache. For the store's thread; `failed` for any."""

    def __init__(self, cache: HotCache | None, warehouse: Warehouse) -> None:
        """Keep what is used; nothing is asked yet."""
        self.failed = threading.Event()
        """Set by whoever could not write to the cache, after the rows were handed to the store."""
        self._cache = cache
        self._warehouse = warehouse
        self._is_due = False
        self._run_id = ""
        self._next_look = 0.0
        self._next_attempt = 0.0

    def begin_batch(self) -> None:
        """The store takes a batch now: all rows of writes that have failed are in it, or stored."""
        if self.failed.is_set():
            self.failed.clear()
            self._is_due = True

    def look(self) -> None:
        """Ask Redis, every `cache.sync_s` at most, whether it still is the one that was filled."""
        if self._cache is None or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + self._cache.settings.cache.sync_s
        try:
            run_id = str(self._cache.run("INFO", "server")["run_id"])
        except CacheUnavailableError:
            with contextlib.suppress(EmbeddedServerError):  # one of our own is started again, perhaps elsewhere
                if url := cache_url(self._cache.settings):
                    self._cache.move_to(url)
            return  # when it is back it has another one
        if self._run_id and run_id != self._run_id:
            LOG.warning("Redis was started anew: the hot cache is filled again")
            self._is_due = True
        self._run_id = run_id

    def mend(self, instruments: Sequence[str]) -> None:
        """Bring what was not written, of some instruments, if all of it is in ClickHouse; otherwise do nothing.

        Raises:
            WarehouseError: ClickHouse does not answer; it is done the next time.
        """
        if self._cache is None or not self._is_due or time.monotonic() < self._next_attempt:
            return
        try:
            done = sync(self._cache, self._warehouse, instruments)
        except CacheUnavailableError:
            self._next_attempt = time.monotonic() + PAUSE_S
            return
        self._is_due = False
        LOG.info("the hot cache is in step again: %d rows of %d sections were written", done.changed, done.sections)

    def fill(self, instrument_id: str) -> None:
        """Bring an instrument that is about to be served.

        Raises:
            WarehouseError: ClickHouse does not answer.
        """
        if self._cache is None:
            return
        try:
            sync(self._cache, self._warehouse, [instrument_id])
        except CacheUnavailableError:
            self._is_due = True
