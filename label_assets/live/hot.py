"""The hot path: entries in, labels in Redis, nothing that waits for ClickHouse.

Belongs here: what an entry does to the tails, and the write to the cache. Does not belong here: reading streams and
owning instruments (`live.worker`), storing (`live.storing`).
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.cache.hot import EncodedWrite
from label_assets.cache.record import encode
from label_assets.cache.sections import Section
from label_assets.errors import CacheUnavailableError
from label_assets.kernels.arrays import Candles
from label_assets.live.candle_stream import Entry
from label_assets.live.intake import Rejection, take_in
from label_assets.live.newest import NewestRows, RowMaker
from label_assets.live.rows import Appended
from label_assets.live.shared import Shared
from label_assets.live.tail import Tail

LOG = logging.getLogger("label_assets.live")

INSTRUMENTS_PER_WRITE = 12
"""Rows of so many go to Redis at once: encoding one costs as much as encoding all, yet the first need not wait long."""

CACHE_PAUSE_S = 1.0
"""After a failure the cache is left alone for so long: each attempt may take as long as its timeout."""


@dataclass
class HotInstrument:
    """An instrument that the hot path serves: its tail, and what makes rows of each labelled granularity."""

    tail: Tail
    makers: dict[str, RowMaker]

    @classmethod
    def of(cls, tail: Tail) -> "HotInstrument":
        """With what all that the tail holds has to tell."""
        view = tail.view
        return cls(tail, {name: RowMaker(view, name) for name in tail.settings.granularities})


@dataclass
class Taken:
    """What became of entries.

    Attributes:
        appended: By instrument, candles that came to the end of its tail, and entries that change nothing.
        corrections: By instrument, entries from the first on that changes what was known; they were not applied.
        rejections: Entries that break a rule.
        settled: By instrument, entries that are over without a candle to store: rejected, dropped, repeated.
    """

    appended: dict[str, Appended] = field(default_factory=dict)
    corrections: dict[str, list[Entry]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    settled: dict[str, list[str]] = field(default_factory=dict)


class _Fresh(NamedTuple):
    """Rows of labels of one instrument that entries have changed, and these entries."""

    rows: list[NewestRows]
    entry_ids: list[str]


class HotPath:
    """Applies entries to tails and brings labels into the cache. For one thread."""

    def __init__(self, shared: Shared) -> None:
        """Keep what is used; `instruments` begins empty."""
        self.instruments: dict[str, HotInstrument] = {}
        self.cache_failed = False
        self._shared = shared
        self._metrics = shared.metrics
        self._cache_rests_until = 0.0
        self._is_cache_down = False

    def take(self, entries: Sequence[Entry]) -> Taken:
        """Apply entries of instruments that are hot, in the order of each stream."""
        if not entries:
            return Taken()
        self._shared.idle.clear()
        try:
            return self._take(entries)
        finally:
            self._shared.idle.set()

    def _take(self, entries: Sequence[Entry]) -> Taken:
        taken = Taken()
        intake = take_in(entries, self._shared.settings, self._shared.calendar, int(time.time()))
        taken.rejections = intake.rejections
        for rule, count in intake.dropped.items():
            self._metrics.dropped.labels(rule).inc(count)
        for rejection in intake.rejections:
            self._metrics.rejected.labels(rejection.candle.reason).inc()
        accepted = np.zeros(len(entries), bool)
        accepted[intake.accepted] = True
        by_instrument: dict[str, list[int]] = {}
        for row, entry in enumerate(entries):
            by_instrument.setdefault(entry.instrument_id, []).append(row)
        fresh: list[_Fresh] = []
        written = 0
        for instrument_id, rows in by_instrument.items():
            made = self._apply(instrument_id, rows, entries, intake.candles, accepted, taken)
            fresh += [made] if made.rows else []
            if len(fresh) >= INSTRUMENTS_PER_WRITE:
                written += self._write(fresh)
                fresh = []
        written += self._write(fresh)
        self._metrics.rows.inc(written)
        return taken

    def _apply(
        self,
        instrument_id: str,
        rows: Sequence[int],
        entries: Sequence[Entry],
        candles: Candles,
        accepted: NDArray[np.bool_],
        taken: Taken,
    ) -> _Fresh:
        """Apply one instrument's entries; the rows of labels that they change."""
        hot = self.instruments[instrument_id]
        added: dict[str, int] = {}
        first_ts, entry_ids = -1, []
        for position, row in enumerate(rows):
            candle = Candles._make(column[row : row + 1] for column in candles)
            ts = int(candle.ts[0])
            if not accepted[row] or (ts <= hot.tail.last_ts and _is_known(hot.tail, candle)):
                taken.settled.setdefault(instrument_id, []).append(entries[row].entry_id)
                self._metrics.repeated.inc(int(accepted[row]))
                continue
            if ts <= hot.tail.last_ts:
                taken.corrections[instrument_id] = [entries[later] for later in rows[position:]]
                break
            for name, count in hot.tail.append(candle).items():
                added[name] = added.get(name, 0) + count
            first_ts = ts if first_ts < 0 else first_ts
            entry_ids.append(entries[row].entry_id)
        if first_ts < 0:
            return _Fresh([], [])
        view = hot.tail.view
        opens = {name: int(view.rungs[name].ts[-count]) for name, count in added.items()}
        self._metrics.candles.inc(len(entry_ids))
        started = time.perf_counter()
        made = [
            newest
            for name, count in added.items()
            if name in hot.makers
            for newest in hot.makers[name].rows(view, count)
        ]
        self._metrics.compute_seconds.inc(time.perf_counter() - started)
        by_key = {(rows.granularity, rows.horizon): rows for rows in made}
        taken.appended[instrument_id] = Appended(view, first_ts, opens, entry_ids, by_key)
        hot.tail.trim()
        return _Fresh(made, entry_ids)

    def _write(self, fresh: Sequence[_Fresh]) -> int:
        """Bring rows into the cache; returns their number, written or not."""
        if not fresh:
            return 0
        started = time.perf_counter()
        made = [rows for part in fresh for rows in part.rows]
        writes = encoded(made, self._shared.label_version, int(time.time()))
        self._metrics.compute_seconds.inc(time.perf_counter() - started)
        count = sum(len(write.epochs) for write in writes)
        if self._shared.cache is None:
            return count
        if time.monotonic() < self._cache_rests_until:
            self.cache_failed = True
            return count
        try:
            self._shared.cache.write_values(writes, publish=True)
        except CacheUnavailableError as error:
            if not self._is_cache_down:
                LOG.warning("labels go to ClickHouse only until the hot cache is back: %s", error.found)
            self._is_cache_down = self.cache_failed = True
            self._cache_rests_until = time.monotonic() + CACHE_PAUSE_S
            self._metrics.cache_failures.inc()
            return count
        if self._is_cache_down:
            LOG.warning("the hot cache takes labels again")
            self._is_cache_down = False
        self._metrics.observe(self._metrics.latency, [entry_id for part in fresh for entry_id in part.entry_ids])
        return count


def _is_known(tail: Tail, candle: Candles) -> bool:
    """Whether the tail holds this candle with the same values."""
    base = tail.view.base
    place = int(np.searchsorted(base.ts, candle.ts[0]))
    if place == len(base.ts) or base.ts[place] != candle.ts[0]:
        return False
    return all(column[place] == value[0] for column, value in zip(base[2:], candle[2:], strict=True))


def encoded(made: Iterable[NewestRows], label_version: str, now_ts: int) -> list[EncodedWrite]:
    """Writes to the cache; all rows are encoded together, which costs as much as those of one section."""
    made = list(made)
    lengths = [rows.changed for rows in made]
    columns: dict[str, Any] = {
        name: np.concatenate([rows.columns[name][-rows.changed :] for rows in made]) for name in made[0].columns
    }
    columns |= {"label_version": label_version, "computed_at": now_ts}
    values = encode(columns, [time.time_ns() // 1000] * sum(lengths))
    ends = np.cumsum(lengths).tolist()
    return [
        EncodedWrite(
            Section(rows.instrument_id, rows.granularity, rows.horizon),
            rows.columns["ts"][-rows.changed :].tolist(),
            values[end - length : end],
        )
        for rows, length, end in zip(made, lengths, ends, strict=True)
    ]
