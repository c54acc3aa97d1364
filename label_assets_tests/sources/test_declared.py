"""Declared sources: several files and declarations of one instrument, clocks, refusals."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.errors import SettingsError, SourceEmptyError, SourceUnreadableError
from label_assets.market.calendar import SessionCalendar
from label_assets.sources.batch import CandleBatch, WatchedSource
from label_assets.sources.declaration import load_declarations
from label_assets.sources.declared import DeclaredSources
from label_assets_tests.market.times import utc

CALENDAR = SessionCalendar("17:00 America/New_York")
LATE = 2**40
WEDNESDAY = int(utc("2024-01-03 10:00")[0])

CSV = """\
  - instrument: EURUSD
    granularity: {granularity}
    format: csv
    files: {files}
    columns: [ts, open, high, low, close, volume]
    stamp_format: "%Y-%m-%d %H:%M"
    clock: {clock}
"""


def _csv(granularity: str = "M15", files: str = "'*.csv'", clock: str = "UTC", extra: str = "") -> str:
    return CSV.format(granularity=granularity, files=files, clock=clock) + extra


def _source(folder: Path, *entries: str) -> DeclaredSources:
    (folder / "sources.yaml").write_text("sources:\n" + "".join(entries), encoding="utf-8")
    return DeclaredSources(load_declarations(folder / "sources.yaml"), folder, CALENDAR, DEFAULT_INSTRUMENTS)


def _line(ts: int, close: float = 1.15, volume: float = 7) -> str:
    stamp = np.datetime64(ts, "s").item().strftime("%Y-%m-%d %H:%M")
    return f"{stamp},1.1,1.2,1.0,{close},{volume}\n"


def _write(path: Path, *lines: str, modified_s: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")
    if modified_s is not None:
        os.utime(path, (modified_s, modified_s))
    return path


def _read(source: DeclaredSources, granularity: str = "M15") -> CandleBatch:
    return source.read("EURUSD", granularity, 0, LATE, LATE)


def test_files_of_one_declaration_are_one_history_and_the_later_one_wins(tmp_path: Path) -> None:
    _write(tmp_path / "2023" / "a.csv", _line(WEDNESDAY), _line(WEDNESDAY + 900, close=1.11), modified_s=1_000)
    _write(tmp_path / "2024" / "a.csv", _line(WEDNESDAY + 900, close=1.12), _line(WEDNESDAY), modified_s=2_000)
    batch = _read(_source(tmp_path, _csv(files="'**/*.csv'")))
    assert batch.candles.close.tolist() == [1.15, 1.12]
    assert batch.dropped == {"identical_duplicate": 1}
    (lost,) = batch.rejected
    assert (lost.source_file, lost.line, lost.reason) == ("2023/a.csv", 2, "superseded")
    assert "now 1.12 (line 1 of 2024/a.csv)" in lost.detail
    assert batch.notes == {"unsorted_rows": 1}


def test_of_two_declarations_the_later_one_wins(tmp_path: Path) -> None:
    _write(tmp_path / "m1.csv", *(_line(WEDNESDAY + 60 * minute, close=1.11) for minute in range(31)))
    _write(tmp_path / "m15.csv", _line(WEDNESDAY + 900, close=1.12), _line(WEDNESDAY + 1_800, close=1.12))
    source = _source(tmp_path, _csv("M1", "m1.csv"), _csv("M15", "m15.csv"))
    batch = _read(source)
    assert batch.candles.ts.tolist() == [WEDNESDAY, WEDNESDAY + 900, WEDNESDAY + 1_800]
    assert batch.candles.close.tolist() == [1.11, 1.12, 1.12]
    assert (batch.rows_in, batch.kept) == (33, 17)
    assert batch.dropped == {"unfinished_bucket": 1, "another_source_wins": 15}
    assert source.span("EURUSD", "M15") == (WEDNESDAY, WEDNESDAY + 1_800)
    other_way = _read(_source(tmp_path, _csv("M15", "m15.csv"), _csv("M1", "m1.csv")))
    assert other_way.candles.close.tolist() == [1.11, 1.11, 1.12]


def test_declared_dates_cut_a_source(tmp_path: Path) -> None:
    day = int(utc("2024-01-03 00:00")[0])
    _write(tmp_path / "a.csv", *(_line(day + 86_400 * number, volume=-(number == 0)) for number in range(4)))
    source = _source(tmp_path, _csv(extra="    first: 2024-01-04\n    last: 2024-01-05\n"))
    batch = _read(source)
    assert batch.candles.ts.tolist() == [day + 86_400, day + 2 * 86_400]
    assert batch.dropped == {"outside_declared_dates": 2}  # the broken row of the 3rd too
    assert batch.rejected == ()
    assert batch.spans == ((day + 86_400, day + 2 * 86_400),)
    assert source.span("EURUSD", "M15") == (day + 86_400, day + 2 * 86_400)


def test_weekend_filler_is_dropped_and_counted(tmp_path: Path) -> None:
    saturday = int(utc("2024-01-06 10:00")[0])
    flat = "2024-01-0{} 10:00,1.1,1.1,1.1,1.1,{}\n"
    _write(tmp_path / "a.csv", flat.format(5, 0), flat.format(6, 0), _line(saturday + 900, volume=0), flat.format(7, 3))
    batch = _read(_source(tmp_path, _csv()))
    # The flat candle of Friday and the one of Sunday with volume are candles, as is the one that is not flat.
    assert batch.dropped == {"weekend_filler": 1}
    assert len(batch.candles.ts) == 3
    kept = _read(_source(tmp_path, _csv(extra="    weekend_filler: keep\n")))
    assert (len(kept.candles.ts), kept.dropped) == (4, {})


def test_local_stamps_of_a_skipped_hour_are_rejected_and_a_repeated_hour_is_counted(tmp_path: Path) -> None:
    spring, autumn = int(utc("2024-03-31 02:15")[0]), int(utc("2024-10-27 02:30")[0])
    repeated = [_line(autumn), _line(autumn + 900), _line(autumn, close=1.11), _line(autumn + 900, close=1.12)]
    _write(tmp_path / "a.csv", _line(spring - 1_800), _line(spring), *repeated)
    batch = _read(_source(tmp_path, _csv(clock="Europe/Berlin")))
    (missing,) = batch.rejected
    assert (missing.line, missing.reason, missing.stamp) == (2, "missing_hour", "2024-03-31 02:15")
    assert "2024-03-31 02:15:00 does not exist on the clock Europe/Berlin" in missing.detail
    first_copy = int(utc("2024-10-27 00:30")[0])
    assert batch.candles.ts.tolist()[1:] == [first_copy, first_copy + 900, first_copy + 3_600, first_copy + 4_500]
    assert batch.notes == {"repeated_hour_rows": 4}


def test_what_is_only_coarser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceEmptyError) as caught:
        _read(_source(tmp_path, _csv("H4"), _csv("H1")))
    assert caught.value.found == "only H1, H4, which cannot be split into M15"
    assert "M1, M5, M15" in caught.value.allowed
    assert "base_granularity" in caught.value.action


def test_nothing_declared_and_no_file(tmp_path: Path) -> None:
    source = _source(tmp_path, _csv(files="absent_*.csv"))
    with pytest.raises(SourceEmptyError, match=r"absent_\*\.csv"):
        _read(source)
    with pytest.raises(SourceEmptyError, match="declarations of EURUSD"):
        source.read("GBPUSD", "M15", 0, LATE, LATE)


def test_a_file_in_two_declarations_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "a.csv", _line(WEDNESDAY))
    with pytest.raises(SettingsError, match=r"the file a\.csv twice"):
        _read(_source(tmp_path, _csv(), _csv("M1")))


def test_a_clock_must_be_declared_where_stamps_are_local_and_must_not_where_they_are_not(tmp_path: Path) -> None:
    _write(tmp_path / "a.csv", _line(WEDNESDAY))
    without = _csv().replace("    clock: UTC\n", "")
    with pytest.raises(SettingsError, match="no clock declared"):
        _read(_source(tmp_path, without))
    stamps = pa.array([WEDNESDAY], pa.timestamp("s", "UTC"))
    row = {"ts": stamps, "open": [1.1], "high": [1.2], "low": [1.0], "close": [1.1]}
    pq.write_table(pa.table(row), tmp_path / "a.parquet")
    entry = "  - {instrument: EURUSD, granularity: M15, format: parquet, files: a.parquet"
    assert _read(_source(tmp_path, entry + "}\n")).candles.ts.tolist() == [WEDNESDAY]
    with pytest.raises(SettingsError, match="remove `clock`"):
        _read(_source(tmp_path, entry + ", clock: UTC}\n"))
    pq.write_table(pa.table(row | {"ts": stamps.cast(pa.timestamp("s"))}), tmp_path / "a.parquet")
    with pytest.raises(SettingsError, match="no clock declared"):
        _read(_source(tmp_path, entry + "}\n"))
    moved = _read(_source(tmp_path, entry + ", clock: America/New_York}\n"))
    assert moved.candles.ts.tolist() == [WEDNESDAY + 5 * 3_600]


def test_one_unreadable_file_fails_by_name(tmp_path: Path) -> None:
    _write(tmp_path / "a.csv", _line(WEDNESDAY))
    _write(tmp_path / "b.csv", "no candle at all\n")
    with pytest.raises(SourceUnreadableError, match=r"b\.csv"):
        _read(_source(tmp_path, _csv()))


def test_what_a_sensor_watches(tmp_path: Path) -> None:
    path = _write(tmp_path / "in" / "a.csv", _line(WEDNESDAY))
    source = _source(tmp_path, _csv(files="in/*"))
    assert isinstance(source, WatchedSource)
    assert source.watched("EURUSD", "M15") == {"in/a.csv": path}


def test_describe(tmp_path: Path) -> None:
    assert _source(tmp_path, _csv(), _csv("M1")).describe() == "2 declared sources (csv)"
