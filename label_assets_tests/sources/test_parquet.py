"""The Parquet landing folder: files, columns, duplicates, errors."""

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_assets.errors import CatalogError, SourceEmptyError, SourceUnreadableError
from label_assets.market.calendar import SessionCalendar
from label_assets.sources import files
from label_assets.sources.batch import CandleBatch
from label_assets.sources.parquet import ParquetLandingFolder
from label_assets.sources.raw_rows import RawRows
from label_assets_tests.market.times import utc

CALENDAR = SessionCalendar("17:00 America/New_York")
T0 = int(utc("2024-01-02 22:00")[0])
LATE = 2**40
FEBRUARY = int(utc("2024-02-01 00:00")[0])


def _write(folder: Path, name: str, columns: dict[str, object], modified_s: int | None = None) -> Path:
    path = folder / name
    pq.write_table(pa.table(columns), path)
    if modified_s is not None:
        os.utime(path, (modified_s, modified_s))
    return path


def _rows(*offsets: int, close: float = 1.25, unit: str = "ms", zone: str | None = "UTC") -> dict[str, object]:
    """Rows at T0 + 15 minutes × offset."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    count = len(offsets)
    return {
        "ts": pa.array([(T0 + 900 * offset) * per_second for offset in offsets], pa.timestamp(unit, zone)),
        "open": [1.2] * count,
        "high": [1.3] * count,
        "low": [1.1] * count,
        "close": [close] * count,
        "volume": [float(10 + offset) for offset in offsets],
    }


def _read(folder: Path, instrument: str = "EURUSD", granularity: str = "M15", now_ts: int = LATE) -> CandleBatch:
    return ParquetLandingFolder(folder, CALENDAR).read(instrument, granularity, 0, LATE, now_ts)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "+02:00"])
def test_time_stamps_of_any_unit_and_zone(tmp_path: Path, unit: str, zone: str | None) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0, 1, unit=unit, zone=zone))
    candles = _read(tmp_path).candles
    assert candles.ts.tolist() == [T0, T0 + 900]
    assert candles.close_ts.tolist() == [T0 + 900, T0 + 1800]


@pytest.mark.parametrize(
    "kind", [pa.float32(), pa.float64(), pa.int32(), pa.uint64(), pa.decimal128(12, 5), pa.decimal256(50, 5)]
)
def test_numbers_of_any_type(tmp_path: Path, kind: pa.DataType) -> None:
    values = pa.array([Decimal(2), Decimal(3)] if pa.types.is_decimal(kind) else [2, 3], kind)
    rows = _rows(0, 1) | dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    candles = _read(tmp_path).candles
    assert candles.close.tolist() == candles.volume.tolist() == [2.0, 3.0]


def test_decimals_become_the_nearest_float(tmp_path: Path) -> None:
    """1.10001 as a decimal is the float that 1.10001 is, which Arrow's own cast does not promise."""
    texts = [f"1.{digits:05}" for digits in range(10_000, 12_000)]
    rows = _rows(*range(len(texts))) | {
        name: pa.array([Decimal(text) for text in texts], pa.decimal128(20, 5))
        for name in ("open", "high", "low", "close")
    }
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    assert _read(tmp_path).candles.close.tolist() == [float(text) for text in texts]


def test_volume_may_be_absent_and_other_columns_are_ignored(tmp_path: Path) -> None:
    rows = {name: values for name, values in _rows(0).items() if name != "volume"} | {"comment": ["x"]}
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    assert _read(tmp_path).candles.volume.tolist() == [0.0]


def test_which_files_belong_to_an_instrument_and_granularity(tmp_path: Path) -> None:
    for name in (
        "EURUSD_M15.parquet",
        "EURUSD_M15_2024-01.parquet",
        "EURUSD_H1.parquet",
        "EURUSD_M1.parquet",
        "EURUSDX_M15.parquet",
        "XEURUSD_M15.parquet",
        "EURUSD_M15.parquet.tmp",
        "EURUSD_M15x.parquet",
        "eurusd_m15.parquet",
    ):
        _write(tmp_path, name, _rows(0))
    (tmp_path / "EURUSD_M15_folder.parquet").mkdir()
    source = ParquetLandingFolder(tmp_path, CALENDAR)
    assert [path.name for path in source.files("EURUSD", "M15")] == ["EURUSD_M15.parquet", "EURUSD_M15_2024-01.parquet"]
    assert [path.name for path in source.files("EURUSD", "H1")] == ["EURUSD_H1.parquet"]
    # A name with characters that mean something in patterns.
    _write(tmp_path, "A.B_C_M15.parquet", _rows(0))
    assert _read(tmp_path, "A.B_C").rows_in == 1
    assert source.files("AXB_C", "M15") == []


def test_no_file_for_the_instrument(tmp_path: Path) -> None:
    _write(tmp_path, "GBPUSD_M15.parquet", _rows(0))
    _write(tmp_path, "EUR_USD_H1_2024.parquet", _rows(0))
    _write(tmp_path, "notes.parquet", _rows(0))
    with pytest.raises(SourceEmptyError) as caught:
        _read(tmp_path)
    assert "EURUSD_M15_<anything>.parquet" in str(caught.value)
    assert caught.value.found == "files of EUR_USD, GBPUSD"
    assert str(tmp_path) in caught.value.asked
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceEmptyError, match="no candle files"):
        _read(tmp_path / "empty")
    with pytest.raises(SourceEmptyError, match="no such folder"):
        _read(tmp_path / "absent")
    with pytest.raises(CatalogError):
        _read(tmp_path, granularity="M30")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"close": None}, "no columns 'close'"),
        ({"ts": None}, "no columns 'ts'"),
        ({"ts": ["2024-01-02"]}, "column 'ts' of type string"),
        ({"ts": [T0]}, "column 'ts' of type int64"),
        ({"open": ["1.2"]}, "column 'open' of type string"),
        ({"high": [True]}, "column 'high' of type bool"),
        ({"low": pa.nulls(1)}, "column 'low' of type null"),
        ({"volume": ["many"]}, "column 'volume' of type string"),
    ],
)
def test_missing_and_wrongly_typed_columns(tmp_path: Path, change: dict[str, object], found: str) -> None:
    rows = {name: values for name, values in (_rows(0) | change).items() if values is not None}
    _write(tmp_path, "EURUSD_M15.parquet", _rows(5))
    _write(tmp_path, "EURUSD_M15_bad.parquet", rows)
    with pytest.raises(SourceUnreadableError, match=r"EURUSD_M15_bad\.parquet") as caught:
        _read(tmp_path)
    assert found in caught.value.found


def test_a_column_that_occurs_twice(tmp_path: Path) -> None:
    table = pa.table(_rows(0))
    pq.write_table(table.append_column("open", table["open"]), tmp_path / "EURUSD_M15.parquet")
    with pytest.raises(SourceUnreadableError, match="2 columns 'open'"):
        _read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"ts,open\n1,2\n", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_files_that_are_not_parquet(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "EURUSD_M15.parquet").write_bytes(content)
    with pytest.raises(SourceUnreadableError, match=r"EURUSD_M15\.parquet"):
        _read(tmp_path)


def test_damaged_files_give_the_error_and_no_other(tmp_path: Path) -> None:
    path = _write(tmp_path, "EURUSD_M15.parquet", _rows(*range(50)))
    content = path.read_bytes()
    draw = np.random.default_rng(5)
    failed = 0
    for _ in range(100):
        damaged = bytearray(content)
        for place in draw.integers(0, len(content), 4):
            damaged[place] = draw.integers(256)
        path.write_bytes(bytes(damaged[: draw.integers(1, len(content) + 1)] if draw.random() < 0.3 else damaged))
        try:
            _read(tmp_path).check_accounting()
        except SourceUnreadableError:
            failed += 1
    assert failed > 30


def test_identical_duplicates_within_and_between_files(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0, 1, 1, 2))
    _write(tmp_path, "EURUSD_M15_b.parquet", _rows(2, 3))
    batch = _read(tmp_path)
    assert batch.dropped == {"identical_duplicate": 2}
    assert (batch.rows_in, len(batch.candles.ts), batch.rejected) == (6, 4, ())
    assert batch.files == ("EURUSD_M15.parquet", "EURUSD_M15_b.parquet")


def test_the_later_file_wins(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15_z.parquet", _rows(0, 1, close=1.15), modified_s=1_000)
    _write(tmp_path, "EURUSD_M15_a.parquet", _rows(1, 2, close=1.25), modified_s=2_000)
    batch = _read(tmp_path)
    assert batch.candles.close.tolist() == [1.15, 1.25, 1.25]
    (loser,) = batch.rejected
    assert (loser.source_file, loser.line, loser.reason) == ("EURUSD_M15_z.parquet", 2, "superseded")
    assert loser.detail == "close 1.15, now 1.25 (line 1 of EURUSD_M15_a.parquet)"
    assert (loser.ts, loser.close, loser.stamp) == (T0 + 900, 1.15, "2024-01-02 22:15:00.000Z")


def test_of_files_of_the_same_time_the_later_name_wins_and_of_rows_the_later_row(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15_b.parquet", _rows(0, close=1.15), modified_s=1_000)
    _write(tmp_path, "EURUSD_M15_a.parquet", _rows(0, close=1.25), modified_s=1_000)
    assert _read(tmp_path).candles.close.tolist() == [1.15]
    rows = _rows(3, 0, 3, 3) | {"close": [1.15, 1.25, 1.2, 1.15]}
    _write(tmp_path, "GBPUSD_M15.parquet", rows)
    batch = _read(tmp_path, "GBPUSD")
    # Line 4 wins: line 1 equals it, line 3 does not.
    assert batch.candles.close.tolist() == [1.25, 1.15]
    assert batch.dropped == {"identical_duplicate": 1}
    assert [row.line for row in batch.rejected] == [3]


def test_an_invalid_row_does_not_supersede_a_valid_one(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0), modified_s=1_000)
    _write(tmp_path, "EURUSD_M15_b.parquet", _rows(0, close=9.0), modified_s=2_000)
    batch = _read(tmp_path)
    assert batch.candles.close.tolist() == [1.25]
    assert [(row.reason, row.detail) for row in batch.rejected] == [("ohlc_violation", "high 1.3 < close 9.0")]


def test_unsorted_rows_are_sorted_and_noted(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(2, 0, 1, 3))
    batch = _read(tmp_path)
    assert batch.candles.ts.tolist() == [T0, T0 + 900, T0 + 1800, T0 + 2700]
    assert batch.candles.volume.tolist() == [10.0, 11.0, 12.0, 13.0]
    assert batch.notes == {"unsorted_rows": 2}
    assert not batch.rejected
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0, 1, 2, 2, 3))
    assert _read(tmp_path).notes == {}


def test_a_row_without_a_usable_stamp_is_reported_in_one_month(tmp_path: Path) -> None:
    rows = _rows(0, 1, 2, 3)
    stamps = [None, FEBRUARY, 0, T0]
    rows["ts"] = pa.array(stamps, pa.timestamp("s"))
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    source = ParquetLandingFolder(tmp_path, CALENDAR)
    january = source.read("EURUSD", "M15", T0, FEBRUARY, LATE)
    february = source.read("EURUSD", "M15", FEBRUARY, LATE, LATE)
    assert january.rejected == ()
    assert [(row.line, row.ts, row.stamp, row.reason) for row in february.rejected] == [
        (1, FEBRUARY, None, "missing_stamp"),
        (3, FEBRUARY, "1970-01-01 00:00:00.000", "stamp_out_of_range"),
    ]
    assert (january.rows_in, february.rows_in) == (1, 3)
    assert source.span("EURUSD", "M15") == (T0, FEBRUARY)


def test_a_file_without_any_usable_stamp_is_an_error(tmp_path: Path) -> None:
    rows = _rows(0, 1) | {"ts": pa.array([None, T0], pa.timestamp("ms"))}  # seconds taken for milliseconds
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    with pytest.raises(SourceUnreadableError, match="2 rows, none with a time stamp"):
        _read(tmp_path)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_stamps_at_the_ends_of_their_type(tmp_path: Path, unit: str) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    rows = _rows(0, 1, 2) | {"ts": pa.array([T0 * per_second, -(2**63), 2**63 - 1], pa.timestamp(unit))}
    # Parquet has no seconds: Arrow writes milliseconds, which cannot hold these two.
    if unit == "s":
        rows["ts"] = pa.array([T0, -(2**50), 2**50], pa.timestamp(unit))
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    batch = _read(tmp_path)
    assert [row.reason for row in batch.rejected] == ["stamp_out_of_range"] * 2
    assert len(batch.candles.ts) == 1


def test_fractions_of_a_second_are_misaligned(tmp_path: Path) -> None:
    rows = _rows(0, 1) | {"ts": pa.array([T0 * 10**9, (T0 + 900) * 10**9 + 1], pa.timestamp("ns"))}
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    (row,) = _read(tmp_path).rejected
    assert (row.reason, row.stamp) == ("misaligned_stamp", "2024-01-02 22:15:00.000000001")
    assert row.ts == T0 + 900


def test_missing_and_broken_values(tmp_path: Path) -> None:
    rows = _rows(0, 1, 2, 3) | {"open": [None, 1.2, float("nan"), 1.2], "volume": [1.0, None, 1.0, 1.0]}
    _write(tmp_path, "EURUSD_M15.parquet", rows)
    batch = _read(tmp_path)
    assert [(row.line, row.reason, row.open, row.volume) for row in batch.rejected] == [
        (1, "non_finite_price", None, 1.0),
        (2, "bad_volume", 1.2, None),
        (3, "non_finite_price", None, 1.0),
    ]
    assert batch.candles.ts.tolist() == [T0 + 2700]


def test_unfinished_candles_are_rejected_until_they_close(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0, 1))
    source = ParquetLandingFolder(tmp_path, CALENDAR)
    early = source.read("EURUSD", "M15", 0, LATE, T0 + 1_799)
    assert [row.reason for row in early.rejected] == ["unfinished"]
    assert len(source.read("EURUSD", "M15", 0, LATE, T0 + 1_800).candles.ts) == 2


def test_range_is_half_open_and_may_be_empty(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0, 1, 2))
    source = ParquetLandingFolder(tmp_path, CALENDAR)
    assert source.read("EURUSD", "M15", T0, T0 + 900, LATE).candles.ts.tolist() == [T0]
    empty = source.read("EURUSD", "M15", 0, T0, LATE)
    assert (empty.rows_in, empty.files, len(empty.candles.ts)) == (0, (), 0)
    assert empty.candles.ts.dtype == np.int64


def test_files_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table(_rows(0)).slice(0, 0), tmp_path / "EURUSD_M15.parquet")
    source = ParquetLandingFolder(tmp_path, CALENDAR)
    assert source.read("EURUSD", "M15", 0, LATE, LATE).rows_in == 0
    assert source.span("EURUSD", "M15") is None
    assert source.span("GBPUSD", "M15") is None


def test_a_file_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    original = files.read_file

    def counting(path: Path, declaration: files.FileDeclaration) -> RawRows:
        read.append(path.name)
        return original(path, declaration)

    monkeypatch.setattr(files, "read_file", counting)
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0), modified_s=1_000)
    _write(tmp_path, "EURUSD_M15_b.parquet", _rows(1), modified_s=1_000)
    source = ParquetLandingFolder(tmp_path, CALENDAR)
    for month in range(3):
        source.read("EURUSD", "M15", month, LATE, LATE)
    source.span("EURUSD", "M15")
    assert sorted(read) == ["EURUSD_M15.parquet", "EURUSD_M15_b.parquet"]
    _write(tmp_path, "EURUSD_M15_b.parquet", _rows(1, 2, 3), modified_s=1_000)  # only the size tells
    assert source.read("EURUSD", "M15", 0, LATE, LATE).rows_in == 4
    os.utime(tmp_path / "EURUSD_M15.parquet", (2_000, 2_000))
    source.read("EURUSD", "M15", 0, LATE, LATE)
    assert read[2:] == ["EURUSD_M15_b.parquet", "EURUSD_M15.parquet"]
    monkeypatch.setattr(files, "_CACHED_ROWS", 1)
    assert source.read("EURUSD", "M15", 0, LATE, LATE).rows_in == 4


def test_names_of_folders_do_not_leave_the_machine(tmp_path: Path) -> None:
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0, 1) | {"open": [1.2, -1.0]})
    batch = _read(tmp_path)
    assert str(tmp_path) not in repr(batch.rejected) + repr(batch.files)


def test_describe(tmp_path: Path) -> None:
    assert ParquetLandingFolder(tmp_path, CALENDAR).describe() == f"Parquet files in {tmp_path}"


def test_stamps_are_those_of_the_file(tmp_path: Path) -> None:
    """Against the standard library rather than integers: guards the test's own arithmetic."""
    when = datetime(2024, 1, 2, 22, 0, tzinfo=UTC)
    _write(tmp_path, "EURUSD_M15.parquet", _rows(0) | {"ts": pa.array([when], pa.timestamp("us", "UTC"))})
    assert _read(tmp_path).candles.ts.tolist() == [int(when.timestamp())]
