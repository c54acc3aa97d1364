"""Candles that arrived and are not in the labels yet: which ones, and which months they reach.

Belongs here: comparing what should be stored with what is. Does not belong here: when to look and what to start
(`assets.sensors`), how far a row looks (`compute.reach`).
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from label_assets.catalog.tables import CANDLES, RAW_CANDLES
from label_assets.compute.candles import raw_rows
from label_assets.compute.revisions import find_changes, read_affected_months, read_history
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.batch import Source
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.schema import storage_name
from label_assets.warehouse.upsert import Scope


class Arrival(NamedTuple):
    """Base candles of one instrument that came, changed or went.

    Attributes:
        instrument_id: The instrument.
        first_ts: Open time of the first such candle [epoch s].
        last_ts: Open time of the last one [epoch s].
        candles: How many there are.
        first_month: First month whose rows they can change, `YYYY-MM`.
        last_month: Last one, included.
    """

    instrument_id: str
    first_ts: int
    last_ts: int
    candles: int
    first_month: str
    last_month: str


class Watermark(NamedTuple):
    """The newest write to the raw candles of one instrument.

    Attributes:
        instrument_id: The instrument.
        version: Version of its newest row.
    """

    instrument_id: str
    version: int


def find_source_arrival(
    warehouse: Warehouse, settings: Settings, source: Source, instrument_id: str, now_ts: int
) -> Arrival | None:
    """What the source has of an instrument that `raw_candles` does not, in the configured months.

    Args:
        warehouse: Where raw candles are.
        settings: The settings.
        source: Where candles come from.
        instrument_id: The instrument.
        now_ts: The present [epoch s].

    Returns:
        The candles that would change, or None where all is stored as the source has it.

    Raises:
        SourceError: as `Source.read`.
    """
    base = settings.base_granularity
    span = source.span(instrument_id, base)
    if span is None:
        return None
    first_day = int(np.datetime64(settings.first_day, "s").astype(np.int64))
    start_ts, end_ts = max(span[0], first_day), min(span[1], now_ts) + 1
    if start_ts >= end_ts:
        return None
    scope = Scope(instrument_id, start_ts, end_ts, base)
    stored = warehouse.read(RAW_CANDLES, scope)
    batch = source.read(instrument_id, base, start_ts, end_ts, now_ts)
    return _arrival(warehouse, settings, instrument_id, stored, raw_rows(batch, stored))


def newest_raw_versions(warehouse: Warehouse, settings: Settings) -> list[Watermark]:
    """Newest version of the raw candles of every configured instrument that has any."""
    names = [instrument.name for instrument in settings.instruments]
    rows = warehouse.query(
        "read_newest_raw_versions",
        storage=storage_name(RAW_CANDLES),
        instruments=names,
        granularity=settings.base_granularity,
    ).to_pylist()
    return [Watermark(str(row["instrument_id"]), int(row["version"])) for row in rows]


def find_stored_arrival(
    warehouse: Warehouse, settings: Settings, instrument_id: str, after_version: int
) -> Arrival | None:
    """Raw candles written after a version that `candles` does not have as they are.

    Whoever wrote them: rows of a run of ours are in `candles` once that run is over.

    Args:
        warehouse: Where candles are.
        settings: The settings.
        instrument_id: The instrument.
        after_version: Only rows of higher versions are looked at.
    """
    base = settings.base_granularity
    written = warehouse.query(
        "read_raw_candles_written_after",
        storage=storage_name(RAW_CANDLES),
        instrument=instrument_id,
        granularity=base,
        version=after_version,
    ).to_pylist()[0]
    if not written["found"]:
        return None
    first_day = int(np.datetime64(settings.first_day, "s").astype(np.int64))
    scope = Scope(instrument_id, max(int(written["first_ts"]), first_day), int(written["last_ts"]) + 1, base)
    if scope.start_ts >= scope.end_ts:
        return None
    known = warehouse.read(CANDLES, scope).select(RAW_CANDLES.wire_schema().names)
    return _arrival(warehouse, settings, instrument_id, known, warehouse.read(RAW_CANDLES, scope))


def _arrival(
    warehouse: Warehouse, settings: Settings, instrument_id: str, known: pa.Table, rows: pa.Table
) -> Arrival | None:
    history = read_history(warehouse, instrument_id, settings.base_granularity)
    changes = find_changes(settings.base_granularity, known, rows, history)
    span = changes.span
    if span is None:
        return None
    calendar = SessionCalendar(settings.session_open)
    months = read_affected_months(warehouse, settings, calendar, instrument_id, span)
    count = len(changes.revisions.ts) + len(changes.added_ts)
    return Arrival(instrument_id, *span, count, *months)
