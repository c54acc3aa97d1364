"""Files as vendors publish them: every line is a row, and the ends are what the files say.

What is expected is taken from the files by `str.split` and `datetime.strptime`: no real candle stands in this project.
"""

import json
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from label_assets.sources.formats.reading import FileDeclaration, format_clock, read_file
from label_assets.sources.raw_rows import RawRows
from label_assets_tests.conftest import SHARED_DATA
from label_assets_tests.sources.formats.laws import assert_laws, csv, faults, parquet, preset

RAW = SHARED_DATA / "raw"
OHLCV = ("open", "high", "low", "close", "volume")


class Published(NamedTuple):
    """A published file.

    Attributes:
        declaration: How it is declared.
        separator: Between columns.
        header_lines: Lines before the first row.
        stamp: Seconds of the fields of a row.
        columns: Place of open, high, low, close and volume; volume may be absent.
        clock: Clock that the format says.
        faulty: Lines with a fault.
    """

    declaration: FileDeclaration
    separator: str
    header_lines: int
    stamp: Callable[[list[str]], int]
    columns: tuple[int, ...] = (1, 2, 3, 4, 5)
    clock: str | None = None
    faulty: Mapping[int, str] = {}


def _at(stamp_format: str) -> Callable[[list[str]], int]:
    def seconds(fields: list[str]) -> int:
        stamp = datetime.strptime(fields[0], stamp_format)  # noqa: DTZ007 - as if it were UTC
        stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        return int(stamp.timestamp())

    return seconds


_DUKASCOPY = Published(preset("dukascopy"), ",", 1, _at("%d.%m.%Y %H:%M:%S.%f"), clock="UTC")
_HISTDATA = Published(preset("histdata"), ";", 0, _at("%Y%m%d %H%M%S"))
_MT4 = Published(preset("metatrader"), ",", 0, _at("%Y-%m-%d %H:%M"))
_FXCM = Published(
    csv(
        header=True,
        columns={"ts": "timestamp"} | {name: name for name in OHLCV[:4]},
        stamp_format="%Y-%m-%d %H:%M:%S%z",
    ),
    ",",
    1,
    _at("%Y-%m-%d %H:%M:%S%z"),
    (1, 2, 3, 4),
    "UTC",
)
TEXT_FILES = {
    "DAT_ASCII_BCOUSD_M1_20191020_20191109_dupHour.csv": _HISTDATA,
    "DAT_ASCII_EURUSD_M1_201801.csv": _HISTDATA,
    "dukascopy_EURUSD_15_m_BID_January_2007.csv": _DUKASCOPY,
    "dukascopy_EURUSD_1_m_BID_December_2008.csv": _DUKASCOPY,
    "dukascopy_EURUSD_4_Hour_ASK_reduced_2003.csv": _DUKASCOPY,
    "dukascopy_EURUSD_5_m_BID_September_2008.csv": _DUKASCOPY,
    "dukascopy_EURUSD_60_min_BID_2008.csv": _DUKASCOPY,
    "dukascopy_localtime_EURUSD_15_M_BID_2022_first10000.csv": _DUKASCOPY._replace(
        stamp=_at("%d.%m.%Y %H:%M:%S.%f GMT%z")
    ),
    "mt4_noheader_EURUSD_D1_2007_2018.csv": _MT4,
    "mt4_noheader_EURUSD_M30_first20000.csv": _MT4,
    "mt4_noheader_EURUSD_M15_brokenFirstLine_first3000.csv": _MT4._replace(
        # The first stamp is not read; what is compared is the rest of its row.
        stamp=lambda fields: 0 if fields[0].startswith("-(") else _at("%Y-%m-%d %H:%M")(fields),
        faulty={1: "unreadable_stamp"},
    ),
    "mt5_points_EURGBPd1.csv": Published(preset("metatrader", price_divisor=100_000), ",", 1, _at("%Y-%m-%d")),
    "mt5_points_EURGBPh4.csv": Published(preset("metatrader", price_divisor=100_000), ",", 1, _at("%Y-%m-%d %H:%M:%S")),
    "oanda_epoch_tab_OCHL_EUR_USD_H1_2005_2008.csv": Published(
        preset("oanda_csv"), "\t", 1, lambda fields: int(fields[0]), (1, 3, 4, 2, 5), "UTC"
    ),
    "fxcm_gbpusd-m1-ask-2012_first12000.csv": _FXCM,
    "fxcm_gbpusd-m1-bid-2012_first12000.csv": _FXCM,
    "backtestingpy_EURUSD_H1_2017_2018.csv": Published(
        csv(
            header=True,
            columns={"ts": "", "open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"},
            stamp_format="%Y-%m-%d %H:%M:%S",
        ),
        ",",
        1,
        _at("%Y-%m-%d %H:%M:%S"),
    ),
}
OTHER_FILES = {
    "freqtrade_UNITTEST_BTC-1m.json",
    "lean_oanda_eurusd_minute_20140502_quote.zip",
    "oanda_raw_EUR_USD_M15_2021_withDups.parquet",
    "oanda_v20_candles_doc_sample.json",
}


def _file(name: str) -> Path:
    if not RAW.is_dir():
        pytest.skip(f"published files are not here: {RAW} does not exist")
    return RAW / name


def _row(rows: RawRows, index: int) -> tuple[float, ...]:
    return (int(rows.stamp_s[index]), *(float(getattr(rows, name)[index]) for name in OHLCV))


@pytest.mark.parametrize("name", list(TEXT_FILES))
def test_text_files(name: str) -> None:
    path, published = _file(name), TEXT_FILES[name]
    lines = [line.decode().strip() for line in path.read_bytes().split(b"\n")]
    data = [line for line in lines[published.header_lines :] if line]
    rows = read_file(path, published.declaration)
    assert_laws(rows, len(data))
    assert rows.line.tolist() == [n for n, line in enumerate(lines, 1) if line and n > published.header_lines]
    assert {line: reason for line, (reason, _) in faults(rows).items()} == published.faulty
    divisor = published.declaration.price_divisor
    for index in (0, len(data) // 2, len(data) - 1):
        fields = data[index].split(published.separator)
        numbers = [float(fields[place]) for place in published.columns]
        prices = [price if divisor == 1 else price / divisor for price in numbers[:4]]
        assert _row(rows, index) == (published.stamp(fields), *prices, *(numbers[4:] or [0.0]))
        assert rows.stamp_texts(rows.line[index : index + 1]) == [fields[0]]
    # Everything else at once.
    columns = list(zip(*(line.split(published.separator) for line in data), strict=True))
    for place, column in zip(published.columns, OHLCV, strict=False):
        expected = np.array([float(text) for text in columns[place]])
        if divisor != 1 and column != "volume":
            expected = expected / divisor
        np.testing.assert_array_equal(getattr(rows, column), expected)
    assert format_clock(published.declaration, path) == published.clock


def test_every_published_file_is_read_here() -> None:
    assert {path.name for path in _file("").iterdir()} == {*TEXT_FILES, *OTHER_FILES}


def test_lean_quotes() -> None:
    path = _file("lean_oanda_eurusd_minute_20140502_quote.zip")
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        data = [line.split(",") for line in archive.read(member).decode().splitlines() if line.strip()]
    day = datetime(2014, 5, 2, tzinfo=UTC)
    stamps = [int((day + timedelta(milliseconds=int(fields[0]))).timestamp()) for fields in data]
    for side, first in (("bid", 1), ("ask", 6)):
        rows = read_file(path, preset("lean_quote", price=side))
        assert_laws(rows, len(data))
        assert rows.stamp_s.tolist() == stamps
        for place, name in enumerate(OHLCV[:4], first):
            assert getattr(rows, name).tolist() == [float(fields[place]) for fields in data]
    rows = read_file(path, preset("lean_quote", price="mid"))
    assert rows.low.tolist() == [(float(fields[3]) + float(fields[8])) / 2 for fields in data]
    assert not rows.fault.any()


def test_minutes_in_json_arrays() -> None:
    path = _file("freqtrade_UNITTEST_BTC-1m.json")
    data = json.loads(path.read_text())
    rows = read_file(path, preset("arrays_json"))
    assert_laws(rows, len(data))
    assert not rows.fault.any()
    for place, name in enumerate(OHLCV, 1):
        assert getattr(rows, name).tolist() == [row[place] for row in data]
    assert (rows.stamp_s * 1_000).tolist() == [row[0] for row in data]
    assert rows.stamp_texts(rows.line[-1:]) == [str(data[-1][0])]


def test_an_answer_of_oanda() -> None:
    path = _file("oanda_v20_candles_doc_sample.json")
    candles: list[dict[str, Any]] = json.loads(path.read_text())["candles"]
    rows = read_file(path, preset("oanda_json", granularity="M5"))
    assert_laws(rows, len(candles))
    assert not rows.fault.any()
    first = candles[0]
    stamp = int(datetime.strptime(first["time"][:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
    assert _row(rows, 0) == (stamp, *(float(first["mid"][key]) for key in "ohlc"), float(first["volume"]))
    assert np.diff(rows.stamp_s).tolist() == [300] * (len(candles) - 1)


def test_parquet_of_oanda() -> None:
    path = _file("oanda_raw_EUR_USD_M15_2021_withDups.parquet")
    table = pq.read_table(path)
    declaration = parquet(columns={"ts": "time"})
    rows = read_file(path, declaration)
    assert_laws(rows, len(table))
    assert rows.stamp_s.tolist() == [
        int(stamp.timestamp()) for stamp in table["time"].to_pandas().dt.tz_localize("UTC")
    ]
    for name in OHLCV:
        assert getattr(rows, name).tolist() == table[name].to_pylist()
    assert format_clock(declaration, path) is None
