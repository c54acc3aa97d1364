"""Candles that change what was known: late ones, corrected ones, and those that a worker left half stored.

They reach rows that no tail holds, so everything is read from the warehouse, and written as a run over the same time
would.

Belongs here: the order of steps. Does not belong here: the steps (`compute`), the usual case (`live.rows`).
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from label_assets.catalog.granularities import DAY_S
from label_assets.catalog.tables import CANDLES, RAW_CANDLES
from label_assets.compute.candles import candle_rows
from label_assets.compute.inputs import MarketReader
from label_assets.compute.levels import owned_levels
from label_assets.compute.reach import affected_opens
from label_assets.compute.revisions import find_changes, read_history, read_opens_around, trace
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.arrays import Candles
from label_assets.live.rows import label_parts
from label_assets.live.shared import Shared
from label_assets.live.tail import first_open_of
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

_LONGEST_BUCKET_S = 8 * DAY_S


class Restated(NamedTuple):
    """What was written anew.

    Attributes:
        start_ts: Start of the time in which rows may have changed [epoch s].
        end_ts: Its end, not included.
        labels: Rows of `labels` of that time, by granularity, in the wire schema.
    """

    start_ts: int
    end_ts: int
    labels: dict[str, pa.Table]


class Restatement:
    """Restates instruments of one deployment. For one thread."""

    def __init__(self, warehouse: Warehouse, shared: Shared) -> None:
        """Keep what is used."""
        self._warehouse = warehouse
        self._settings = shared.settings
        self._calendar = shared.calendar
        self._label_version = shared.label_version

    def run(self, instrument_id: str, candles: Candles, now_ts: int, *, is_unfinished: bool) -> Restated | None:
        """Store candles and everything that they can have changed.

        Args:
            instrument_id: The instrument.
            candles: Base candles in the order in which they came; of several of one time the last counts.
            now_ts: The present [epoch s].
            is_unfinished: Somebody may have stored part of it: that raw candles hold it proves nothing.

        Returns:
            What was written; None where nothing changes.
        """
        base = self._settings.base_granularity
        rows = self._rows(instrument_id, candles)
        first_ts, last_ts = int(candles.ts.min()), int(candles.ts.max())
        scope = Scope(instrument_id, first_ts, last_ts + 1, base)
        stored = self._warehouse.read(RAW_CANDLES, scope)
        kept = stored.filter(pa.array(~np.isin(stored["ts"].to_numpy(), rows["ts"].to_numpy())))
        rows = pa.concat_tables([rows, kept])
        changes = find_changes(base, stored, rows, read_history(self._warehouse, instrument_id, base))
        span = (first_ts, last_ts) if is_unfinished else changes.span
        if span is None:
            return None
        # The trace comes first, as in a run: a worker that dies before the candles are written is repeated.
        trace(self._warehouse, instrument_id, base, changes.revisions, "stream", now_ts)
        self._warehouse.upsert(RAW_CANDLES, scope, rows)
        opens = read_opens_around(self._warehouse, self._settings, self._calendar, instrument_id, span)
        first_open, last_open = affected_opens(self._settings, self._calendar, opens, *span)
        start_ts = max(first_open, first_open_of(self._settings))
        return self._write(instrument_id, (start_ts, max(last_open, last_ts) + _LONGEST_BUCKET_S), now_ts)

    def _rows(self, instrument_id: str, candles: Candles) -> pa.Table:
        _, newest_first = np.unique(candles.ts[::-1], return_index=True)
        kept = np.zeros(len(candles.ts), bool)
        kept[len(candles.ts) - 1 - newest_first] = True
        constants = {"instrument_id": instrument_id, "granularity": self._settings.base_granularity}
        return rows_from_arrays(RAW_CANDLES, constants, candles._asdict(), kept)

    def _write(self, instrument_id: str, time_range: tuple[int, int], now_ts: int) -> Restated:
        """Everything from `candles` on; any range of time is right, so a wide one is."""
        warehouse, settings = self._warehouse, self._settings
        owned = candle_rows(warehouse, self._calendar, instrument_id, settings.ladder, time_range)
        warehouse.upsert(CANDLES, owned.scope, owned.rows)
        reader = MarketReader(warehouse, settings)
        labels = {}
        for name in settings.granularities:
            for part in owned_levels(reader, settings, instrument_id, name, time_range):
                warehouse.upsert(part.table, part.scope, part.rows)
            market = reader.slice(instrument_id, name, *time_range)
            for table, (scope, rows) in label_parts(market, settings, self._label_version, now_ts).items():
                warehouse.upsert(table, scope, rows)
                labels[name] = rows  # labels come last
        return Restated(*time_range, labels)
