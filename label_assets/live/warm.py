"""Tails from the warehouse.

Everything is resampled from raw candles, so that a tail never depends on whether a run has made `candles` yet.

Belongs here: how far back is read. Does not belong here: what a tail must hold (`live.tail`).
"""

import numpy as np
import pyarrow as pa

from label_assets.catalog.granularities import granularity
from label_assets.compute.revisions import read_history
from label_assets.compute.rows import candles_from_rows
from label_assets.kernels.arrays import Candles
from label_assets.live.tail import Tail, needs
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse


def warm_tail(warehouse: Warehouse, settings: Settings, calendar: SessionCalendar, instrument_id: str) -> Tail:
    """The tail of an instrument as the warehouse has it.

    Args:
        warehouse: Where raw candles are.
        settings: The settings.
        calendar: Trading session.
        instrument_id: The instrument.

    Raises:
        WarehouseError: the warehouse does not answer.
    """
    history = read_history(warehouse, instrument_id, settings.base_granularity)
    oldest, newest = history or (0, 0)
    coarsest, wanted = settings.ladder[-1], needs(settings)
    # Trading time has holes, so what is enough is found out: a tenth more than without any, then twice as much.
    span_s = int(1.1 * max(need.candles * granularity(name).seconds for name, need in wanted.items()))
    while True:
        # From the open of a coarsest bucket on, no bucket lacks its first candles.
        first_ts = max(oldest, newest - span_s)
        start_ts = int(calendar.bucket_open(np.array([first_ts]), coarsest)[0]) if history else 0
        rows = warehouse.query(
            "read_newest_raw_candles",
            instrument=instrument_id,
            granularity=settings.base_granularity,
            start=start_ts,
        )
        base = _base_candles(rows, settings, calendar)
        rungs = {settings.base_granularity: base, **ladder(base, settings.base_granularity, calendar)}
        is_whole = start_ts <= oldest
        if is_whole or all(len(rungs[name].ts) >= need.candles for name, need in wanted.items()):
            tail = Tail(settings, calendar, instrument_id, rungs, is_whole=is_whole)
            tail.trim()
            return tail
        span_s *= 2


def _base_candles(rows: pa.Table, settings: Settings, calendar: SessionCalendar) -> Candles:
    close_ts = calendar.bucket_close(rows["ts"].to_numpy().astype(np.int64), settings.base_granularity)
    return candles_from_rows(rows.append_column("close_ts", pa.array(close_ts)))
