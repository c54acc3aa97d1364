"""Reads what a computation needs: candles of a granularity and of its path granularity, with look-back and look-ahead.

Belongs here: which candles are read. Does not belong here: how far (`compute.reach`), what is computed from them.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.granularities import granularity
from label_assets.compute import reach
from label_assets.compute.rows import candles_from_rows
from label_assets.kernels.arrays import Candles
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

MAX_CACHED_BYTES = 256 * 2**20


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

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Which of `candles` are rows, and not look-back or look-ahead."""
        return (self.candles.ts >= self.start_ts) & (self.candles.ts < self.end_ts)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays [bytes]."""
        return sum(array.nbytes for array in (*self.candles, *self.path))


class MarketReader:
    """Reads slices, and keeps the last ones: the families of one run need the same candles.

    Not safe to share between threads.
    """

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        """Keep where to read from."""
        self._warehouse = warehouse
        self._settings = settings
        self._kept: OrderedDict[tuple[Any, ...], MarketSlice] = OrderedDict()

    def forget(self) -> None:
        """Drop what is kept; called whenever candles are written."""
        self._kept.clear()

    def slice(self, instrument_id: str, granularity_name: str, start_ts: int, end_ts: int) -> MarketSlice:
        """Candles for the rows of one instrument and granularity that open in [start_ts, end_ts)."""
        key = (instrument_id, granularity_name, start_ts, end_ts)
        if key not in self._kept:
            self._kept[key] = self._read(*key)
            while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > MAX_CACHED_BYTES:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _read(self, instrument_id: str, granularity_name: str, start_ts: int, end_ts: int) -> MarketSlice:
        rung = granularity(granularity_name)
        around = reach.slice_reach(self._settings, granularity_name)
        candles = candles_from_rows(
            self._warehouse.query(
                "read_candles_around",
                instrument=instrument_id,
                granularity=granularity_name,
                start=start_ts,
                end=end_ts,
                before=around.back,
                after=around.forward,
            )
        )
        path_rows: pa.Table = self._warehouse.query(
            "read_candles_between",
            instrument=instrument_id,
            granularity=rung.path,
            start=int(candles.close_ts[0]) if len(candles.ts) else 0,
            end=int(candles.close_ts[-1]) if len(candles.ts) else 0,
        )
        return MarketSlice(instrument_id, granularity_name, start_ts, end_ts, candles, candles_from_rows(path_rows))
