"""Candles in memory that computations share, as long as nobody writes others.

Reading the look-back of one row from ClickHouse takes ten times as long as computing it, and most of that does not
depend on how much is read. So much is read at once, and what is kept is asked for its version, which is cheap, instead
of being read again.

Belongs here: what is read and how long it is good. Does not belong here: threads and outages (`serving.store`), what
is computed (`serving.computing`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.compute as pc

from label_assets.catalog.granularities import DAY_S, granularity
from label_assets.catalog.tables import CANDLES
from label_assets.serving.store import Store
from label_assets.settings import Settings
from label_assets.warehouse.schema import storage_name
from label_assets.warehouse.upsert import Scope

if TYPE_CHECKING:
    from label_assets.compute.inputs import MarketSlice
    from label_assets.kernels.arrays import Candles

KEPT_S = 1.0
"""Versions are asked for again after so long: what changed in ClickHouse shows a second later at most."""

MOST_BYTES = 192 * 2**20
"""Memory of all candles that are kept [bytes]."""

STEP_CANDLES = 4096
"""What is read begins and ends at multiples of so many lengths of a candle, so that neighbors are read with it."""

_END_TS = 2**32 - 1
_WEEKENDS = 1.5
"""Real time of some candles over their length: markets close two days of seven."""


class Shared(NamedTuple):
    """Candles for some rows.

    Attributes:
        market: The candles.
        version: Version of the instrument's candles; as long as it is the same, they are.
    """

    market: MarketSlice
    version: int


class _Held(NamedTuple):
    """Every stored candle of one granularity that opens in [from_ts, until_ts)."""

    candles: Candles
    from_ts: int
    until_ts: int


@dataclass
class _Instrument:
    """What is kept of one instrument."""

    lock: Lock = field(default_factory=Lock)
    version: int = -1
    checked_at: float = -KEPT_S
    held: dict[str, _Held] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for held in list(self.held.values()) for column in held.candles)


class SharedCandles:
    """Candles of all instruments. Its methods block, and any thread may call them."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Keep where candles are."""
        self._settings = settings
        self._store = store
        self._instruments: OrderedDict[str, _Instrument] = OrderedDict()
        self._lock = Lock()

    def slice(
        self, instrument_id: str, name: str, time_range: tuple[int, int], horizon: int, *, anew: bool = False
    ) -> Shared:
        """Candles for the rows of one instrument and granularity that open in a range of time.

        Args:
            instrument_id: The instrument.
            name: A labelled granularity.
            time_range: Start and end [epoch s], end not included.
            horizon: Longest horizon of the rows [candles].
            anew: Ask for the version now, even if that was a moment ago.

        Raises:
            WarehouseError: ClickHouse does not answer.
        """
        from label_assets.compute import reach  # noqa: PLC0415 - numba comes with it, for computations alone
        from label_assets.compute.inputs import MarketSlice  # noqa: PLC0415

        around = reach.row_reach(self._settings, name, horizon)
        kept = self._instrument(instrument_id)
        with kept.lock:
            self._check(instrument_id, kept, anew=anew)
            candles = self._around(instrument_id, kept, name, time_range, (around.back, around.forward))
            path_name = str(granularity(name).path)
            first_ts, last_ts = (int(candles.close_ts[0]), int(candles.close_ts[-1])) if len(candles.ts) else (0, 0)
            # What is held of the candles may reach further than what was asked for with their path.
            self._hold(instrument_id, kept, (path_name,), first_ts, last_ts)
            bars = kept.held[path_name].candles
            path = _copied(bars, *np.searchsorted(bars.ts, (first_ts, last_ts)))
            version = kept.version
        self._forget_oldest(instrument_id)
        return Shared(MarketSlice(instrument_id, name, *time_range, candles, path), version)

    def _instrument(self, instrument_id: str) -> _Instrument:
        with self._lock:
            kept = self._instruments.setdefault(instrument_id, _Instrument())
            self._instruments.move_to_end(instrument_id)
            return kept

    def _check(self, instrument_id: str, kept: _Instrument, *, anew: bool) -> None:
        """Drop what is kept of an instrument if somebody wrote candles of it."""
        now = time.monotonic()
        if not anew and now - kept.checked_at < KEPT_S:
            return
        rows = self._store.attempt(
            lambda: self._store.warehouse.query(
                "read_candles_version", storage=storage_name(CANDLES), instrument=instrument_id
            )
        )
        version = int(rows["newest"][0].as_py())
        if version != kept.version:
            kept.held.clear()
            kept.version = version
        kept.checked_at = now

    def _around(
        self, instrument_id: str, kept: _Instrument, name: str, time_range: tuple[int, int], around: tuple[int, int]
    ) -> Candles:
        """Candles that open in a range, with so many before and after it; what is not held is read, with its path."""
        (start_ts, end_ts), (back, forward) = time_range, around
        length_s = granularity(name).seconds * _WEEKENDS
        low = max(0, start_ts - int(back * length_s) - 4 * DAY_S)
        high = min(_END_TS, end_ts + int(forward * length_s) + 4 * DAY_S)
        while True:
            self._hold(instrument_id, kept, (name, str(granularity(name).path)), low, high)
            held = kept.held[name]
            first = int(np.searchsorted(held.candles.ts, start_ts)) - back
            end = int(np.searchsorted(held.candles.ts, end_ts)) + forward
            is_enough_before = first >= 0 or held.from_ts == 0
            is_enough_after = end <= len(held.candles.ts) or held.until_ts > time.time()
            if is_enough_before and is_enough_after:
                return _copied(held.candles, max(first, 0), end)
            # There are holes, or the history begins or ends here: all that there is.
            low, high = low if is_enough_before else 0, high if is_enough_after else _END_TS

    def _hold(self, instrument_id: str, kept: _Instrument, names: Sequence[str], low: int, high: int) -> None:
        """Hold a range of time of some granularities."""
        wanted = []
        for each in names:
            step = STEP_CANDLES * granularity(each).seconds
            bounds = (low // step * step, min(_END_TS, -(-high // step) * step))
            held = kept.held.get(each)
            if held is None:
                wanted.append((each, *bounds))
                continue
            if bounds[0] < held.from_ts:
                wanted.append((each, bounds[0], held.from_ts))
            if bounds[1] > held.until_ts:
                wanted.append((each, held.until_ts, bounds[1]))
        if wanted:
            self._read(instrument_id, kept, wanted)

    def _read(self, instrument_id: str, kept: _Instrument, wanted: list[tuple[str, int, int]]) -> None:
        """Read ranges that touch what is held, in one statement."""
        from label_assets.compute.rows import candles_from_rows  # noqa: PLC0415 - as in `slice`
        from label_assets.kernels.arrays import Candles  # noqa: PLC0415

        scopes = [Scope(instrument_id, start_ts, end_ts, name) for name, start_ts, end_ts in wanted]
        names = ("granularity", *Candles._fields)
        rows = self._store.attempt(lambda: self._store.warehouse.read_all(CANDLES, scopes, names))
        for name, start_ts, end_ts in wanted:
            read = candles_from_rows(rows.filter(pc.equal(rows["granularity"], name)))
            inside = np.searchsorted(read.ts, (start_ts, end_ts))  # of one granularity there may be two ranges
            new = _Held(_copied(read, *inside), start_ts, end_ts)
            old = kept.held.get(name)
            kept.held[name] = new if old is None else _joined(*sorted((old, new), key=lambda held: held.from_ts))

    def _forget_oldest(self, used: str) -> None:
        with self._lock:
            total = sum(each.nbytes for each in self._instruments.values())
            for name in list(self._instruments):
                if total <= MOST_BYTES or name == used:
                    break
                total -= self._instruments.pop(name).nbytes


def _copied(candles: Candles, first: int, end: int) -> Candles:
    """Some of them, which keep nothing else in memory."""
    return type(candles)._make(column[first:end].copy() for column in candles)


def _joined(earlier: _Held, later: _Held) -> _Held:
    columns = zip(earlier.candles, later.candles, strict=True)
    candles = type(earlier.candles)._make(np.concatenate(pair) for pair in columns)
    return _Held(candles, earlier.from_ts, later.until_ts)
