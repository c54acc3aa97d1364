"""From rows of files to one batch: filing, validation, duplicates. Every file format shares it.

Belongs here: rules about rows that do not depend on the format. Does not belong here: the rules about a single candle
(`market.validation`), reading files.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.errors import SourceUnreadableError
from label_assets.kernels.arrays import Candles, IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.market.validation import (
    REASONS,
    SUPERSEDED,
    VALID,
    WRONG_STAMPS,
    CandleColumns,
    has_usable_stamp,
    reason_codes,
    reason_of,
    rejection_detail,
)
from label_assets.sources.batch import CandleBatch, RejectedCandle

IDENTICAL_DUPLICATE = "identical_duplicate"
UNSORTED_ROWS = "unsorted_rows"

StampTexts = Callable[[IntArray], list[str | None]]

_VALUES = ("open", "high", "low", "close", "volume")
_WRONG_STAMP_CODES = [list(REASONS).index(name) + 1 for name in WRONG_STAMPS]
_SPAN_CHUNK = 4096
_SUPERSEDED_CODE = list(REASONS).index(SUPERSEDED) + 1


class FileRows(NamedTuple):
    """Rows of one file, sorted by the time under which they are filed. Made by `file_rows`.

    Attributes:
        name: Name of the file, without folders.
        modified_ns: Modification time of the file [ns since 1970]: of two files the later one wins.
        filed_ts: Time under which each row is filed [epoch s, UTC], non-decreasing.
        line: 1-based number of each row in the file; increasing among rows of equal `filed_ts`.
        is_unsorted: The row stands after one with a later stamp.
        columns: Values, in the same order.
        stamp_texts: Gives the time stamps of some lines as the file has them.
    """

    name: str
    modified_ns: int
    filed_ts: IntArray
    line: IntArray
    is_unsorted: NDArray[np.bool_]
    columns: CandleColumns
    stamp_texts: StampTexts


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


def file_rows(name: str, modified_ns: int, columns: CandleColumns, stamp_texts: StampTexts) -> FileRows:
    """File and sort the rows of one file.

    A row is filed under its stamp. A row without a usable stamp (missing, or outside 1990..2037) is filed under the
    first usable stamp of the file.

    Args:
        name: Name of the file, without folders.
        modified_ns: Modification time of the file [ns since 1970].
        columns: Rows in the order of the file.
        stamp_texts: Gives the time stamps of some lines (1-based) as the file has them.

    Raises:
        SourceUnreadableError: when the file has rows, but none with a usable stamp: no month could report them.
    """
    usable = has_usable_stamp(columns)
    if len(usable) and not usable.any():
        raise SourceUnreadableError(
            asked=f"candles of file {name}",
            found=f"{len(usable)} rows, none with a time stamp from 1990 to 2037",
            allowed="at least one row with such a stamp",
            action="check the unit and the column of the time stamps, or take the file away",
        )
    filed_ts = columns.ts if usable.all() else np.where(usable, columns.ts, columns.ts[np.argmax(usable)])
    latest_before = np.maximum.accumulate(np.where(usable, columns.ts, np.iinfo(np.int64).min))
    is_unsorted = usable & (columns.ts < latest_before)
    line = np.arange(1, len(filed_ts) + 1, dtype=np.int64)
    if len(filed_ts) and (np.diff(filed_ts) < 0).any():
        order = np.argsort(filed_ts, kind="stable")
        filed_ts, line, is_unsorted = filed_ts[order], line[order], is_unsorted[order]
        columns = _taken(columns, order)
    return FileRows(name, modified_ns, filed_ts, line, is_unsorted, columns, stamp_texts)


def assemble(
    instrument: str, granularity: str, files: Sequence[FileRows], window: Window, calendar: SessionCalendar
) -> CandleBatch:
    """One batch from all files of an instrument: reject, drop, let the later one win, account for every row.

    Of several valid rows with one stamp the last in order of (modification time of the file, name of the file, line)
    is stored. The others are dropped as `identical_duplicate` where all five values are equal to the stored ones, and
    rejected as `superseded` otherwise. Rejected rows take no part in this.

    Args:
        instrument: Name of the instrument.
        granularity: Name of the granularity.
        files: All files of the instrument and granularity, at least one, any order.
        window: Rows whose filed time lies in it count.
        calendar: Trading session that H4, D and W follow.

    Returns:
        A batch whose account has been checked.
    """
    ordered = sorted(files, key=lambda rows: (rows.modified_ns, rows.name))
    cuts = [
        slice(*(int(i) for i in np.searchsorted(rows.filed_ts, (window.start_ts, window.end_ts)))) for rows in ordered
    ]
    rows = _joined(ordered, cuts)
    codes = reason_codes(rows.columns, granularity, calendar, window.now_ts)
    stored, identical, superseded, winner = _settled(rows.columns, np.flatnonzero(codes == VALID))
    codes[superseded] = _SUPERSEDED_CODE
    ts = rows.columns.ts[stored]
    unsorted_rows = sum(int(np.count_nonzero(f.is_unsorted[cut])) for f, cut in zip(ordered, cuts, strict=True))
    batch = CandleBatch(
        instrument=instrument,
        granularity=granularity,
        candles=Candles(
            ts, calendar.bucket_close(ts, granularity), *(getattr(rows.columns, name)[stored] for name in _VALUES)
        ),
        rejected=_rejected(rows, codes, winner, ordered, _Expected(granularity, calendar)),
        dropped={IDENTICAL_DUPLICATE: len(identical)} if len(identical) else {},
        rows_in=len(rows.line),
        spans=tuple(span for f in ordered if (span := _span(f, _Expected(granularity, calendar), window.now_ts))),
        files=tuple(f.name for f, cut in zip(ordered, cuts, strict=True) if cut.stop > cut.start),
        notes={UNSORTED_ROWS: unsorted_rows} if unsorted_rows else {},
    )
    batch.check_accounting()
    return batch


def _span(file: FileRows, expected: _Expected, now_ts: int) -> tuple[int, int] | None:
    """First and last time of a file's rows whose stamp is not itself what is wrong; None where there is none."""
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
        if reason == SUPERSEDED:
            detail = _superseded_detail(rows, row, int(winner[row]), files)
        else:
            detail = rejection_detail(rows.columns, row, reason, expected.calendar, expected.granularity)
        number, line = int(rows.file[row]), int(rows.line[row])
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
