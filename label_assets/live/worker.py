"""A worker: owns instruments, reads their streams, keeps hot path and store going.

An instrument is free, cold (owned, being read from the warehouse) or hot (its stream is read). Its entries that were
delivered and never acknowledged, to whomever, are stored before it becomes hot; so nothing is lost with a worker, and
nothing is done by two at once.

Belongs here: reading, acknowledging, the states. Does not belong here: what entries do (`live.hot`), what is stored
(`live.storing`).
"""

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from queue import Empty
from typing import TYPE_CHECKING, Any

from label_assets.cache.hot import HotCache, open_cache
from label_assets.compute.versions import code_versions
from label_assets.errors import LabelAssetsError, LiveError
from label_assets.live.candle_stream import GROUP, Entry, entries_of, named_outage, open_queue, stream_key
from label_assets.live.hot import HotPath
from label_assets.live.metrics import LiveMetrics
from label_assets.live.ownership import Leases, Ownership
from label_assets.live.shared import Shared
from label_assets.live.storing import Cold, Store
from label_assets.live.tail import MOST_ADDED
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings

if TYPE_CHECKING:
    from redis import Redis


LOG = logging.getLogger("label_assets.live")

BLOCK_MS = 50
"""Longest wait for entries; what the store hands over waits as long."""

OUTAGE_PAUSE_S = 0.2
CLAIM_COUNT = 1000


class Worker:
    """One worker of the live engine."""

    def __init__(self, settings: Settings, worker_id: str | None = None) -> None:
        """Name it; nothing is opened before `run`."""
        self.settings = settings
        self.worker_id = worker_id or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.metrics = LiveMetrics()
        self._names = [instrument.name for instrument in settings.instruments]
        self._keys = {name: stream_key(settings, name) for name in self._names}
        self._by_key = {key.encode(): name for name, key in self._keys.items()}
        self._ownership = Ownership(settings, self.worker_id, self._names)
        self._stopping = threading.Event()
        self._queue: Redis | None = None
        self._owned: set[str] = set()
        self._leaving: set[str] = set()
        self._next_tending = 0.0
        self._next_trimming = time.monotonic() + 60

    def stop(self) -> None:
        """Ask it to end: what was read is stored, and its instruments are given up."""
        self._stopping.set()

    def run(self) -> None:
        """Work until `stop`.

        Raises:
            LiveError: the queue cannot be opened at start, or the store ended by an error.
        """
        self._queue = open_queue(self.settings)
        cache = open_cache(self.settings)
        label_version = code_versions(self.settings)["labels"]
        idle = threading.Event()
        idle.set()
        calendar = SessionCalendar(self.settings.session_open)
        shared = Shared(self.settings, calendar, cache, label_version, self.metrics, idle)
        hot = HotPath(shared)
        store = Store(shared, self._acknowledge, lambda: self._ownership.is_sure)
        store.start()
        LOG.info("worker %s began", self.worker_id)
        try:
            while not self._stopping.is_set():
                try:
                    self._turn(hot, store)
                except LiveError as error:
                    LOG.warning("the queue does not answer, again in %.1f s: %s", OUTAGE_PAUSE_S, error.found)
                    # An answer may have been lost with its entries: they are pending, and claimed with the others.
                    self._lose(hot, store, set(self._owned))
                    self._next_tending = 0.0
                    self._stopping.wait(OUTAGE_PAUSE_S)
                    self._reopen()
                if not store.is_alive():
                    raise LiveError(
                        asked="a worker that stores what it computes",
                        found="its store ended by an error, which the log above shows",
                        allowed="outages of ClickHouse, and nothing else",
                        action="report this; another worker, or this one started anew, repeats what was not stored",
                    )
        finally:
            store.stop()
            self._end(cache)
            LOG.info("worker %s ended", self.worker_id)

    def _turn(self, hot: HotPath, store: Store) -> None:
        """Tend leases when it is time, take in what the store hands over, read once."""
        with named_outage():
            if time.monotonic() >= self._next_tending:
                self._tend(hot, store)
            self._take_ready(hot, store)
            entries = self._read(hot, store)
        if not self._ownership.is_sure:
            # Read, but perhaps another's by now: they stay pending, and whoever has the lease does them.
            self._lose(hot, store, set(hot.instruments))
            self._next_tending = 0.0
            return
        taken = hot.take(entries)
        store.add(taken.appended, taken.rejections, taken.settled)
        for name, corrections in taken.corrections.items():
            del hot.instruments[name]
            store.warm(Cold(name, corrections))
        if hot.cache_failed:
            hot.cache_failed = False
            store.mending.failed.set()

    def _tend(self, hot: HotPath, store: Store) -> None:
        queue = self._opened()
        if not self._ownership.is_sure and self._owned:
            self._lose(hot, store, set(self._owned))
        leases = self._ownership.tend(queue, take=not self._stopping.is_set())
        self._next_tending = time.monotonic() + self.settings.live.lease_s / 4
        held = set(leases.held)
        self._lose(hot, store, self._owned - held)
        for name in leases.held:
            if name not in self._owned:
                self._owned.add(name)
                store.warm(Cold(name, self._claim(name), is_unfinished=True))
        self._give_up_surplus(hot, store, leases)
        self.metrics.instruments.set(len(self._owned))
        if time.monotonic() >= self._next_trimming:
            self._next_trimming = time.monotonic() + 60
            self._trim()

    def _lose(self, hot: HotPath, store: Store, names: set[str]) -> None:
        for name in names:
            LOG.info("%s is no longer served here; what is not stored is pending for whoever serves it next", name)
            hot.instruments.pop(name, None)
            store.forget(name)
            self._owned.discard(name)
            self._leaving.discard(name)

    def _give_up_surplus(self, hot: HotPath, store: Store, leases: Leases) -> None:
        """Stop reading what is more than a fair share, and give it up once it is stored."""
        surplus = len(leases.held) - leases.share
        for name in reversed(leases.held):
            if len(self._leaving) >= max(0, surplus):
                break
            if name in hot.instruments:
                del hot.instruments[name]
                self._leaving.add(name)
        done = {name for name in self._leaving if not store.has(name)}
        if done:
            self._ownership.release(self._opened(), done)
            for name in done:
                store.forget(name)
            self._owned -= done
            self._leaving -= done

    def _take_ready(self, hot: HotPath, store: Store) -> None:
        with contextlib.suppress(Empty):
            while True:
                name, ready = store.ready.get_nowait()
                if name not in self._owned or name in self._leaving:
                    continue
                if ready is None:  # somebody else wrote its raw candles
                    hot.instruments.pop(name, None)
                    store.warm(Cold(name))
                else:
                    hot.instruments[name] = ready

    def _read(self, hot: HotPath, store: Store) -> list[Entry]:
        room = MOST_ADDED - self.settings.live.read_count
        is_full = store.unstored() >= self.settings.live.most_unstored
        asked: dict[Any, Any] = {
            self._keys[name]: ">" for name in hot.instruments if not is_full and store.unstored(name) < room
        }
        if not asked:
            self._stopping.wait(BLOCK_MS / 1000)
            return []
        answer: Any = self._opened().xreadgroup(
            GROUP, self.worker_id, asked, count=self.settings.live.read_count, block=BLOCK_MS
        )
        return [entry for key, found in answer or [] for entry in entries_of(self._by_key[key], found)]

    def _claim(self, name: str) -> list[Entry]:
        """Entries of a stream that were delivered and not acknowledged, in order; they are this worker's now."""
        from redis import ResponseError  # noqa: PLC0415

        queue, key = self._opened(), self._keys[name]
        try:
            queue.xgroup_create(key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        claimed: list[Entry] = []
        start: Any = "0-0"
        while True:
            answer: Any = queue.xautoclaim(key, GROUP, self.worker_id, 0, start, CLAIM_COUNT)
            start, found = answer[0], answer[1]
            claimed += entries_of(name, found)
            trimmed = [entry_id for entry_id, fields in found if fields is None]
            if trimmed:
                queue.xack(key, GROUP, *trimmed)
            if start in (b"0-0", "0-0"):
                return claimed

    def _acknowledge(self, name: str, entry_ids: Sequence[str]) -> None:
        """Called by the store, in its thread; connections of Redis' client are shared between threads."""
        if entry_ids:
            with named_outage():
                self._opened().xack(self._keys[name], GROUP, *entry_ids)

    def _trim(self) -> None:
        """Forget entries that everybody has acknowledged and that are old."""
        queue = self._opened()
        old = f"{int((time.time() - self.settings.live.retention_s) * 1000)}-0"
        for name in self._owned:
            pending: Any = queue.xpending(self._keys[name], GROUP)
            oldest = pending["min"].decode() if pending["pending"] else old
            groups: Any = queue.xinfo_groups(self._keys[name])
            delivered = min((group["last-delivered-id"].decode() for group in groups), key=_id_parts, default=old)
            limit = min(old, oldest, delivered, key=_id_parts)
            queue.xtrim(self._keys[name], minid=limit, approximate=True)

    def _opened(self) -> "Redis":
        if self._queue is None:
            raise LiveError(
                asked="a connection to the queue",
                found="none is open",
                allowed="a running worker",
                action="call run",
            )
        return self._queue

    def _reopen(self) -> None:
        """The embedded server is started again if it ended; another one answers at its address or does not."""
        with contextlib.suppress(LabelAssetsError):
            self._queue = open_queue(self.settings)

    def _end(self, cache: HotCache | None) -> None:
        with contextlib.suppress(LiveError), named_outage():
            self._ownership.release(self._opened(), self._owned, is_end=True)
        if cache is not None:
            cache.close()
        if self._queue is not None:
            self._queue.close()


def _id_parts(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
