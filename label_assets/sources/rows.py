"""From rows of files to one batch: filing, validation, duplicates. Every file format shares it.

Belongs here: rules about rows that do not depend on the format. Does not belong here: the rules about a single candle
(`market.validation`), reading files.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.errors import SourceUnreadableError
from label_assets.kernels.arrays import Candles, IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.market.validation import (
    MISSING_HOUR,
    REASONS,
    SUPERSEDED,
    VALID,
    WRONG_STAMPS,
    CandleColumns,
    has_usable_stamp,
    reason_code,
    reason_codes,
    reason_of,
    rejection_detail,
)
from label_assets.market.weekend import is_weekend
from label_assets.sources.batch import CandleBatch, RejectedCandle
from label_assets.sources.clocks import Clock, to_utc
from label_assets.sources.raw_rows import RawRows, StampTexts

IDENTICAL_DUPLICATE = "identical_duplicate"
WEEKEND_FILLER = "weekend_filler"
OUTSIDE_DECLARED_DATES = "outside_declared_dates"
UNFINISHED_BUCKET = "unfinished_bucket"
ANOTHER_SOURCE_WINS = "another_source_wins"

DROP_RULES: dict[str, str] = {
    IDENTICAL_DUPLICATE: "A later file or row has the same values for the same candle.",
    WEEKEND_FILLER: "A flat candle without volume while the FX week is closed.",
    OUTSIDE_DECLARED_DATES: "A row before `first` or after `last` of its declaration.",
    UNFINISHED_BUCKET: "A row finer than the base whose base candle is not finished: no later row exists yet.",
    ANOTHER_SOURCE_WINS: "A later declaration of the same instrument has the candle too.",
}
"""Why a row is left out on purpose, one sentence each."""

UNSORTED_ROWS = "unsorted_rows"
REPEATED_HOUR_ROWS = "repeated_hour_rows"

_VALUES = ("open", "high", "low", "close", "volume")
_WRONG_STAMP_CODES = [reason_code(name) for name in WRONG_STAMPS]
_SPAN_CHUNK = 4096


class FileRows(NamedTuple):
    """Rows of one file, sorted by the time under which they are filed. Made by `file_rows`.

    Attributes:
        name: Name of the file, without folders.
        modified_ns: Modification time of the file [ns since 1970]: of two files the later one wins.
        filed_ts: Time under which each row is filed [epoch s, UTC], non-decreasing.
        line: 1-based number of each row in the file; increasing among rows of equal `filed_ts`.
        is_unsorted: The row stands after one with a later stamp.
        is_repeated: The row is of an hour that the clock showed twice.
        columns: Values, in the same order.
        stamp_texts: Gives the time stamps of some lines as the file has them.
        fault_details: What the reader or the clock found wrong, in words, by line.
    """

    name: str
    modified_ns: int
    filed_ts: IntArray
    line: IntArray
    is_unsorted: NDArray[np.bool_]
    is_repeated: NDArray[np.bool_]
    columns: CandleColumns
    stamp_texts: StampTexts
    fault_details: Mapping[int, str]


WEEKDAY_KINDS = frozenset({"fx", "metal", "index"})
"""Kinds of instruments that rest while the FX week is closed."""


def rests_at_weekends(kind: str | None) -> bool:
    """Whether a flat candle without volume in the FX weekend of such an instrument is filler."""
    return kind in WEEKDAY_KINDS


class Rules(NamedTuple):
    """Which rows a declaration leaves out on purpose.

    Attributes:
        drops_weekend_filler: Flat candles without volume in the FX weekend are no candles.
        first_ts: Rows before it do not count [epoch s].
        end_ts: Rows from it on do not count [epoch s].
    """

    drops_weekend_filler: bool = False
    first_ts: int = np.iinfo(np.int64).min
    end_ts: int = np.iinfo(np.int64).max


class Window(NamedTuple):
    """The part that is asked for: start_ts ≤ ts < end_ts, read at now_ts [epoch s, UTC]."""

    start_ts: int
    end_ts: int
    now_ts: int


class _Expected(NamedTuple):
    """What the rows were meant to be."""

    granularity: str
    calendar: SessionCalendar


class _Rows(NamedTuple):
    """Rows of all files within a window, in order of precedence; `file` is an index into the list of files."""

    file: IntArray
    line: IntArray
    filed_ts: IntArray
    columns: CandleColumns


def file_rows(name: str, modified_ns: int, raw: RawRows, clock: Clock | None) -> FileRows:
    """Put the rows of one file on UTC, file and sort them.

    A row is filed under its stamp. A row without a usable stamp (missing, unreadable, skipped by the clock, or outside
    1990..2037) is filed under the first usable stamp of the file.

    Args:
        name: Name of the file, without folders.
        modified_ns: Modification time of the file [ns since 1970].
        raw: Rows in the order of the file.
        clock: Clock of the stamps; None where they are UTC.

    Raises:
        SourceUnreadableError: when the file has rows, but none with a usable stamp: no month could report them.
    """
    columns, is_repeated, details = _on_utc(raw, clock)
    usable = has_usable_stamp(columns)
    if len(usable) and not usable.any():
        raise SourceUnreadableError(
            asked=f"candles of file {name}",
            found=f"{len(usable)} rows, none with a time stamp from 1990 to 2037"
            + (f" (line {next(iter(details))}: {next(iter(details.values()))})" if details else ""),
            allowed="at least one row with such a stamp",
            action="check the unit and the column of the time stamps, or take the file away",
        )
    filed_ts = columns.ts if usable.all() else np.where(usable, columns.ts, columns.ts[np.argmax(usable)])
    latest_before = np.maximum.accumulate(np.where(usable, columns.ts, np.iinfo(np.int64).min))
    is_unsorted = usable & (columns.ts < latest_before)
    line = raw.line
    if len(filed_ts) and (np.diff(filed_ts) < 0).any():
        order = np.argsort(filed_ts, kind="stable")
        filed_ts, line = filed_ts[order], line[order]
        is_unsorted, is_repeated = is_unsorted[order], is_repeated[order]
        columns = _taken(columns, order)
    return FileRows(name, modified_ns, filed_ts, line, is_unsorted, is_repeated, columns, raw.stamp_texts, details)


def _on_utc(raw: RawRows, clock: Clock | None) -> tuple[CandleColumns, NDArray[np.bool_], Mapping[int, str]]:
    """Rows with UTC stamps, which of them are of a repeated hour, and the words of every fault by line."""
    ts, has_stamp, fault, details = raw.stamp_s, raw.has_stamp, raw.fault, raw.fault_details
    is_repeated = np.zeros(len(ts), np.bool_)
    if clock is not None and len(ts):
        known = np.flatnonzero(has_stamp)
        stamps = to_utc(ts[known], clock)
        ts, has_stamp, fault = ts.copy(), has_stamp.copy(), fault.copy()
        ts[known] = stamps.ts
        is_repeated[known] = stamps.is_repeated
        missing = known[stamps.is_missing]
        has_stamp[missing] = False
        fault[missing] = np.where(fault[missing] == VALID, reason_code(MISSING_HOUR), fault[missing])
        skipped = {
            int(
                raw.line[row]
            ): f"{datetime.fromtimestamp(int(raw.stamp_s[row]), UTC):%Y-%m-%d %H:%M:%S} does not exist "
            f"on the clock {clock.name}"
            for row in missing.tolist()
        }
        details = skipped | dict(details)
    columns = CandleColumns(ts, has_stamp, raw.has_fraction, raw.open, raw.high, raw.low, raw.close, raw.volume, fault)
    return columns, is_repeated, details


def assemble(
    instrument: str,
    granularity: str,
    files: Sequence[FileRows],
    window: Window,
    calendar: SessionCalendar,
    rules: Rules = Rules(),  # noqa: B008 - immutable
) -> CandleBatch:
    """One batch from all files of an instrument: reject, drop, let the later one win, account for every row.

    Of several valid rows with one stamp the last in order of (modification time of the file, name of the file, line)
    is stored. The others are dropped as `identical_duplicate` where all five values are equal to the stored ones, and
    rejected as `superseded` otherwise. Rejected and dropped rows take no part in this.

    Args:
        instrument: Name of the instrument.
        granularity: Name of the granularity.
        files: All files of the instrument and granularity, at least one, any order.
        window: Rows whose filed time lies in it count.
        calendar: Trading session that H4, D and W follow.
        rules: Rows that are left out on purpose.

    Returns:
        A batch whose account has been checked.
    """
    ordered = sorted(files, key=lambda rows: (rows.modified_ns, rows.name))
    cuts = [
        slice(*(int(i) for i in np.searchsorted(rows.filed_ts, (window.start_ts, window.end_ts)))) for rows in ordered
    ]
    expected = _Expected(granularity, calendar)
    rows = _joined(ordered, cuts)
    codes = reason_codes(rows.columns, granularity, calendar, window.now_ts)
    outside, filler = _left_out(rows, codes, rules)
    stored, identical, superseded, winner = _settled(
        rows.columns, np.flatnonzero((codes == VALID) & ~outside & ~filler)
    )
    codes[superseded] = reason_code(SUPERSEDED)
    codes[outside] = VALID
    ts = rows.columns.ts[stored]
    dropped: dict[str, int] = {
        OUTSIDE_DECLARED_DATES: int(np.count_nonzero(outside)),
        WEEKEND_FILLER: int(np.count_nonzero(filler)),
        IDENTICAL_DUPLICATE: len(identical),
    }
    notes = {
        UNSORTED_ROWS: sum(np.count_nonzero(f.is_unsorted[cut]) for f, cut in zip(ordered, cuts, strict=True)),
        REPEATED_HOUR_ROWS: sum(np.count_nonzero(f.is_repeated[cut]) for f, cut in zip(ordered, cuts, strict=True)),
    }
    batch = CandleBatch(
        instrument=instrument,
        granularity=granularity,
        candles=Candles(
            ts, calendar.bucket_close(ts, granularity), *(getattr(rows.columns, name)[stored] for name in _VALUES)
        ),
        rejected=_rejected(rows, codes, winner, ordered, expected),
        dropped={rule: count for rule, count in dropped.items() if count},
        rows_in=len(rows.line),
        spans=tuple(span for f in ordered if (span := _span(f, expected, window.now_ts, rules))),
        files=tuple(f.name for f, cut in zip(ordered, cuts, strict=True) if cut.stop > cut.start),
        notes={name: int(count) for name, count in notes.items() if count},
    )
    batch.check_accounting()
    return batch


def _left_out(rows: _Rows, codes: NDArray[np.int8], rules: Rules) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows outside the declared dates, valid or not; valid rows that fill a weekend."""
    outside = (rows.filed_ts < rules.first_ts) | (rows.filed_ts >= rules.end_ts)
    filler = np.zeros(len(codes), np.bool_)
    if rules.drops_weekend_filler:
        columns = rows.columns
        flat = (columns.volume == 0) & (columns.high == columns.low) & (codes == VALID) & ~outside
        flat[flat] = is_weekend(columns.ts[flat])
        filler = flat
    return outside, filler


def _span(file: FileRows, expected: _Expected, now_ts: int, rules: Rules) -> tuple[int, int] | None:
    """First and last time of a file's rows whose stamp is not itself what is wrong; None where there is none.

    Rows outside the declared dates do not widen it.
    """
    inside = slice(*(int(i) for i in np.searchsorted(file.filed_ts, (rules.first_ts, rules.end_ts))))
    file = file._replace(line=file.line[inside], columns=_taken(file.columns, inside))
    ends = []
    for backwards in (False, True):
        for first in range(0, len(file.line), _SPAN_CHUNK):
            part = np.arange(first, min(first + _SPAN_CHUNK, len(file.line)))
            part = len(file.line) - 1 - part if backwards else part
            codes = reason_codes(_taken(file.columns, part), expected.granularity, expected.calendar, now_ts)
            right = part[~np.isin(codes, _WRONG_STAMP_CODES)]
            if len(right):
                ends.append(int(file.columns.ts[right[0]]))
                break
    return (ends[0], ends[1]) if ends else None


def _settled(columns: CandleColumns, valid: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Settle rows of equal stamp.

    Args:
        columns: Rows in order of precedence.
        valid: Indices of the valid ones, increasing.

    Returns:
        Indices of the rows to store (by ts), of identical duplicates, of superseded rows; and for every row of
        `columns` the index of the row that won against it (its own where there was no contest).
    """
    valid = valid[np.argsort(columns.ts[valid], kind="stable")]
    ts = columns.ts[valid]
    is_last = np.append(ts[1:] != ts[:-1], True)[: len(ts)]
    stored, losers = valid[is_last], valid[~is_last]
    winner = np.arange(len(columns.ts))
    winner[losers] = stored[np.searchsorted(columns.ts[stored], columns.ts[losers])]
    is_identical = np.ones(len(losers), np.bool_)
    for name in _VALUES:
        column = getattr(columns, name)
        is_identical &= column[losers] == column[winner[losers]]
    return stored, losers[is_identical], losers[~is_identical], winner


def _rejected(
    rows: _Rows, codes: NDArray[np.int8], winner: IntArray, files: Sequence[FileRows], expected: _Expected
) -> tuple[RejectedCandle, ...]:
    bad = np.flatnonzero(codes != VALID)
    bad = bad[np.lexsort((rows.line[bad], rows.file[bad], rows.filed_ts[bad]))]
    stamps = _stamps(rows, bad, files)
    found = []
    for row in bad.tolist():
        reason = reason_of(int(codes[row])) or ""
        number, line = int(rows.file[row]), int(rows.line[row])
        if reason == SUPERSEDED:
            detail = _superseded_detail(rows, row, int(winner[row]), files)
        elif rows.columns.fault[row] != VALID:
            detail = files[number].fault_details.get(line, REASONS[reason])
        else:
            detail = rejection_detail(rows.columns, row, reason, expected.calendar, expected.granularity)
        prices = (float(getattr(rows.columns, name)[row]) for name in _VALUES)
        values = {name: value if np.isfinite(value) else None for name, value in zip(_VALUES, prices, strict=True)}
        found.append(
            RejectedCandle(
                granularity=expected.granularity,
                ts=int(rows.filed_ts[row]),
                source_file=files[number].name,
                line=line,
                stamp=stamps[number, line],
                reason=reason,
                detail=detail,
                **values,
            )
        )
    return tuple(found)


def _stamps(rows: _Rows, bad: IntArray, files: Sequence[FileRows]) -> dict[tuple[int, int], str | None]:
    """Time stamps as found, by (index of the file, line)."""
    stamps: dict[tuple[int, int], str | None] = {}
    for number in np.unique(rows.file[bad]).tolist():
        lines = rows.line[bad[rows.file[bad] == number]]
        texts = files[number].stamp_texts(lines)
        stamps.update({(number, line): text for line, text in zip(lines.tolist(), texts, strict=True)})
    return stamps


def _superseded_detail(rows: _Rows, row: int, winner: int, files: Sequence[FileRows]) -> str:
    values = ((name, getattr(rows.columns, name)) for name in _VALUES)
    differences = [
        f"{name} {float(column[row])!r}, now {float(column[winner])!r}"
        for name, column in values
        if column[row] != column[winner]
    ]
    return f"{', '.join(differences)} (line {rows.line[winner]} of {files[int(rows.file[winner])].name})"


def _joined(files: Sequence[FileRows], cuts: Sequence[slice]) -> _Rows:
    cut_files = list(zip(files, cuts, strict=True))
    parts = [_taken(rows.columns, cut) for rows, cut in cut_files]
    return _Rows(
        file=np.repeat(np.arange(len(cuts)), [cut.stop - cut.start for cut in cuts]),
        line=np.concatenate([rows.line[cut] for rows, cut in cut_files]),
        filed_ts=np.concatenate([rows.filed_ts[cut] for rows, cut in cut_files]),
        columns=CandleColumns._make(np.concatenate(column) for column in zip(*parts, strict=True)),
    )


def _taken(columns: CandleColumns, rows: slice | IntArray) -> CandleColumns:
    return CandleColumns._make(column[rows] for column in columns)
