"""Labels of one candle computed on demand, with the functions of a run: equal to stored rows to the bit.

Labels are computed for a block of entries at once, and kept with it as long as the candles are the same: kernels take
as long for one entry as for its whole slice.

Belongs here: blocks, what is kept, a candle that the caller sends. Does not belong here: formulas (`compute`), reading
candles (`serving.candles`).
"""

from __future__ import annotations

import gc
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from label_assets.cache.sections import Section
from label_assets.catalog.columns import Table
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.granularities import granularity
from label_assets.catalog.tables import PATH_WINDOWS
from label_assets.compute.versions import code_versions
from label_assets.errors import RequestError
from label_assets.serving.candles import SharedCandles
from label_assets.serving.parameters import LONGEST_HORIZON, shown_time
from label_assets.serving.store import Store
from label_assets.settings import Settings

if TYPE_CHECKING:
    from label_assets.compute.inputs import MarketSlice
    from label_assets.kernels.arrays import Candles

BLOCK_CANDLES = 256
"""Entries that are computed together."""

MOST_BLOCKS = 64


class SentCandle(NamedTuple):
    """A candle that a caller sends in place of, or after, those that are stored."""

    ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(eq=False)
class _Block:
    """Candles around some entries, and what was computed of them."""

    market: MarketSlice
    version: int
    lock: Lock = field(default_factory=Lock)
    rows: dict[tuple[int, str], pa.Table] = field(default_factory=dict)


class Computer:
    """Computes rows. Its methods block: call them in threads."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Keep where candles are."""
        self._settings = settings
        self._candles = SharedCandles(settings, store)
        self._blocks: OrderedDict[tuple[str, str, int], _Block] = OrderedDict()
        self._lock = Lock()
        self._label_version = code_versions(settings)["labels"]

    def row(self, section: Section, ts: int, families: Sequence[str], *, anew: bool = False) -> pa.Table:
        """The row of a stored candle: key, path window, families; in the wire types of `labels`.

        Args:
            section: Instrument, granularity, and any horizon.
            ts: Open time of the candle [epoch s].
            families: Names of families.
            anew: Ask whether candles changed, and compute even what was computed a moment ago.

        Raises:
            RequestError: there is no such candle.
            WarehouseError: ClickHouse does not answer.
        """
        instrument_id, name, horizon = section
        block = self._block(instrument_id, name, ts, anew=anew)
        place = int(np.searchsorted(block.market.candles.ts, ts))
        if place >= len(block.market.candles.ts) or int(block.market.candles.ts[place]) != ts:
            raise _no_candle(instrument_id, name, ts, block.market.candles)
        parts = []
        for table in _tables(families):
            with block.lock:
                if (horizon, table.name) not in block.rows:
                    block.rows[horizon, table.name] = self._computed(table, block.market, horizon)
            rows = block.rows[horizon, table.name]
            at = int(np.searchsorted(rows["ts"].to_numpy(), ts))
            parts.append((table, rows.slice(at, 1)))
        return self._joined(parts)

    def row_of_sent(self, section: Section, sent: SentCandle, families: Sequence[str]) -> pa.Table:
        """The row of a candle that the caller sends; path and levels are those of the stored candles."""
        from label_assets.compute.inputs import MarketSlice  # noqa: PLC0415 - as in `_kernels`

        instrument_id, name, horizon = section
        market = self._block(instrument_id, name, sent.ts, anew=False).market
        candles = self._with_sent(market.candles, name, sent)
        changed = MarketSlice(instrument_id, name, sent.ts, sent.ts + 1, candles, market.path)
        return self._joined([(table, self._computed(table, changed, horizon)) for table in _tables(families)])

    def _computed(self, table: Table, market: MarketSlice, horizon: int) -> pa.Table:
        return _kernels()(table, market, horizon, self._settings.labels).rows

    def _joined(self, parts: Sequence[tuple[Table, pa.Table]]) -> pa.Table:
        """Parts of one row side by side, in the order of `labels`."""
        found: dict[str, Any] = {}
        for table, rows in parts:
            found |= {name: rows[name] for name in table.names}
        schema = LABELS.wire_schema()
        found["label_version"] = pa.array([self._label_version])
        found["computed_at"] = pa.array([int(time.time())], schema.field("computed_at").type)
        names = [name for name in schema.names if name in found]
        return pa.Table.from_arrays([found[name] for name in names], names=names)

    def _block(self, instrument_id: str, name: str, ts: int, *, anew: bool) -> _Block:
        """Candles around the block of entries that holds a time, and what is computed of them."""
        length = BLOCK_CANDLES * granularity(name).seconds
        key = (instrument_id, name, ts // length)
        start_ts = key[2] * length
        shared = self._candles.slice(
            instrument_id, name, (start_ts, min(start_ts + length, 2**32 - 1)), LONGEST_HORIZON, anew=anew
        )
        with self._lock:
            block = self._blocks.get(key)
            if block is None or anew or block.version != shared.version:
                block = _Block(shared.market, shared.version)
            self._blocks[key] = block
            self._blocks.move_to_end(key)
            while len(self._blocks) > MOST_BLOCKS:
                self._blocks.popitem(last=False)
        return block

    def _with_sent(self, candles: Candles, name: str, sent: SentCandle) -> Candles:
        from label_assets.kernels.arrays import Candles  # noqa: PLC0415 - as in `_kernels`
        from label_assets.market.calendar import SessionCalendar  # noqa: PLC0415

        calendar = SessionCalendar(self._settings.session_open)
        stamp = np.array([sent.ts])
        opens, close_ts = int(calendar.bucket_open(stamp, name)[0]), int(calendar.bucket_close(stamp, name)[0])
        now = int(time.time())
        if opens != sent.ts or close_ts > now:
            raise RequestError(
                kind="invalid-request",
                asked=f"labels of a {name} candle that opens {shown_time(sent.ts)}",
                found=f"a time within the candle from {shown_time(opens)} to {shown_time(close_ts)}"
                if opens != sent.ts
                else f"a candle that closes {shown_time(close_ts)}, in the future",
                allowed=f"the open time of a finished candle; the session opens {self._settings.session_open}",
                action="send the open time of a candle that is over",
            )
        at = int(np.searchsorted(candles.ts, sent.ts))
        after = at + (at < len(candles.ts) and int(candles.ts[at]) == sent.ts)
        values = (sent.ts, close_ts, sent.open, sent.high, sent.low, sent.close, sent.volume)
        return Candles._make(
            np.concatenate([column[:at], np.array([value], column.dtype), column[after:]])
            for column, value in zip(candles, values, strict=True)
        )


@cache
def _kernels() -> Callable[..., Any]:
    """`compute_rows`, and numba with it: a second that only the first computation pays."""
    from label_assets.compute.families import compute_rows  # noqa: PLC0415

    gc.freeze()  # what numba made stays, and need not be looked through while requests wait
    return compute_rows


def _tables(families: Sequence[str]) -> list[Table]:
    return [PATH_WINDOWS, *(family.table for family in FAMILIES if family.name in families)]


def _no_candle(instrument_id: str, name: str, ts: int, candles: Candles) -> RequestError:
    before, after = candles.ts[candles.ts < ts][-1:].tolist(), candles.ts[candles.ts > ts][:1].tolist()
    near = [shown_time(each) for each in (*before, *after)]
    return RequestError(
        kind="unknown-candle",
        asked=f"the {name} candle of {instrument_id} that opens {shown_time(ts)}",
        found=f"no such candle; the nearest open {' and '.join(near)}" if near else "no candles around that time",
        allowed="the open time of a stored candle",
        action="name one of these, or send the candle's prices",
    )
