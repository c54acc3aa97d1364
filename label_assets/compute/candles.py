"""Candles of a source and of the ladder as rows.

Belongs here: which rows a range of months owns. Does not belong here: resampling (`market.resampling`), reading files
(`sources`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from label_assets.catalog.tables import CANDLES, RAW_CANDLES, REJECTED_CANDLES
from label_assets.compute.rows import candles_from_rows, rows_from_arrays
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.sources.batch import STREAM_FILE, CandleBatch, RejectedCandle
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope


class OwnedRows(NamedTuple):
    """Rows and the scope that holds exactly them."""

    scope: Scope
    rows: pa.Table


def raw_rows(batch: CandleBatch, stored: pa.Table) -> pa.Table:
    """What `raw_candles` should hold after a batch.

    A source speaks for the time from its first to its last row, each file for itself, and for nothing outside: a file
    that ends early or is taken away removes nothing, not even with a last row whose stamp is wrong. Where there is
    only a rejected row, the candle that was stored before stays.

    Args:
        batch: What the source has for a range of time.
        stored: Rows of `raw_candles` in that range, in the wire schema.

    Returns:
        Rows in the wire schema, in no order.
    """
    constants = {"instrument_id": batch.instrument, "granularity": batch.granularity}
    rows = rows_from_arrays(RAW_CANDLES, constants, batch.candles._asdict(), np.ones(len(batch.candles.ts), bool))
    stored_ts = stored["ts"].to_numpy().astype(np.int64)
    kept = np.ones(len(stored_ts), bool)
    for first_ts, last_ts in batch.spans:
        kept &= (stored_ts < first_ts) | (stored_ts > last_ts)
    kept |= np.isin(stored_ts, np.array([candle.ts for candle in batch.rejected], np.int64))
    kept &= ~np.isin(stored_ts, batch.candles.ts, assume_unique=True)
    return pa.concat_tables([rows, stored.filter(pa.array(kept))])


def rejected_rows(instrument_id: str, rejected: Sequence[RejectedCandle], stored: pa.Table | None = None) -> pa.Table:
    """Rows of `rejected_candles` in the wire schema.

    Args:
        instrument_id: The instrument.
        rejected: What a source rejects.
        stored: Rows of the same range; those of the live engine stay, which no source knows.
    """
    schema = REJECTED_CANDLES.wire_schema()
    columns = [
        pa.array(
            [instrument_id if name == "instrument_id" else getattr(candle, name) for candle in rejected],
            type=schema.field(name).type,
        )
        for name in schema.names
    ]
    rows = pa.Table.from_arrays(columns, schema=schema)
    if stored is None:
        return rows
    return pa.concat_tables([rows, stored.filter(pc.equal(stored["source_file"], STREAM_FILE))])


def candle_rows(
    warehouse: Warehouse,
    calendar: SessionCalendar,
    instrument_id: str,
    granularities: Sequence[str],
    time_range: tuple[int, int],
) -> OwnedRows:
    """Rows of `candles` of a range of months: the base and every coarser granularity, from `raw_candles`.

    A bucket belongs to the month in which it opens. One that straddles the start of the range needs base candles of
    the range, so those buckets are made again: the scope begins at the open of the coarsest bucket that holds the
    start. Where the history begins with the range there is no earlier month to mend.

    Args:
        warehouse: Where raw candles are.
        calendar: Trading session.
        instrument_id: The instrument.
        granularities: Stored granularities, base first, coarsest last.
        time_range: Start and end of the open times [epoch s], end not included.

    Returns:
        Rows in the wire schema, granularity by granularity, and their scope.
    """
    base, coarsest = granularities[0], granularities[-1]
    start_ts, end_ts = time_range
    earlier = warehouse.query("count_raw_candles_before", instrument=instrument_id, granularity=base, start=start_ts)
    first = int(calendar.bucket_open(np.array([start_ts]), coarsest)[0]) if earlier["found"][0].as_py() else start_ts
    last_open = calendar.bucket_open(np.array([end_ts - 1]), coarsest)
    raw = warehouse.query(
        "read_raw_candles_between",
        instrument=instrument_id,
        granularity=base,
        start=first,
        end=int(calendar.bucket_close(last_open, coarsest)[0]),
    )
    close_ts = calendar.bucket_close(raw["ts"].to_numpy().astype(np.int64), base)
    raw = raw.append_column("close_ts", pa.array(close_ts))
    base_candles = candles_from_rows(raw)
    rungs: dict[str, Candles] = {base: base_candles, **ladder(base_candles, base, calendar)}
    rows = []
    for name in granularities:
        candles = rungs[name]
        inside = (candles.ts >= first) & (candles.ts < end_ts)
        constants = {"instrument_id": instrument_id, "granularity": name}
        rows.append(rows_from_arrays(CANDLES, constants, candles._asdict(), inside))
    return OwnedRows(Scope(instrument_id, first, end_ts), pa.concat_tables(rows))
