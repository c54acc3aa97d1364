"""Everything that waits for ClickHouse, in a thread of its own: batches, restatements, warm starts.

An entry is acknowledged once ClickHouse holds its candle and all that it changes, and not before. Until then it is
pending in its stream, and whoever serves the instrument next does it again; every write may be repeated.

Belongs here: when what is written, what follows a failure. Does not belong here: rows (`live.rows`,
`live.restating`), streams (`live.worker`).
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import pyarrow as pa
from urllib3.exceptions import HTTPError

from label_assets.catalog.granularities import DAY_S
from label_assets.catalog.tables import PATH_WINDOWS, RAW_CANDLES, REJECTED_CANDLES
from label_assets.compute.candles import rejected_rows
from label_assets.errors import LiveError, WarehouseError
from label_assets.kernels.arrays import Candles
from label_assets.live.candle_stream import Entry
from label_assets.live.foreign import ForeignWrites
from label_assets.live.hot import HotInstrument
from label_assets.live.intake import Rejection, take_in
from label_assets.live.mending import CacheMending
from label_assets.live.restating import Restatement
from label_assets.live.rows import Appended, Parts, appended_parts
from label_assets.live.shared import Shared
from label_assets.live.statistics import ChangedDays
from label_assets.live.warm import warm_tail
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

LOG = logging.getLogger("label_assets.live")

OUTAGES = (WarehouseError, OSError, HTTPError, pa.ArrowException)
"""What a ClickHouse that dies in the middle of an answer looks like."""

_STATISTICS_S = 35 * DAY_S

INSTRUMENTS_AT_ONCE = 8
"""Rows of so many are made between two looks at whether candles wait."""

LONGEST_WAIT_S = 0.05
"""So long candles are let pass, that a stream without an end does not keep ClickHouse waiting."""

LONGEST_PAUSE_S = 5.0
"""Longest pause after failures of ClickHouse; the first is a tenth of a second."""


@dataclass(frozen=True)
class Cold:
    """An instrument that is to be read from the warehouse before the hot path may serve it.

    Attributes:
        instrument_id: The instrument.
        entries: Entries that are to be stored before, in order.
        is_unfinished: Another worker may have stored them in part.
    """

    instrument_id: str
    entries: Sequence[Entry] = ()
    is_unfinished: bool = False


class _LeaseInDoubtError(Exception):
    """Somebody else may serve the instruments of a batch by now."""


@dataclass
class _Batch:
    """What ClickHouse is to take next."""

    appended: dict[str, Appended] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    settled: dict[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.appended or self.rejections or self.settled)

    def drop(self, instrument_id: str) -> None:
        self.appended.pop(instrument_id, None)
        self.settled.pop(instrument_id, None)

    def extend(self, later: "_Batch") -> None:
        for name, appended in later.appended.items():
            if name in self.appended:
                self.appended[name].extend(appended)
            else:
                self.appended[name] = appended
        self.rejections += later.rejections
        for name, entry_ids in later.settled.items():
            self.settled.setdefault(name, []).extend(entry_ids)


class Store:
    """The thread that writes to ClickHouse."""

    def __init__(
        self, shared: Shared, acknowledge: Callable[[str, Sequence[str]], None], is_sure: Callable[[], bool]
    ) -> None:
        """Keep what is used; nothing is opened before `start`.

        Args:
            shared: What all parts of the worker use.
            acknowledge: Acknowledges entries of an instrument; raises LiveError if the queue does not answer.
            is_sure: Whether the worker surely still owns its instruments.
        """
        self.ready: SimpleQueue[tuple[str, HotInstrument | None]] = SimpleQueue()
        self._shared = shared
        self._settings = shared.settings
        self._metrics = shared.metrics
        self._acknowledge = acknowledge
        self._is_sure = is_sure
        self._warehouse = Warehouse(self._settings)
        self.mending = CacheMending(shared.cache, self._warehouse)
        self._restatement = Restatement(self._warehouse, shared)
        self._days = ChangedDays(self._warehouse, self._settings)
        self._foreign = ForeignWrites(self._warehouse, self._settings)
        self._condition = threading.Condition()
        self._batch = _Batch()
        self._since = 0.0
        self._cold: dict[str, Cold] = {}
        self._stopping = False
        self._unstored: dict[str, int] = {}
        self._acks: dict[str, list[str]] = {}
        self._forgotten: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Store what there is, then end; what cannot be stored in time stays pending in its stream."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout=30)

    def is_alive(self) -> bool:
        """Whether the thread runs; it ends by itself only by an error that is a fault of the program."""
        return self._thread.is_alive()

    def unstored(self, instrument_id: str | None = None) -> int:
        """Candles that ClickHouse has not taken yet, of one instrument or of all."""
        with self._condition:
            return sum(self._unstored.values()) if instrument_id is None else self._unstored.get(instrument_id, 0)

    def has(self, instrument_id: str) -> bool:
        """Whether anything of an instrument is still to be stored or acknowledged."""
        with self._condition:
            return (
                self._unstored.get(instrument_id, 0) > 0
                or instrument_id in self._batch.settled
                or instrument_id in self._cold
                or instrument_id in self._acks
            )

    def add(
        self, appended: Mapping[str, Appended], rejections: Sequence[Rejection], settled: Mapping[str, list[str]]
    ) -> None:
        """Hand over what the hot path did; it is stored within `flush_s` if ClickHouse answers."""
        batch = _Batch(dict(appended), list(rejections), {name: list(ids) for name, ids in settled.items()})
        if not batch:
            return
        with self._condition:
            if not self._batch:
                self._since = time.monotonic()
            self._batch.extend(batch)
            for name, item in appended.items():
                self._unstored[name] = self._unstored.get(name, 0) + len(item.entry_ids)
            self._metrics.unstored.set(sum(self._unstored.values()))
            self._condition.notify()

    def warm(self, cold: Cold) -> None:
        """Read an instrument from the warehouse, after storing what comes before; it arrives in `ready`."""
        with self._condition:
            self._cold[cold.instrument_id] = cold
            self._condition.notify()

    def forget(self, instrument_id: str) -> None:
        """Drop what is not stored of an instrument that somebody else serves now: it is pending for them."""
        with self._condition:
            self._batch.drop(instrument_id)
            self._cold.pop(instrument_id, None)
            self._unstored.pop(instrument_id, None)
            self._forgotten.add(instrument_id)
        self._foreign.forget(instrument_id)

    def _run(self) -> None:
        pause_s = 0.1
        while True:
            with self._condition:
                self._condition.wait_for(self._is_due, timeout=min(0.2, self._settings.live.flush_s))
                is_last = self._stopping
                due = self._is_due()
            try:
                if due or is_last:
                    self._flush()
                    self._acknowledge_stored()
                    self._warm_one()
                self._mend_cache()
                self._days.write(now=is_last)
                for name in self._foreign.changed():
                    self.ready.put((name, None))
                pause_s = 0.1
            except OUTAGES as error:
                self._metrics.store_failures.inc()
                LOG.warning("ClickHouse takes nothing, again in %.1f s: %s", pause_s, error)
                if is_last:
                    return
                self._warehouse.close()  # the embedded server may have another address when it is back
                time.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
            if is_last and not self._batch:
                self._warehouse.close()
                return

    def _is_due(self) -> bool:
        waited = time.monotonic() - self._since
        return self._stopping or bool(self._cold) or (bool(self._batch) and waited >= self._settings.live.flush_s)

    def _flush(self) -> None:
        """Store the batch and acknowledge its entries; a batch that fails is put back, before what came meanwhile."""
        with self._condition:
            batch, self._batch = self._batch, _Batch()
            self._forgotten.clear()
            self.mending.begin_batch()
        if not batch:
            return
        try:
            self._store(batch)
        except OUTAGES:
            with self._condition:
                for name in self._forgotten:
                    batch.drop(name)
                batch.extend(self._batch)
                self._batch = batch
            raise
        except _LeaseInDoubtError:
            LOG.warning("the leases may have ended: what is not stored is left to whoever serves the instruments now")
            return
        for name, settled in batch.settled.items():
            self._acks.setdefault(name, []).extend(settled)
        for name, appended in batch.appended.items():
            self._acks.setdefault(name, []).extend(appended.entry_ids)
            self._metrics.observe(self._metrics.store_latency, appended.entry_ids)
        with self._condition:
            for name, appended in batch.appended.items():
                if name not in self._forgotten:
                    self._unstored[name] = max(0, self._unstored.get(name, 0) - len(appended.entry_ids))
            self._metrics.unstored.set(sum(self._unstored.values()))

    def _store(self, batch: _Batch) -> None:
        self._refuse_doubt()
        now_ts = int(time.time())
        parts: Parts = {}
        appended = list(batch.appended.values())
        for first in range(0, len(appended), INSTRUMENTS_AT_ONCE):
            self._let_candles_pass()
            some = appended[first : first + INSTRUMENTS_AT_ONCE]
            for table, own in appended_parts(some, self._shared.label_version, now_ts).items():
                parts.setdefault(table, []).extend(own)
        self._store_rejections(batch.rejections)
        made_us = max((each.made_us for each in appended), default=None)
        # Raw candles come last: who sees them there sees all that they change.
        for table in sorted(parts, key=lambda table: table is RAW_CANDLES):
            self._let_candles_pass()
            self._refuse_doubt()
            result = self._warehouse.upsert_all(table, parts[table], made_us)
            self._metrics.stored_rows.inc(result.rows_written)
        for part in parts.get(PATH_WINDOWS, []):
            self._days.add(part.scope)
        for each in appended:
            self._foreign.know(each.view.instrument_id, each.view)

    def _let_candles_pass(self) -> None:
        """Wait while the hot path is at work, for a moment: two threads share one interpreter."""
        self._shared.idle.wait(LONGEST_WAIT_S)

    def _refuse_doubt(self) -> None:
        if not self._is_sure():
            raise _LeaseInDoubtError

    def _store_rejections(self, rejections: Sequence[Rejection]) -> None:
        by_instrument: dict[str, list[Rejection]] = {}
        for rejection in rejections:
            by_instrument.setdefault(rejection.instrument_id, []).append(rejection)
        for name, found in by_instrument.items():
            candles = {(item.candle.ts, item.candle.line): item.candle for item in found}
            scope = Scope(name, min(ts for ts, _ in candles), max(ts for ts, _ in candles) + 1)
            stored = self._warehouse.read(REJECTED_CANDLES, scope)
            new = rejected_rows(name, list(candles.values()))
            keys = {tuple(row.values()) for row in new.select(REJECTED_CANDLES.key_names).to_pylist()}
            known = [tuple(row.values()) for row in stored.select(REJECTED_CANDLES.key_names).to_pylist()]
            kept = stored.filter(pa.array([key not in keys for key in known], pa.bool_()))
            self._warehouse.upsert(REJECTED_CANDLES, scope, pa.concat_tables([new, kept]))

    def _restate(self, name: str, candles: Candles, now_ts: int, *, is_unfinished: bool) -> None:
        restated = self._restatement.run(name, candles, now_ts, is_unfinished=is_unfinished)
        if restated is not None:
            rows = [part for part in restated.labels.values() if part.num_rows]
            if rows:
                first = min(int(part["ts"].to_numpy().min()) for part in rows)
                last = max(int(part["ts"].to_numpy().max()) for part in rows)
                self._days.add(Scope(name, first, last + 1))

    def _warm_one(self) -> None:
        """Store the entries of one cold instrument, read it, and hand it to the hot path."""
        with self._condition:
            if not self._cold or self._stopping or not self._is_sure():
                return
            name, cold = next(iter(self._cold.items()))
            if name in self._batch.appended:  # what came before is stored first
                return
        self._foreign.forget(name)
        if cold.entries:
            self._store_entries(cold)
        tail = warm_tail(self._warehouse, self._settings, self._shared.calendar, name)
        self.mending.fill(name)
        hot = HotInstrument.of(tail)
        with self._condition:
            if self._cold.get(name) is not cold:
                return  # meanwhile it was given up; what may be there now is a newer claim, which is still to be done
            del self._cold[name]
        self._foreign.know(name, tail.view)
        if tail.last_ts >= 0:  # whoever served it before may have died before the statistics
            self._days.add(Scope(name, max(0, tail.last_ts - _STATISTICS_S), tail.last_ts + 1))
        self.ready.put((name, hot))
        LOG.info("%s is served: %d base candles in memory", name, len(tail.rungs[self._settings.base_granularity]))

    def _store_entries(self, cold: Cold) -> None:
        """Store entries that the hot path did not apply, and acknowledge them."""
        now_ts = int(time.time())
        intake = take_in(cold.entries, self._settings, self._shared.calendar, now_ts)
        self._store_rejections(intake.rejections)
        if len(intake.accepted):
            candles = Candles._make(column[intake.accepted] for column in intake.candles)
            self._restate(cold.instrument_id, candles, now_ts, is_unfinished=cold.is_unfinished)
            self._metrics.corrections.inc(len(intake.accepted))
        self._acks.setdefault(cold.instrument_id, []).extend(entry.entry_id for entry in cold.entries)
        self._acknowledge_stored()

    def _acknowledge_stored(self) -> None:
        """Acknowledge what is stored; what the queue does not take is kept for the next time."""
        try:
            for name in list(self._acks):
                self._acknowledge(name, self._acks[name])
                del self._acks[name]
        except LiveError as error:
            LOG.warning("entries stay pending until the queue is back: %s", error.found)

    def _mend_cache(self) -> None:
        with self._condition:
            if not self._batch:
                self.mending.begin_batch()
        self.mending.look()
        self.mending.mend(self._foreign.instruments)
