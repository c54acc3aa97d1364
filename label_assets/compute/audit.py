"""Recomputes stored labels from raw candles whose future was replaced: what changes has looked ahead.

Belongs here: the scrambled future, recomputation of one row, comparison to the bit. Does not belong here: which rows
are audited and what a check does with a difference (`assets`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from label_assets.catalog.columns import Table
from label_assets.catalog.families import LABELS
from label_assets.catalog.granularities import DAY_S, granularity
from label_assets.catalog.tables import LABEL_BOOKKEEPING
from label_assets.compute import reach
from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.rows import candles_from_rows
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import resample
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse, select_list

COLUMNS = frozenset(column.name for column in LABELS.columns if column not in LABEL_BOOKKEEPING)
"""What must not change with candles that open at or after the horizon end."""

KNOWN_AT_ENTRY = frozenset(column.name for column in LABELS.columns if column.known_at_entry)
"""What must not change with candles that open at or after the entry."""

_TABLES_AT_ENTRY = tuple(
    table for table in COMPUTED_TABLES if any(column.name in KNOWN_AT_ENTRY for column in table.columns)
)

_NEAR_S = 28 * DAY_S
"""Rows of one such stretch share a reading: a month of rows behind a look-back of months to years [s]."""

_BAR_SIGMA = 0.01
"""Standard deviation of a scrambled base candle's log return: tens of times that of M15, so that it reaches labels."""


class RowKey(NamedTuple):
    """One row of labels."""

    instrument_id: str
    granularity: str
    horizon: int
    ts: int


class Difference(NamedTuple):
    """A column of a stored row that recomputing does not give.

    Attributes:
        key: The row.
        column: The column.
        stored: Value in the table.
        recomputed: Value from raw candles with a scrambled future.
        looks_ahead: With the true future the stored value comes out, so the future has entered it. Otherwise the row
            is not what the raw candles give: it is old, or somebody else wrote it.
    """

    key: RowKey
    column: str
    stored: object
    recomputed: object
    looks_ahead: bool


class _Evidence(NamedTuple):
    """What rows of one instrument and granularity are recomputed from: their look-back and some future.

    Attributes:
        candles: Candles of the granularity.
        raw: Base candles over the same time.
    """

    candles: Candles
    raw: Candles


def audit_rows(
    warehouse: Warehouse, calendar: SessionCalendar, settings: Settings, keys: Sequence[RowKey]
) -> list[Difference]:
    """Compare stored rows of `labels` with what raw candles give without the rows' future.

    All columns are computed with every base candle that opens at or after the horizon end replaced, those known at
    entry once more with every one that opens at or after the entry replaced.

    Args:
        warehouse: Where rows and raw candles are.
        calendar: Trading session.
        settings: The settings.
        keys: Rows whose window is complete, any order. Rows of one instrument and granularity that lie near each other
            in time share a reading of candles.

    Returns:
        One entry for each column that differs in a bit; of a row that is not stored, one without a column name.
    """
    stored = _stored_rows(warehouse, keys)
    recompute = partial(_recomputed, settings, calendar)
    read = _RawReader(warehouse, calendar, settings.base_granularity)
    groups = [list(group) for _, group in groupby(sorted(keys, key=_neighborhood), _neighborhood)]
    around = [_candles_around(warehouse, settings, near) for near in groups]
    found: dict[int, list[Difference]] = {}
    # The widest first: the others mostly lie within it, and its raw candles are theirs.
    for place in sorted(range(len(groups)), key=lambda place: (groups[place][0].instrument_id, -_span(around[place]))):
        near = groups[place]
        evidence = _Evidence(around[place], read(near[0].instrument_id, around[place]))
        found[place] = [item for key in near for item in _differences(recompute, evidence, key, stored.get(key, {}))]
    return [item for place in range(len(groups)) for item in found[place]]


def _span(candles: Candles) -> int:
    return int(candles.close_ts[-1] - candles.ts[0]) if len(candles.ts) else 0


class _RawReader:
    """Reads raw candles; a stretch of time within the one read last is cut out of it."""

    def __init__(self, warehouse: Warehouse, calendar: SessionCalendar, base: str) -> None:
        self._warehouse, self._calendar, self._base = warehouse, calendar, base
        self._last: tuple[str, int, int, Candles] | None = None

    def __call__(self, instrument_id: str, candles: Candles) -> Candles:
        """Raw candles from the first to the last of some candles, and the one that follows."""
        start_ts, end_ts = (int(candles.ts[0]), int(candles.close_ts[-1])) if len(candles.ts) else (0, 0)
        last = self._last
        if last is None or last[0] != instrument_id or not last[1] <= start_ts <= end_ts <= last[2]:
            last = self._last = (instrument_id, start_ts, end_ts, self._read(instrument_id, start_ts, end_ts))
        raw = last[3]
        first, end = np.searchsorted(raw.ts, (start_ts, end_ts))
        return Candles._make(array[first : end + 1] for array in raw)

    def _read(self, instrument_id: str, start_ts: int, end_ts: int) -> Candles:
        rows = self._warehouse.query(
            "read_raw_candles_between",
            instrument=instrument_id,
            granularity=self._base,
            start=start_ts,
            end=end_ts,
        )
        close_ts = self._calendar.bucket_close(rows["ts"].to_numpy().astype(np.int64), self._base)
        return candles_from_rows(rows.append_column("close_ts", [close_ts]))


def _neighborhood(key: RowKey) -> tuple[str, str, int]:
    return key.instrument_id, key.granularity, key.ts // _NEAR_S


def _differences(
    recompute: Callable[[RowKey, Candles, Sequence[Table]], dict[str, object]],
    evidence: _Evidence,
    key: RowKey,
    stored: Mapping[str, object],
) -> list[Difference]:
    candles = evidence.candles
    own = int(np.searchsorted(candles.ts, key.ts))
    if not stored or own == len(candles.ts):
        return [Difference(key, "", None, None, looks_ahead=False)]
    # Without a candle at its horizon end no complete row can come out: a difference whatever the future is.
    end_ts = int(candles.close_ts[min(own + key.horizon, len(candles.ts) - 1)])
    asked = ((COLUMNS, end_ts, COMPUTED_TABLES), (KNOWN_AT_ENTRY, int(candles.close_ts[own]), _TABLES_AT_ENTRY))
    differing: dict[str, object] = {}
    for columns, from_ts, tables in asked:
        found = recompute(key, scrambled(evidence.raw, from_ts, key), tables)
        differing |= {name: found.get(name) for name in columns if bits(found.get(name)) != bits(stored[name])}
    if not differing:
        return []
    true = recompute(key, evidence.raw, COMPUTED_TABLES)
    return [
        Difference(key, name, stored[name], value, looks_ahead=bits(true.get(name)) == bits(stored[name]))
        for name, value in sorted(differing.items())
    ]


def bits(value: object) -> object:
    """A value that is equal only to itself to the last bit: zeros differ by sign."""
    return value.hex() if isinstance(value, float) else value


def scrambled(raw: Candles, from_ts: int, key: RowKey) -> Candles:
    """The candles with every one that opens at `from_ts` or later replaced by a wild walk; times stay as they are.

    Args:
        raw: Candles in time order; returned as they are where none opens before `from_ts`.
        from_ts: When the replaced ones begin [epoch s].
        key: Another row has another walk; the same row always the same.
    """
    after = raw.ts >= from_ts
    count = int(after.sum())
    if count == len(after):
        return raw
    seed = blake2b(f"{key} {from_ts}".encode(), digest_size=8).digest()
    draw = np.random.default_rng(int.from_bytes(seed, "big"))
    walk = raw.close[~after][-1] * np.exp(_BAR_SIGMA * np.cumsum(draw.standard_normal(count + 1)))
    wicks = np.exp(_BAR_SIGMA * np.abs(draw.standard_normal((2, count))))
    changed = {name: getattr(raw, name).copy() for name in ("open", "high", "low", "close", "volume")}
    changed["open"][after], changed["close"][after] = walk[:-1], walk[1:]
    changed["high"][after] = np.maximum(walk[:-1], walk[1:]) * wicks[0]
    changed["low"][after] = np.minimum(walk[:-1], walk[1:]) / wicks[1]
    changed["volume"][after] += 1 + np.arange(count)
    return raw._replace(**changed)


def _stored_rows(warehouse: Warehouse, keys: Sequence[RowKey]) -> dict[RowKey, dict[str, Any]]:
    rows: dict[RowKey, dict[str, Any]] = {}
    for instrument_id in {key.instrument_id for key in keys}:
        stamps = sorted({key.ts for key in keys if key.instrument_id == instrument_id})
        found = warehouse.query_text(
            f"SELECT {select_list(LABELS.all_columns)} FROM labels AS t WHERE t.instrument_id = {{instrument:String}} "
            "AND toUnixTimestamp(t.ts) IN {stamps:Array(UInt32)}",
            instrument=instrument_id,
            stamps=stamps,
        ).cast(LABELS.wire_schema())
        rows |= {RowKey(*(row[name] for name in LABELS.key_names)): row for row in found.to_pylist()}
    return rows


def _candles_around(warehouse: Warehouse, settings: Settings, keys: Sequence[RowKey]) -> Candles:
    """Candles from the first that may enter a row to twice the longest horizon after the last row."""
    first, last = min(keys, key=lambda key: key.ts), max(keys, key=lambda key: key.ts)
    around = reach.slice_reach(settings, first.granularity)
    return candles_from_rows(
        warehouse.query(
            "read_candles_around",
            instrument=first.instrument_id,
            granularity=first.granularity,
            start=first.ts,
            end=last.ts + 1,
            before=around.back,
            after=2 * around.forward + 1,
        )
    )


def _recomputed(
    settings: Settings, calendar: SessionCalendar, key: RowKey, raw: Candles, tables: Sequence[Table]
) -> dict[str, object]:
    """Columns of one row from raw candles, by the functions that the assets use; empty if its candle does not exist."""
    base, path = settings.base_granularity, str(granularity(key.granularity).path)
    market = MarketSlice(
        key.instrument_id,
        key.granularity,
        key.ts,
        key.ts + 1,
        resample(raw, key.granularity, calendar),
        raw if path == base else resample(raw, path, calendar),
    )
    row: dict[str, object] = {}
    if key.ts not in market.candles.ts:
        return row
    for table in tables:
        for found in compute_rows(table, market, key.horizon, settings.labels).rows.to_pylist():
            row |= found
    return row
