"""Which entries become candles: the rules of every source, for what comes from a stream.

Belongs here: reading fields, the account of entries that do not become candles. Does not belong here: the rules
(`market.validation`), what a candle changes (`live.worker`).
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import Candles, IntArray
from label_assets.live.candle_stream import FIELDS, Entry
from label_assets.live.tail import first_open_of
from label_assets.market.calendar import FIRST_TS, SessionCalendar
from label_assets.market.validation import (
    BROKEN_ROW,
    MISSING_STAMP,
    UNREADABLE_STAMP,
    VALID,
    CandleColumns,
    has_usable_stamp,
    reason_code,
    reason_codes,
    reason_of,
    rejection_detail,
)
from label_assets.market.weekend import is_weekend
from label_assets.settings import Settings
from label_assets.sources.batch import STREAM_FILE, RejectedCandle
from label_assets.sources.rows import rests_at_weekends

_VALUES = FIELDS[1:]


class Rejection(NamedTuple):
    """An entry that broke a rule, with its instrument."""

    instrument_id: str
    candle: RejectedCandle


class Intake(NamedTuple):
    """What became of n entries.

    Attributes:
        candles: n candles; only those of `accepted` mean anything.
        accepted: Positions of the entries that are candles.
        rejections: Those that break a rule.
        dropped: Number of those that were left out on purpose, by the name of the rule.
    """

    candles: Candles
    accepted: IntArray
    rejections: list[Rejection]
    dropped: dict[str, int]


class _Read(NamedTuple):
    numbers: list[float]
    stamp: float
    fault: str
    detail: str


def take_in(entries: Sequence[Entry], settings: Settings, calendar: SessionCalendar, now_ts: int) -> Intake:
    """Read entries and hold them against the rules.

    Args:
        entries: Any instruments, any order.
        settings: The settings.
        calendar: Trading session.
        now_ts: The present [epoch s]: a candle that closes later than this plus the tolerance is unfinished.
    """
    read = [_read(entry) for entry in entries]
    columns = _columns(read)
    latest = now_ts + settings.live.clock_tolerance_s
    codes = reason_codes(columns, settings.base_granularity, calendar, latest)
    ts = np.where(codes == VALID, columns.ts, FIRST_TS)
    is_filler = _is_filler(entries, columns, ts, codes, settings)
    is_early = (codes == VALID) & (ts < first_open_of(settings)) & ~is_filler
    bad = np.flatnonzero(codes != VALID).tolist()
    dropped = {"weekend_filler": int(is_filler.sum()), "before_first_month": int(is_early.sum())}
    return Intake(
        candles=Candles(
            ts,
            calendar.bucket_close(ts, settings.base_granularity),
            *(getattr(columns, name) for name in _VALUES),
        ),
        accepted=np.flatnonzero((codes == VALID) & ~is_filler & ~is_early),
        rejections=[
            _rejection(entries[row], read[row], columns, row, int(codes[row]), calendar, settings.base_granularity)
            for row in bad
        ],
        dropped={rule: count for rule, count in dropped.items() if count},
    )


def _read(entry: Entry) -> _Read:
    fields = entry.fields
    try:
        numbers = [float(fields[name.encode()]) for name in _VALUES[:-1]]
        numbers.append(float(fields.get(b"volume", b"0")))
        fault, detail = "", ""
    except (KeyError, ValueError) as error:
        numbers = [_number(fields.get(name.encode())) for name in _VALUES]
        missing = [name for name in _VALUES[:-1] if name.encode() not in fields]
        fault, detail = BROKEN_ROW, f"no field {', '.join(missing)}" if missing else str(error)
    stamp = fields.get(b"ts")
    if stamp is None:
        return _Read(numbers, np.nan, fault or MISSING_STAMP, detail)
    seconds = _number(stamp)
    if not np.isfinite(seconds) or abs(seconds) >= 2**53:
        return _Read(numbers, np.nan, fault or UNREADABLE_STAMP, detail or "ts is not in epoch seconds")
    return _Read(numbers, seconds, fault, detail)


def _number(text: bytes | None) -> float:
    try:
        return np.nan if text is None else float(text)
    except ValueError:
        return np.nan


def _columns(read: Sequence[_Read]) -> CandleColumns:
    stamps = np.array([row.stamp for row in read], np.float64)
    has_stamp = ~np.isnan(stamps)
    whole = np.floor(np.where(has_stamp, stamps, 0.0))
    values = np.array([row.numbers for row in read], np.float64).reshape(len(read), len(_VALUES))
    fault = np.array([reason_code(row.fault) if row.fault else VALID for row in read], np.int8)
    return CandleColumns(
        whole.astype(np.int64),
        has_stamp,
        has_stamp & (whole != stamps),
        **{name: np.ascontiguousarray(values[:, column]) for column, name in enumerate(_VALUES)},
        fault=fault,
    )


def _is_filler(
    entries: Sequence[Entry], columns: CandleColumns, ts: IntArray, codes: NDArray[np.int8], settings: Settings
) -> NDArray[np.bool_]:
    """Flat candles without volume while the FX week is closed, of instruments that rest then."""
    resting = {item.name for item in settings.instruments if rests_at_weekends(item.kind)}
    flat: NDArray[np.bool_] = (codes == VALID) & (columns.volume == 0) & (columns.high == columns.low)
    flat &= np.array([entry.instrument_id in resting for entry in entries], bool)
    if flat.any():
        flat[flat] = is_weekend(ts[flat])
    return flat


def _rejection(
    entry: Entry,
    read: _Read,
    columns: CandleColumns,
    row: int,
    code: int,
    calendar: SessionCalendar,
    granularity: str,
) -> Rejection:
    reason = reason_of(code) or ""
    detail = read.detail if read.fault else rejection_detail(columns, row, reason, calendar, granularity)
    usable = bool(has_usable_stamp(columns)[row])
    values = {name: value if np.isfinite(value) else None for name, value in zip(_VALUES, read.numbers, strict=True)}
    stamp = entry.fields.get(b"ts")
    return Rejection(
        entry.instrument_id,
        RejectedCandle(
            granularity=granularity,
            # Without a usable stamp it is filed under the time at which it came.
            ts=int(columns.ts[row]) if usable else max(FIRST_TS, int(entry.entry_id.split("-")[0]) // 1000),
            source_file=STREAM_FILE,
            line=zlib.crc32(entry.entry_id.encode()),
            stamp=None if stamp is None else stamp.decode(errors="replace")[:64],
            reason=reason,
            detail=f"{detail} (entry {entry.entry_id})".strip(),
            **values,
        ),
    )
