"""Vendors' text files: golden rows, which layout a file has, and what it is not."""

import io
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.errors import SourceUnreadableError
from label_assets.sources.formats.presets import PRESETS, recognized
from label_assets.sources.formats.reading import format_clock, read_file
from label_assets.sources.raw_rows import RawRows
from label_assets_tests.sources.formats.laws import assert_laws, faults, preset, values, write

T0 = 1_514_764_800  # 2018-01-01 00:00
ROW = (1.1, 1.3, 1.0, 1.2, 5.0)


def _read(folder: Path, format_name: str, content: str | bytes, name: str = "a.csv", **keys: Any) -> RawRows:
    rows = read_file(write(folder, content, name), preset(format_name, **keys))
    assert_laws(rows)
    return rows


MT5_HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
MT5_LINE = "2018.01.01\t00:00:00\t1.1\t1.3\t1.0\t1.2\t5\t0\t12\n"


@pytest.mark.parametrize(
    ("format_name", "content", "clock"),
    [
        ("dukascopy", "Gmt time,Open,High,Low,Close,Volume\r\n01.01.2018 00:00:00.000,1.1,1.3,1.0,1.2,5", "UTC"),
        ("dukascopy", "GMT_Time,Open,High,Low,Close,Volume\n01.01.2018 00:00:00,1.1,1.3,1.0,1.2,5\n", "UTC"),
        (
            "dukascopy",
            "Local time,Open,High,Low,Close,Volume\n01.01.2018 01:00:00.000 GMT+0100,1.1,1.3,1.0,1.2,5\n",
            "UTC",
        ),
        # Without the offset nobody says which local time it is.
        ("dukascopy", "Local time,Open,High,Low,Close,Volume\n01.01.2018 00:00:00.000,1.1,1.3,1.0,1.2,5\n", None),
        # JForex: other names, stamps and separators.
        ("dukascopy", "Time (UTC);Open;High;Low;Close;Volume \n2018.01.01 00:00:00;1.1;1.3;1.0;1.2;5\n", "UTC"),
        ("dukascopy", "Time (EET)\tOpen\tHigh\tLow\tClose\tVolume\n2018.01.01 00:00:00\t1.1\t1.3\t1.0\t1.2\t5\n", None),
        ("histdata", "20180101 000000;1.100000;1.300000;1.000000;1.200000;5\n", None),
        ("metatrader", MT5_HEADER + MT5_LINE, None),
        ("metatrader", ("\ufeff" + MT5_HEADER + MT5_LINE).replace("\n", "\r\n").encode("utf-16-le"), None),
        ("metatrader", MT5_HEADER.replace("<TIME>\t", "") + MT5_LINE.replace("00:00:00\t", ""), None),  # daily candles
        ("metatrader", MT5_LINE, None),
        ("metatrader", MT5_LINE.replace("\t0\t12", ""), None),
        ("metatrader", "Date,open,high,low,close,tick_volume\n2018-01-01,1.1,1.3,1.0,1.2,5\n", None),
        ("metatrader", "Date,open,high,low,close,tick_volume\n2018-01-01 00:00:00,1.1,1.3,1.0,1.2,5\n", None),
        (
            "metatrader",
            "time,open,high,low,close,tick_volume,spread,real_volume\n1514764800,1.1,1.3,1,1.2,5,9,0\n",
            None,
        ),
        ("metatrader", "Date,Time,Open,High,Low,Close,Vol\n2018.01.01,00:00,1.1,1.3,1.0,1.2,5\n", None),
        ("metatrader", "2018.01.01,00:00,1.1,1.3,1.0,1.2,5\n", None),  # MetaTrader 4
        ("metatrader", "2018-01-01 00:00,1.1,1.3,1.0,1.2,5\n", None),
        ("metatrader", "20180101,1.1,1.3,1.0,1.2,5\n", None),  # a date, not seconds since 1970
        ("oanda_csv", "TIME\tOPEN\tCLOSE\tHIGH\tLOW\tVOLUME\n1514764800\t1.1\t1.2\t1.3\t1.0\t5.0\n", "UTC"),
    ],
)
def test_one_row_in_every_layout(tmp_path: Path, format_name: str, content: str | bytes, clock: str | None) -> None:
    rows = _read(tmp_path, format_name, content)
    assert values(rows) == [(T0, *ROW)]
    assert not rows.fault.any()
    assert format_clock(preset(format_name), tmp_path / "a.csv") == clock
    assert rows.is_utc == ("GMT+0100" in str(content))


def test_without_volume_it_is_0(tmp_path: Path) -> None:
    for content in ("2018.01.01,00:00,1.1,1.3,1.0,1.2\n", "Date,Open,High,Low,Close\n2018.01.01,1.1,1.3,1.0,1.2\n"):
        assert values(_read(tmp_path, "metatrader", content)) == [(T0, *ROW[:4], 0.0)]


def test_real_volume_is_not_read_where_ticks_are_counted(tmp_path: Path) -> None:
    content = MT5_HEADER + MT5_LINE.replace("\t0\t12", "\t900\t12")
    assert values(_read(tmp_path, "metatrader", content))[0][-1] == 5.0


LEAN = "0,1.38694,1.38694,1.38683,1.38684,7,1.38705,1.38706,1.38697,1.38699,8\n"


def _zip(name: str, content: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, content)
    return sink.getvalue()


def test_lean_quotes(tmp_path: Path) -> None:
    """The day stands in the name of what the .zip holds, or of the file; sizes of quotes are no volume."""
    content = LEAN + LEAN.replace("0,", "75540000,", 1)
    day = int(datetime(2014, 5, 2, tzinfo=UTC).timestamp())
    for name, written in (
        ("20140502_quote.zip", _zip("20140502_eurusd_minute_quote.csv", content)),
        ("a.zip", _zip("20140502_eurusd_minute_quote.csv", content)),
        ("20140502_quote.zip", _zip("quote.csv", content)),
        ("eurusd_20140502.csv", content),
    ):
        rows = _read(tmp_path, "lean_quote", written, name, price="bid")
        assert values(rows)[0] == (day, 1.38694, 1.38694, 1.38683, 1.38684, 0.0)
        assert rows.stamp_s.tolist() == [day, day + 75_540]
        assert format_clock(preset("lean_quote"), tmp_path / name) is None
    rows = _read(tmp_path, "lean_quote", content, "20140502.csv", price="mid")
    assert rows.open[0] == (1.38694 + 1.38705) / 2
    with pytest.raises(SourceUnreadableError, match="no `price` declared"):
        _read(tmp_path, "lean_quote", content, "20140502.csv")
    for name in ("quote.csv", "99999999.csv", "120140502.csv", "20140230.csv"):
        with pytest.raises(SourceUnreadableError, match="no date in"):
            _read(tmp_path, "lean_quote", content, name, price="mid")


def test_a_time_beyond_the_day_is_no_stamp(tmp_path: Path) -> None:
    content = LEAN + LEAN.replace("0,", "86400000,", 1) + LEAN.replace("0,", "-1,", 1)
    rows = _read(tmp_path, "lean_quote", content, "20140502.csv", price="mid")
    assert rows.has_stamp.tolist() == [True, False, False]
    assert [reason for reason, _ in faults(rows).values()] == ["unreadable_stamp"] * 2


def test_broken_lines_at_the_beginning_do_not_choose_the_layout(tmp_path: Path) -> None:
    """As found in a published file: '-(' before the first stamp."""
    content = "-(2018-01-01 00:00,1.1,1.3,1.0,1.2,5\n1,2\n\nx\n2018-01-01 00:00,1.1,1.3,1.0,1.2,5\n"
    rows = _read(tmp_path, "metatrader", content)
    assert rows.line.tolist() == [1, 2, 4, 5]
    assert values(rows)[3] == (T0, *ROW)
    assert {line: reason for line, (reason, _) in faults(rows).items()} == {
        1: "unreadable_stamp",
        2: "broken_row",
        4: "broken_row",
    }


def test_most_lines_choose_the_format_of_the_stamps(tmp_path: Path) -> None:
    content = "2018-01-01,1,1,1,1,5\n" + "2018-01-01 00:00,1.1,1.3,1.0,1.2,5\n" * 3
    rows = _read(tmp_path, "metatrader", content)
    assert rows.has_stamp.tolist() == [False, True, True, True]


@pytest.mark.parametrize("format_name", list(PRESETS))
@pytest.mark.parametrize(
    "content", ["", "\n \n", "hello\n", '{"candles": []}', "\0\1\2", 'a;"b\n', "1,2,3,4,5,6\n" * 200]
)
def test_files_of_something_else(tmp_path: Path, format_name: str, content: str) -> None:
    with pytest.raises(SourceUnreadableError) as caught:
        _read(tmp_path, format_name, content, "20180101.csv", price="mid")
    if content.strip():
        assert caught.value.found.startswith("first line")
        assert content.splitlines()[0][:3] in caught.value.found or "\\x00" in caught.value.found
        assert caught.value.allowed == PRESETS[format_name].expected


@pytest.mark.parametrize("format_name", ["dukascopy", "metatrader", "oanda_csv"])
def test_a_header_without_rows(tmp_path: Path, format_name: str) -> None:
    header = "TIME\tOPEN\tCLOSE\tHIGH\tLOW\tVOLUME\n".replace(
        "TIME", "Gmt time" if format_name == "dukascopy" else "TIME"
    )
    assert len(_read(tmp_path, format_name, header).line) == 0


def test_no_vendor_is_taken_for_another(tmp_path: Path) -> None:
    """Each text file of one vendor is refused by all others, but for what is the same layout."""
    files = {
        "dukascopy": "Gmt time,Open,High,Low,Close,Volume\n01.01.2018 00:00:00.000,1.1,1.3,1.0,1.2,5\n",
        "histdata": "20180101 000000;1.1;1.3;1.0;1.2;5\n",
        "metatrader": "2018.01.01,00:00,1.1,1.3,1.0,1.2,5\n",
        "oanda_csv": "TIME\tOPEN\tCLOSE\tHIGH\tLOW\tVOLUME\n1514764800\t1.1\t1.2\t1.3\t1.0\t5.0\n",
        "lean_quote": LEAN,
    }
    for format_name, content in files.items():
        path = write(tmp_path, content, "20180101.csv")
        fit = []
        for other in PRESETS:
            try:
                recognized(path, other)
            except SourceUnreadableError:
                continue
            fit.append(other)
        # MetaTrader's own interface gives the columns of the OANDA file too, by name.
        assert fit == ([format_name] if format_name != "oanda_csv" else ["metatrader", "oanda_csv"])


WRITERS = {
    "dukascopy": ("Gmt time,Open,High,Low,Close,Volume\n", "{0:%d.%m.%Y %H:%M:%S}.000,{1},{2},{3},{4},{5}\n"),
    "histdata": ("", "{0:%Y%m%d %H%M%S};{1};{2};{3};{4};{5}\n"),
    "metatrader": ("", "{0:%Y.%m.%d},{0:%H:%M},{1},{2},{3},{4},{5}\n"),
    "oanda_csv": ("TIME\tOPEN\tCLOSE\tHIGH\tLOW\tVOLUME\n", "{6}\t{1}\t{4}\t{2}\t{3}\t{5}\n"),
    "lean_quote": ("", "{7},{1},{2},{3},{4},0,{1},{2},{3},{4},0\n"),
}


@settings(max_examples=100)
@given(
    format_name=st.sampled_from(sorted(WRITERS)),
    minutes=st.lists(st.integers(0, 1_439), min_size=1, max_size=20),
    numbers=st.lists(st.floats(0, 1e9), min_size=5, max_size=5),
    damaged=st.sets(st.integers(0, 19)),
)
def test_what_is_written_is_read_to_the_bit(
    format_name: str, minutes: list[int], numbers: list[float], damaged: set[int]
) -> None:
    header, line = WRITERS[format_name]
    ts = [T0 + 60 * minute for minute in minutes]
    content = [line.format(datetime.fromtimestamp(t, UTC), *map(repr, numbers), t, (t - T0) * 1_000) for t in ts]
    content = ["?" + text if row in damaged else text for row, text in enumerate(content)]
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), header + "".join(content), "20180101.csv")
        try:
            rows = read_file(path, preset(format_name, price="bid"))
        except SourceUnreadableError:
            assert not header  # a header says what the file is, whatever its rows
            assert len(damaged & set(range(len(ts)))) == len(ts)
            return
    assert_laws(rows, len(ts))
    volume = 0.0 if format_name == "lean_quote" else numbers[4]
    for row, found in enumerate(values(rows)):
        assert found[1:] == (*numbers[:4], volume)
        assert found[0] == (None if row in damaged else ts[row])
    assert set(faults(rows)) == {row + 1 + bool(header) for row in damaged if row < len(ts)}


@settings(max_examples=200)
@given(content=st.binary(max_size=200) | st.text("TIMEOPNCLSHGWVU<>0123456789-:., ;\n\t", max_size=200).map(str.encode))
def test_any_bytes(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), b"x" + content, "20180101.csv")
        for format_name in PRESETS:
            try:
                rows = read_file(path, preset(format_name, price="mid"))
            except SourceUnreadableError:
                continue
            assert_laws(rows)


def test_the_sample_is_bounded(tmp_path: Path) -> None:
    """What stands after the first hundred lines does not count."""
    rows = _read(tmp_path, "histdata", "20180101 000000;1.1;1.3;1.0;1.2;5\n" + "x\n" * 500)
    assert int(np.count_nonzero(rows.fault)) == 500
    with pytest.raises(SourceUnreadableError):
        _read(tmp_path, "histdata", "x\n" * 500 + "20180101 000000;1.1;1.3;1.0;1.2;5\n")
