"""Laws of the Parquet source on tables with everything wrong in them."""

import math
import os
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.errors import SourceUnreadableError
from label_assets.market.calendar import SessionCalendar
from label_assets.market.validation import REASONS
from label_assets.sources.batch import CandleBatch
from label_assets.sources.parquet import ParquetLandingFolder
from label_assets_tests.market.times import utc

CALENDAR = SessionCalendar("17:00 America/New_York")
T0 = int(utc("2024-01-31 20:00")[0])  # the rows straddle the end of a month
NOW = T0 + 24 * 900
BORDERS = (0, T0 + 3_000, T0 + 16 * 900, 2**40)


class Row(NamedTuple):
    stamp_ns: int | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None


class File(NamedTuple):
    name: str
    modified_s: int
    rows: list[Row]


def _prices() -> st.SearchStrategy[float | None]:
    good = st.sampled_from([1.0, 1.1, 1.2, 1.3])
    bad = st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -1.0, 1e308])
    return st.one_of(good, good, good, good, good, good, bad)


def _stamps() -> st.SearchStrategy[int | None]:
    aligned = st.integers(0, 30).map(lambda step: (T0 + 900 * step) * 10**9)
    odd = st.sampled_from([None, 0, -1, (T0 + 60) * 10**9, (T0 + 900) * 10**9 + 1, 2**63 - 1, -(2**63)])
    return st.one_of(aligned, aligned, aligned, aligned, odd)


def _rows() -> st.SearchStrategy[Row]:
    sound = st.builds(
        lambda stamp, close, volume: Row(stamp, 1.1, 1.3, 1.0, close, volume),
        _stamps(),
        st.sampled_from([1.1, 1.2]),
        st.sampled_from([0.0, 5.0]),
    )
    wild = st.builds(Row, _stamps(), _prices(), _prices(), _prices(), _prices(), _prices())
    return st.one_of(sound, sound, wild)


def _files() -> st.SearchStrategy[list[File]]:
    names = st.permutations(["EURUSD_M15.parquet", "EURUSD_M15_b.parquet", "EURUSD_M15_a.parquet"])
    contents = st.lists(st.tuples(st.integers(1_000, 1_002), st.lists(_rows(), max_size=25)), min_size=1, max_size=3)
    return st.builds(
        lambda order, parts: [File(name, *part) for name, part in zip(order, parts, strict=False)], names, contents
    )


def _write(folder: Path, files: list[File]) -> None:
    for file in files:
        stamps = pa.array([row.stamp_ns for row in file.rows], pa.timestamp("ns"))
        numbers = {
            name: pa.array([getattr(row, name) for row in file.rows], pa.float64(), from_pandas=False)
            for name in Row._fields[1:]
        }
        pq.write_table(pa.table({"ts": stamps, **numbers}), folder / file.name)
        os.utime(folder / file.name, (file.modified_s, file.modified_s))


def _is_sound(row: Row) -> bool:
    """The candle rules once more, row by row in plain Python."""
    if row.stamp_ns is None or row.stamp_ns % (900 * 10**9) or any(value is None for value in row):
        return False
    if not (631_152_000 <= row.stamp_ns // 10**9 < 2_145_916_800) or row.stamp_ns // 10**9 + 900 > NOW:
        return False
    o, h, l, c, v = (float(value) for value in row[1:] if value is not None)  # noqa: E741
    if not all(math.isfinite(value) for value in (o, h, l, c, v)):
        return False
    return min(o, h, l, c) > 0 and l <= min(o, c) and h >= max(o, c) and v >= 0


def _expected(files: list[File]) -> dict[int, tuple[float | None, ...]]:
    """The stored candles: the last sound row of each stamp."""
    stored: dict[int, tuple[float | None, ...]] = {}
    for file in sorted(files, key=lambda file: (file.modified_s, file.name)):
        for row in file.rows:
            if _is_sound(row):
                assert row.stamp_ns is not None
                stored[row.stamp_ns // 10**9] = row[1:]
    return dict(sorted(stored.items()))


def _has_usable_stamp(file: File) -> bool:
    stamps = [row.stamp_ns // 10**9 for row in file.rows if row.stamp_ns is not None]
    return any(631_152_000 <= stamp < 2_145_916_800 for stamp in stamps) or not file.rows


def _assert_laws(files: list[File], whole: CandleBatch, parts: list[CandleBatch]) -> None:
    whole.check_accounting()
    assert whole.rows_in == sum(len(file.rows) for file in files)
    candles = whole.candles
    assert np.all(np.diff(candles.ts) > 0)
    stored = dict(zip(candles.ts.tolist(), zip(*(column.tolist() for column in candles[2:]), strict=True), strict=True))
    assert stored == _expected(files)
    # Each row that is not sound is rejected with its own place, once; sound ones only as superseded.
    rows = {(file.name, line): row for file in files for line, row in enumerate(file.rows, 1)}
    assert len({(row.source_file, row.line) for row in whole.rejected}) == len(whole.rejected)
    unsound = {place for place, row in rows.items() if not _is_sound(row)}
    assert {(row.source_file, row.line) for row in whole.rejected if row.reason != "superseded"} == unsound
    for found in whole.rejected:
        assert found.reason in REASONS
        assert found.detail
        row = rows[found.source_file, found.line]
        assert (found.stamp is None) == (row.stamp_ns is None)
        for name in Row._fields[1:]:
            value = getattr(row, name)
            assert getattr(found, name) == (value if value is not None and math.isfinite(value) else None)
    # Months share nothing and lack nothing.
    assert [row for part in parts for row in part.rejected] == list(whole.rejected)
    for name, column in zip(candles._fields, candles, strict=True):
        np.testing.assert_array_equal(np.concatenate([getattr(part.candles, name) for part in parts]), column)
    assert sum(part.rows_in for part in parts) == whole.rows_in
    for key in ("dropped", "notes"):
        total = sum(sum(getattr(part, key).values()) for part in parts)
        assert total == sum(getattr(whole, key).values())


@settings(deadline=None, max_examples=100)
@given(files=_files())
def test_no_row_is_lost_and_no_stored_candle_breaks_a_rule(files: list[File]) -> None:
    with tempfile.TemporaryDirectory() as name:
        _write(Path(name), files)
        source = ParquetLandingFolder(Path(name), CALENDAR)
        try:
            whole = source.read("EURUSD", "M15", 0, 2**40, NOW)
        except SourceUnreadableError:
            assert not all(_has_usable_stamp(file) for file in files)
            return
        parts = [source.read("EURUSD", "M15", start, end, NOW) for start, end in pairwise(BORDERS)]
        _assert_laws(files, whole, parts)
