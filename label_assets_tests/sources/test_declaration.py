"""Source files: what may be declared, and errors that name the line."""

from pathlib import Path

import pytest

from label_assets.errors import SettingsError
from label_assets.sources.declaration import (
    CsvDeclaration,
    ParquetDeclaration,
    PresetDeclaration,
    TableDeclaration,
    load_declarations,
)

GOOD = """\
# Two sources of one instrument, one of another.
sources:
  - instrument: EURUSD
    granularity: M1
    format: histdata
    files: histdata/DAT_ASCII_EURUSD_M1_*.csv
    clock: America/New_York
    last: 2019-12-31
  - instrument: EURUSD
    granularity: M15
    format: csv
    files: [a.csv, b.csv.gz]
    columns: [date, time, open, high, low, close, volume, "-"]
    separator: "\\\\t"
    stamp_format: "%Y.%m.%d %H:%M"
    clock:
      - {clock: "-04:00", until: 2019-10-27T20:00}
      - {clock: "-05:00"}
    price_divisor: 100000
  - instrument: GBPUSD
    granularity: H1
    format: parquet
    files: gbp/*.parquet
    columns: {ts: time, bid_open: ob}
    price: bid
  - instrument: USDJPY
    granularity: M15
    format: clickhouse
    table: feed.candles
    columns: {ts: opened_at}
    where: {symbol: USDJPY}
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "sources.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_can_be_declared(tmp_path: Path) -> None:
    first, second, third, fourth = load_declarations(_file(tmp_path, GOOD))
    assert isinstance(first, PresetDeclaration)
    assert (first.files, first.last) == (("histdata/DAT_ASCII_EURUSD_M1_*.csv",), "2019-12-31")
    assert isinstance(second, CsvDeclaration)
    assert (second.separator, second.price_divisor, second.files) == ("\t", 100_000.0, ("a.csv", "b.csv.gz"))
    assert second.parsed_clock is not None
    assert second.parsed_clock.offsets_s == (-14_400, -18_000)
    assert isinstance(third, ParquetDeclaration)
    assert third.columns == {"ts": "time", "bid_open": "ob"}
    assert isinstance(fourth, TableDeclaration)
    assert fourth.where == {"symbol": "USDJPY"}


def _changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (_changed("format: histdata", "format: histdate"), 5, "histdate"),
        (_changed("granularity: H1", "granularity: M30"), 21, "allowed are M1, M5, M15, H1, H4, D, W"),
        (_changed("clock: America/New_York", "clock: America/New_Yorck"), 7, "America/New_Yorck"),
        (_changed('clock: "-05:00"', 'clock: "-25:00"'), 16, "-25 hours"),
        (_changed("price_divisor: 100000", "price_divisor: 0"), 19, "greater than 0"),
        (_changed("price: bid", "price: middle"), 25, "'bid', 'ask' or 'mid'"),
        (_changed("    table: feed.candles\n", ""), 26, "Field required"),
        (_changed("table: feed.candles", "table: feed.candles; DROP"), 29, "pattern"),
        (_changed("    price: bid\n", "    prise: bid\n"), 25, "Extra inputs"),
        (_changed("low, close, volume", "low, close, vol"), 13, "allowed are ts, date, time"),
        (_changed("columns: [date, time,", "columns: [date,"), 13, "`date` and `time`"),
        (_changed("instrument: USDJPY", "instrument: usd/jpy"), 26, "pattern"),
        (_changed("last: 2019-12-31", "last: 31.12.2019"), 8, "pattern"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_declarations(_file(tmp_path, text))
    assert f"line {line}: " in caught.value.found
    assert said in caught.value.found
    assert "sources.yaml" in caught.value.asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("sources: []", "line 1"),
        ("sources: {a: b}", "line 1"),
        ("sources:\n  - 1\n", "line 2"),
        ("sources:\n  - instrument: EURUSD\n   granularity: M1\n", "line 3"),
        ("sources: [\n", "line 2"),
        ("sources:\n  - files: *.csv\n", r"line 2: .*must stand in quotes"),
    ],
)
def test_a_file_that_is_no_list_of_sources(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_declarations(_file(tmp_path, text))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load_declarations(tmp_path / "absent.yaml")


def test_columns_by_name_need_a_header(tmp_path: Path) -> None:
    text = """\
sources:
  - instrument: EURUSD
    granularity: M15
    format: csv
    files: a.csv
    columns: {ts: when, open: o, high: h, low: l, close: c}
    stamp_format: epoch_s
"""
    with pytest.raises(SettingsError, match=r"line 2: .*header: true"):
        load_declarations(_file(tmp_path, text))
    (declared,) = load_declarations(_file(tmp_path, text + "    header: true\n"))
    assert isinstance(declared, CsvDeclaration)
    assert declared.header
