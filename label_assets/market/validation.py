"""Which candles may enter the pipeline, and why one may not: LABELS.md §1, DESIGN.md §6.

Belongs here: rules that look at one candle, and which stored candles break one, for asset checks. Does not belong here:
which of two candles of the same time wins (`sources`), gaps between candles (they are a market's business).
"""

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import Candles, FloatArray, IntArray
from label_assets.market.calendar import END_TS, FIRST_TS, SessionCalendar

BROKEN_ROW = "broken_row"
UNREADABLE_STAMP = "unreadable_stamp"
MISSING_STAMP = "missing_stamp"
MISSING_HOUR = "missing_hour"
STAMP_OUT_OF_RANGE = "stamp_out_of_range"
MISALIGNED_STAMP = "misaligned_stamp"
UNFINISHED = "unfinished"
NON_FINITE_PRICE = "non_finite_price"
NON_POSITIVE_PRICE = "non_positive_price"
OHLC_VIOLATION = "ohlc_violation"
BAD_VOLUME = "bad_volume"
SUPERSEDED = "superseded"

REASONS: dict[str, str] = {
    BROKEN_ROW: "The row does not have the columns or values that its format has.",
    UNREADABLE_STAMP: "The time stamp is not of the declared format, or no date.",
    MISSING_HOUR: "The local time does not exist on the declared clock: clocks were put forward over it.",
    MISSING_STAMP: "The row has no time stamp.",
    STAMP_OUT_OF_RANGE: "The time stamp lies outside 1990 to 2037.",
    MISALIGNED_STAMP: "The time stamp is not a bucket open of the granularity, or has a fraction of a second.",
    UNFINISHED: "The candle was not finished when it was read: its close time lay in the future.",
    NON_FINITE_PRICE: "A price is missing, infinite or not a number.",
    NON_POSITIVE_PRICE: "A price is zero or negative.",
    OHLC_VIOLATION: "The high is not the highest or the low is not the lowest of the four prices.",
    BAD_VOLUME: "The volume is missing, negative or not finite.",
    SUPERSEDED: "A later file or a later row has other values for the same candle.",
}
"""Why a row is rejected, one sentence each. Of several reasons the first in this order is given. `superseded` is the
only one that a source decides (`sources.rows`); all others depend on the row alone. The first three, and `unfinished`
where a format says so itself, are found by readers and clocks and come in as `CandleColumns.fault`."""

WRONG_STAMPS = (
    BROKEN_ROW,
    UNREADABLE_STAMP,
    MISSING_HOUR,
    MISSING_STAMP,
    STAMP_OUT_OF_RANGE,
    MISALIGNED_STAMP,
    UNFINISHED,
)
"""Reasons that leave open which candle a row is of."""

VALID = 0
"""Code of a row without a reason to reject it; the other codes are 1 + the position in `REASONS`."""
_NAMES = tuple(REASONS)


class CandleColumns(NamedTuple):
    """Rows as a source has them, before any rule; one element a row.

    Attributes:
        ts: Open time, rounded down to whole seconds [epoch s, UTC]; any value where `has_stamp` is false.
        has_stamp: The row has a time stamp.
        has_fraction: The time stamp has a part below one second.
        open: First price; NaN where missing. The same holds for the next four.
        high: Highest price.
        low: Lowest price.
        close: Last price.
        volume: Volume.
        fault: What was found wrong before any rule: code of a reason (see `reason_code`), 0 for nothing.
    """

    ts: IntArray
    has_stamp: NDArray[np.bool_]
    has_fraction: NDArray[np.bool_]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    fault: NDArray[np.int8]


def has_usable_stamp(columns: CandleColumns) -> NDArray[np.bool_]:
    """Rows with a stamp that lies in 1990..2037: those that belong to a month."""
    return columns.has_stamp & (columns.ts >= FIRST_TS) & (columns.ts < END_TS)


def reason_codes(columns: CandleColumns, granularity: str, calendar: SessionCalendar, now_ts: int) -> NDArray[np.int8]:
    """The reason to reject each row.

    Args:
        columns: n rows, any order.
        granularity: Name of the granularity that the rows are meant to be.
        calendar: Trading session that H4, D and W follow.
        now_ts: The time at which the rows were read [epoch s]: a candle with close_ts > now_ts is unfinished.

    Returns:
        int8 (n,): `VALID`, or the code of the first reason of `REASONS` that holds. See `reason_of`.
    """
    o, h, l, c = columns.open, columns.high, columns.low, columns.close  # noqa: E741 - the names of LABELS.md
    usable = has_usable_stamp(columns)
    # Rows without a usable stamp get a stand-in: the calendar refuses what it has no buckets for.
    ts = np.where(usable, columns.ts, FIRST_TS)
    finite = np.isfinite(o) & np.isfinite(h) & np.isfinite(l) & np.isfinite(c)
    with np.errstate(invalid="ignore"):
        tests = {
            MISSING_STAMP: ~columns.has_stamp,
            STAMP_OUT_OF_RANGE: ~usable,
            MISALIGNED_STAMP: columns.has_fraction | ~calendar.is_open(ts, granularity),
            UNFINISHED: calendar.bucket_close(ts, granularity) > now_ts,
            NON_FINITE_PRICE: ~finite,
            NON_POSITIVE_PRICE: (o <= 0) | (h <= 0) | (l <= 0) | (c <= 0),
            OHLC_VIOLATION: _violates_ohlc(o, h, l, c),
            BAD_VOLUME: ~(np.isfinite(columns.volume) & (columns.volume >= 0)),
        }
    codes = np.zeros(len(ts), np.int8)
    for name in reversed(tests):  # the first reason is written last
        codes[tests[name]] = reason_code(name)
    return np.where(columns.fault != VALID, columns.fault, codes).astype(np.int8)


def reason_code(name: str) -> int:
    """Code of a reason of `REASONS`."""
    return _NAMES.index(name) + 1


def reason_of(code: int) -> str | None:
    """Name of the reason behind a code; None for a valid row."""
    return None if code == VALID else _NAMES[code - 1]


def rejection_detail(columns: CandleColumns, row: int, reason: str, calendar: SessionCalendar, granularity: str) -> str:
    """What is wrong with one rejected row, with its values ("high 1.1 < low 1.2").

    Args:
        columns: The rows.
        row: Index of the row.
        reason: Its reason, as `reason_of` names it.
        calendar: Trading session.
        granularity: Name of the granularity that the row is meant to be.
    """
    if reason == MISSING_STAMP:
        return "no stamp"
    if reason in (STAMP_OUT_OF_RANGE, MISALIGNED_STAMP, UNFINISHED):
        return _stamp_detail(int(columns.ts[row]), bool(columns.has_fraction[row]), reason, calendar, granularity)
    prices = {name: float(getattr(columns, name)[row]) for name in ("open", "high", "low", "close")}
    if reason == NON_FINITE_PRICE:
        return ", ".join(f"{name} {_value(value)}" for name, value in prices.items() if not np.isfinite(value))
    if reason == NON_POSITIVE_PRICE:
        return ", ".join(f"{name} {value!r}" for name, value in prices.items() if value <= 0)
    if reason == OHLC_VIOLATION:
        return _ohlc_detail(prices)
    return f"volume {_value(float(columns.volume[row]))}"


def breaks_ohlc(candles: Candles) -> NDArray[np.bool_]:
    """Candles with a price that is not a positive number, or whose high or low is not the extreme."""
    o, h, l, c = candles.open, candles.high, candles.low, candles.close  # noqa: E741
    with np.errstate(invalid="ignore"):
        # The comparisons are written so that NaN fails them; low > 0 covers all four prices of a sound candle.
        sound = (h >= o) & (h >= c) & (l <= o) & (l <= c) & (l > 0) & (h < np.inf)
    return np.asarray(~sound)


def is_misaligned(ts: IntArray, granularity: str, calendar: SessionCalendar) -> NDArray[np.bool_]:
    """Stamps that are not a bucket open of the granularity, or lie outside 1990..2037."""
    aligned = (ts >= FIRST_TS) & (ts < END_TS)
    aligned[aligned] = calendar.is_open(ts[aligned], granularity)
    return ~aligned


def opens_too_early(ts: IntArray, close_ts: IntArray) -> NDArray[np.bool_]:
    """Candles that open before the one in the row before has closed; stamps out of order are among them."""
    return np.append(False, ts[1:] < close_ts[:-1])[: len(ts)]


def repeats_stamp(ts: IntArray) -> NDArray[np.bool_]:
    """Rows with the stamp of an earlier row, in any order."""
    repeats = np.ones(len(ts), bool)
    repeats[np.unique(ts, return_index=True)[1]] = False
    return repeats


def _violates_ohlc(o: FloatArray, h: FloatArray, l: FloatArray, c: FloatArray) -> NDArray[np.bool_]:  # noqa: E741
    return np.asarray((h < np.maximum(np.maximum(o, c), l)) | (l > np.minimum(np.minimum(o, c), h)))


def _stamp_detail(ts: int, has_fraction: bool, reason: str, calendar: SessionCalendar, granularity: str) -> str:
    if reason == STAMP_OUT_OF_RANGE:
        return f"stamp {_text(ts)} outside 1990 to 2037"
    if reason == UNFINISHED:
        return f"closes at {_text(int(calendar.bucket_close(ts, granularity)))}"
    if has_fraction:
        return f"stamp {_text(ts)} plus a fraction of a second"
    opens = int(calendar.bucket_open(ts, granularity))
    return f"stamp {_text(ts)}, {ts - opens} s after the {granularity} open {_text(opens)}"


def _ohlc_detail(prices: dict[str, float]) -> str:
    high, low = prices["high"], prices["low"]
    found = [f"high {high!r} < {name} {prices[name]!r}" for name in ("open", "low", "close") if high < prices[name]]
    found += [f"low {low!r} > {name} {prices[name]!r}" for name in ("open", "close") if low > prices[name]]
    return ", ".join(found)


def _value(value: float) -> str:
    return "missing" if np.isnan(value) else repr(value)


def _text(ts: int) -> str:
    """Stamp as ISO text; the plain number where the year has no four digits."""
    try:
        return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{ts} s since 1970"
