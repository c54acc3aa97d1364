"""Reads what a computation needs: candles of a granularity and of its path granularity, with look-back and look-ahead.

Belongs here: which candles are read. Does not belong here: how far (`compute.reach`), what is computed from them.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.catalog.granularities import granularity
from label_assets.catalog.tables import CANDLES
from label_assets.compute import reach
from label_assets.compute.rows import candles_from_rows
from label_assets.kernels.arrays import Candles
from label_assets.settings import LabelSettings, Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

MAX_CACHED_BYTES = 96 * 2**20
"""Memory of the candles that a reader keeps as read, and again of those that it keeps as slices [bytes]."""
MAX_MADE_BYTES = 64 * 2**20
"""Memory of what is made from one slice and kept with it, and of that of all the other slices of a reader [bytes]."""

Made = TypeVar("Made", bound=tuple[Any, ...])


@dataclass(frozen=True, eq=False)
class MarketSlice:
    """Candles from which every label of the rows that open in [start_ts, end_ts) can be computed.

    Attributes:
        instrument_id: The instrument.
        granularity: Name of the labelled granularity.
        start_ts: First open time of the rows [epoch s].
        end_ts: End of the open times of the rows, not included [epoch s].
        candles: Candles of the granularity, with look-back and look-ahead.
        path: Candles of the path granularity from the first to the last of `candles`.
    """

    instrument_id: str
    granularity: str
    start_ts: int
    end_ts: int
    candles: Candles
    path: Candles
    made: dict[Any, Any] = field(default_factory=dict, repr=False)
    """What was computed from these candles and is needed again: see `made_once`."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which of `candles` are rows, and not look-back or look-ahead."""
        return (self.candles.ts >= self.start_ts) & (self.candles.ts < self.end_ts)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays [bytes]."""
        return sum(array.nbytes for array in (*self.candles, *self.path))

    @property
    def made_nbytes(self) -> int:
        """Memory of what was made [bytes]."""
        return sum(_nbytes(value) for _, value in list(self.made.values()))

    def made_once(self, key: Any, labels: LabelSettings, make: Callable[[], Made]) -> Made:
        """What `make` gives; made at the first call with this key and these numbers, and kept if there is room.

        Args:
            key: What it is, with its horizon where it depends on one.
            labels: Numbers of the definitions.
            make: Makes a named tuple of arrays or of such tuples.
        """
        known = self.made.get(key)
        if known is not None and (known[0] is labels or known[0] == labels):
            found: Made = known[1]
            return found
        made = make()
        if self.made_nbytes + _nbytes(made) <= MAX_MADE_BYTES:
            self.made[key] = (labels, made)
        return made


def _nbytes(made: Any) -> int:
    return sum(map(_nbytes, made)) if isinstance(made, tuple) else int(made.nbytes)


class _Rung(NamedTuple):
    """Candles of one granularity around a range of months, all that are stored between two times.

    Attributes:
        candles: The candles.
        from_ts: No candle that opens at or after this is missing … [epoch s].
        until_ts: … and none that opens before this [epoch s].
    """

    candles: Candles
    from_ts: float
    until_ts: float

    @property
    def nbytes(self) -> int:
        """Memory of the arrays [bytes]."""
        return sum(array.nbytes for array in self.candles)


class MarketReader:
    """Reads candles once for all that a run computes from them: levels, windows and families.

    Not safe to share between threads.
    """

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        """Keep where to read from."""
        self._warehouse = warehouse
        self._settings = settings
        self._rungs: OrderedDict[tuple[str, str, int, int], _Rung] = OrderedDict()
        self._slices: OrderedDict[tuple[str, str, int, int], MarketSlice] = OrderedDict()
        self._written_scope: Scope | None = None
        self._written: dict[str, Candles] = {}
        self._asked_beside: tuple[str, int, int] | None = None
        self._beside_by_name: dict[str, Candles] = {}

    def forget(self) -> None:
        """Drop what is kept; called whenever candles are written."""
        self._rungs.clear()
        self._slices.clear()
        self._written_scope = None
        self._written.clear()
        self._asked_beside = None
        self._beside_by_name.clear()

    def expect_written(self, scope: Scope) -> None:
        """Candles of a scope were written just now: they are not read back while the warehouse has kept them."""
        self._written_scope = scope

    def slice(self, instrument_id: str, granularity_name: str, start_ts: int, end_ts: int) -> MarketSlice:
        """Candles for the rows of one instrument and granularity that open in [start_ts, end_ts)."""
        key = (instrument_id, granularity_name, start_ts, end_ts)
        if key not in self._slices:
            candles = self._around(key, reach.slice_reach(self._settings, granularity_name))
            path = self._between(
                (instrument_id, str(granularity(granularity_name).path), start_ts, end_ts),
                int(candles.close_ts[0]) if len(candles.ts) else 0,
                int(candles.close_ts[-1]) if len(candles.ts) else 0,
            )
            self._slices[key] = MarketSlice(instrument_id, granularity_name, start_ts, end_ts, candles, path)
            _drop_oldest(self._slices)
        self._slices.move_to_end(key)
        self._forget_made(self._slices[key])
        return self._slices[key]

    def _forget_made(self, used: MarketSlice) -> None:
        """Drop what was made from other slices than the one in use, oldest first, beyond the bound."""
        others = [market for market in self._slices.values() if market is not used]
        made_nbytes = sum(market.made_nbytes for market in others)
        for market in others:
            if made_nbytes > MAX_MADE_BYTES:
                made_nbytes -= market.made_nbytes
                market.made.clear()

    def level_candles(self, instrument_id: str, granularity_name: str, start_ts: int, end_ts: int) -> Candles:
        """Candles for the levels of the candles of one instrument and granularity that open in [start_ts, end_ts).

        One more before them than `level_reach` says: the candle that closes at the start has its events in the range.
        """
        around = reach.level_reach(self._settings, granularity_name)
        key = (instrument_id, granularity_name, start_ts, end_ts)
        return self._around(key, reach.Reach(around.back + 1, around.forward))

    def _around(self, key: tuple[str, str, int, int], around: reach.Reach) -> Candles:
        """Candles of a granularity that open in a range, with so many before and after it."""
        _, _, start_ts, end_ts = key
        candles = self._rung(key).candles
        first = int(np.searchsorted(candles.ts, start_ts)) - around.back
        last = int(np.searchsorted(candles.ts, end_ts)) + around.forward
        return Candles._make(array[max(first, 0) : last] for array in candles)

    def _between(self, key: tuple[str, str, int, int], first_ts: int, last_ts: int) -> Candles:
        """Candles of a granularity that open in [first_ts, last_ts): of those read already, if they hold all of it."""
        rung = self._rungs.get(key)
        if rung is not None and rung.from_ts <= first_ts and last_ts <= rung.until_ts:
            return _cut(rung.candles, first_ts, last_ts)
        return self._at_hand_or_read(key, first_ts, last_ts)

    def _at_hand_or_read(self, key: tuple[str, str, int, int], first_ts: int, last_ts: int) -> Candles:
        """As `_between`: those that were written just now from memory, the others from the warehouse."""
        scope = self._written_around(key[0], first_ts, last_ts)
        if scope is None:
            return self._read_between(key, first_ts, last_ts)
        pieces = [
            self._read_between(key, first_ts, scope.start_ts),
            _cut(self._written[key[1]], first_ts, last_ts),
            self._read_between(key, scope.end_ts, last_ts),
        ]
        return _joined(pieces)

    def _read_between(self, key: tuple[str, str, int, int], first_ts: int, last_ts: int) -> Candles:
        if first_ts >= last_ts:
            return candles_from_rows(CANDLES.wire_schema().empty_table())
        scope = Scope(key[0], first_ts, last_ts, key[1])
        return candles_from_rows(self._warehouse.read(CANDLES, scope, Candles._fields))

    def _written_around(self, instrument_id: str, first_ts: int, last_ts: int) -> Scope | None:
        """The scope whose candles are at hand because they were written just now, if it touches a range of time."""
        scope = self._written_scope
        if scope is None or scope.instrument_id != instrument_id:
            return None
        if not self._written:
            rows = self._warehouse.written(CANDLES, scope)
            if rows is None or rows.nbytes > MAX_CACHED_BYTES:
                self._written_scope = None
                return None
            names = rows["granularity"]
            self._written = {
                name: candles_from_rows(rows.filter(pc.equal(names, name))) for name in self._settings.ladder
            }
        return scope if scope.start_ts < last_ts and first_ts < scope.end_ts else None

    def _rung(self, key: tuple[str, str, int, int]) -> _Rung:
        """Candles of a granularity around a range, as far as levels or slices reach."""
        if key not in self._rungs:
            _, name, start_ts, end_ts = key
            before, after = self._farthest(name)
            beside = self._beside(key)
            start = int(np.searchsorted(beside.ts, start_ts))
            inside = self._at_hand_or_read(key, start_ts, end_ts)
            pieces = [_slice(beside, max(start - before, 0), start), inside, _slice(beside, start, start + after)]
            candles = _joined(pieces)
            start, end = np.searchsorted(candles.ts, (start_ts, end_ts))
            self._rungs[key] = _Rung(
                candles,
                # Fewer than asked for are all there are.
                from_ts=-math.inf if start < before else float(candles.ts[0]),
                until_ts=math.inf if len(candles.ts) - end < after else float(candles.ts[-1]) + 1.0,
            )
            _drop_oldest(self._rungs)
        self._rungs.move_to_end(key)
        return self._rungs[key]

    def _farthest(self, name: str) -> tuple[int, int]:
        """Candles of a granularity before and after a range that levels or slices may need."""
        slices, levels = reach.slice_reach(self._settings, name), reach.level_reach(self._settings, name)
        return max(slices.back, levels.back + 1), max(slices.forward, levels.forward)

    def _beside(self, key: tuple[str, str, int, int]) -> Candles:
        """Candles of a granularity before and after a range, as many as any labelled one may need.

        Those of all labelled granularities are read together: planning the statement takes ten times what a month of
        rows takes.
        """
        instrument_id, name, start_ts, end_ts = key
        asked = (instrument_id, start_ts, end_ts)
        if asked != self._asked_beside or name not in self._beside_by_name:
            names = list(dict.fromkeys((*self._settings.granularities, name)))
            befores, afters = zip(*map(self._farthest, names), strict=True)
            rows = self._warehouse.query(
                "read_candles_beside",
                instrument=instrument_id,
                granularities=names,
                start=start_ts,
                end=end_ts,
                before=max(befores),
                after=max(afters),
            )
            found = rows["granularity"]
            self._beside_by_name = {each: candles_from_rows(rows.filter(pc.equal(found, each))) for each in names}
            self._asked_beside = asked
        return self._beside_by_name.pop(name)  # it is kept as part of the rung


def _slice(candles: Candles, first: int, end: int) -> Candles:
    return Candles._make(array[first:end] for array in candles)


def _cut(candles: Candles, first_ts: int, end_ts: int) -> Candles:
    """Those that open in [first_ts, end_ts)."""
    first, end = np.searchsorted(candles.ts, (first_ts, end_ts))
    return _slice(candles, int(first), int(end))


def _joined(pieces: Sequence[Candles]) -> Candles:
    """Pieces one after the other; the only one that is not empty as it is."""
    filled = [piece for piece in pieces if len(piece.ts)] or [pieces[0]]
    return filled[0] if len(filled) == 1 else Candles._make(map(np.concatenate, zip(*filled, strict=True)))


def _drop_oldest(kept: "OrderedDict[Any, Any]") -> None:
    while len(kept) > 1 and sum(each.nbytes for each in kept.values()) > MAX_CACHED_BYTES:
        kept.popitem(last=False)
