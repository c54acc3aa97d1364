"""Text files of declared columns: every line is a row, and a bad one harms no other."""

import logging
import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.errors import SourceUnreadableError
from label_assets.sources.declaration import CsvDeclaration
from label_assets.sources.formats import collecting, lines
from label_assets.sources.formats.csv import declared_layout
from label_assets.sources.formats.reading import format_clock, read_file
from label_assets.sources.raw_rows import RawRows
from label_assets_tests.sources.formats.laws import assert_laws, csv, faults, values, write

ENDS = datetime(1990, 1, 1), datetime(2037, 12, 31)  # noqa: DTZ001 - Hypothesis wants them naive
T0 = 1_514_764_800  # 2018-01-01 00:00
GOOD = "2018-01-01 00:00,1.1,1.3,1.0,1.2,5"
GOOD_ROW = (T0, 1.1, 1.3, 1.0, 1.2, 5.0)
NEXT = "2018-01-01 00:01,1.2,1.4,1.1,1.3,6"
NEXT_ROW = (T0 + 60, 1.2, 1.4, 1.1, 1.3, 6.0)


def _read(folder: Path, content: str | bytes, name: str = "candles.csv", **keys: Any) -> RawRows:
    rows = read_file(write(folder, content, name), csv(**keys))
    assert_laws(rows)
    return rows


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (f"{GOOD}\n{NEXT}\n", {}),
        (f"{GOOD}\n{NEXT}", {}),  # no newline at the end
        (f"{GOOD}\r\n{NEXT}\r\n", {}),
        (f"{GOOD}\r{NEXT}\r", {}),
        (f"\ufeff{GOOD}\n{NEXT}\n", {}),
        (f"\ufeff{GOOD}\n{NEXT}\n".encode("utf-16-le"), {}),  # the mark tells
        (f"{GOOD}\n{NEXT}\n".encode("utf-16-be"), {"encoding": "utf-16-be"}),
        (f"{GOOD};é\n{NEXT};ü\n".replace(",", ";").encode("latin-1"), {"separator": ";", "encoding": "latin-1"}),
        (f"{GOOD}\n{NEXT}\n".replace(",", "\t"), {"separator": "\\t"}),
        ("\n".join(f'"{line}"'.replace(",", '","') for line in (GOOD, NEXT)), {}),  # every field in quotes
        (f"{GOOD}\n{NEXT}\n".replace(",", " , "), {}),
    ],
)
def test_the_same_rows_however_they_are_written(tmp_path: Path, content: str | bytes, keys: dict[str, Any]) -> None:
    if keys.get("encoding") == "latin-1":
        keys["columns"] = ["ts", "open", "high", "low", "close", "volume", "-"]
    rows = _read(tmp_path, content, **keys)
    assert values(rows) == [GOOD_ROW, NEXT_ROW]
    assert rows.line.tolist() == [1, 2]
    assert not rows.fault.any()
    assert not rows.is_utc
    assert rows.stamp_texts(np.array([2, 1])) == ["2018-01-01 00:01", "2018-01-01 00:00"]


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        ("2018-01-01 00:05,1.1,1.3", "broken_row", "3 columns where 6 are declared: '2018-01-01 00:05,1.1,1.3'"),
        (GOOD + ",7,8", "broken_row", f"8 columns where 6 are declared: '{GOOD},7,8'"),
        ("x", "broken_row", "1 columns where 6 are declared: 'x'"),
        ('2018-01-01 00:05,"1.1,1.3,1.0,1.2,5', "broken_row", "quotes that do not match"),
        ('2018-01-01 00:05,1.1"x",1.3,1.0,1.2,5', "non_finite_price", """open '1.1"x"' is no number"""),
        ("2018-02-30 00:05,1.1,1.3,1.0,1.2,5", "unreadable_stamp", "stamp '2018-02-30 00:05' does not read as"),
        ("2018-01-01 00:05:00,1.1,1.3,1.0,1.2,5", "unreadable_stamp", "does not read as %Y-%m-%d %H:%M"),
        ("2018-01-01 00:05,abc,1.3,1.0,1.2,5", "non_finite_price", "open 'abc' is no number"),
        ("2018-01-01 00:05,1.1,1 3,1.0,x,5", "non_finite_price", "high '1 3' is no number, close 'x' is no number"),
        ("2018-01-01 00:05,1.1,1.3,1.0,1.2,many", "bad_volume", "volume 'many' is no number"),
        ("nonsense,x,1.3,1.0,1.2,many", "unreadable_stamp", "stamp 'nonsense'"),  # of several the first reason
        ("\0" * 9, "broken_row", "1 columns where 6"),  # what a power failure leaves
        ("é,1.1,1.3,1.0,1.2,5", "unreadable_stamp", "stamp 'é'"),
        ("2018-01-01 00:05,1.1,1.3,1.0,1.2,5" + "0" * 500 + "x", "bad_volume", "0…' is no number"),
        ("9" * 5_000, "broken_row", "9…'"),
    ],
)
def test_a_bad_line_is_reported_and_harms_no_other(tmp_path: Path, line: str, reason: str, detail: str) -> None:
    rows = _read(tmp_path, f"{GOOD}\n{line}\n{NEXT}\n")
    assert rows.line.tolist() == [1, 2, 3]
    assert [values(rows)[0], values(rows)[2]] == [GOOD_ROW, NEXT_ROW]
    ((number, (found, words)),) = faults(rows).items()
    assert (number, found) == (2, reason)
    assert detail in words
    assert len(words) < 300


def test_what_is_missing_is_no_fault_of_the_reader(tmp_path: Path) -> None:
    """The rules of candles say what is missing, in their own words."""
    content = "2018-01-01 00:00,,NaN,1.0,1.2,\n,1.1,1.3,1.0,1.2,5\n,,,,,\n2018-01-01 00:03,inf,1e999,1.0,1.2,5\n"
    rows = _read(tmp_path, content)
    assert values(rows) == [
        (T0, None, None, 1.0, 1.2, None),
        (None, 1.1, 1.3, 1.0, 1.2, 5.0),
        (None, None, None, None, None, None),
        (T0 + 180, math.inf, math.inf, 1.0, 1.2, 5.0),
    ]
    assert not rows.fault.any()
    assert rows.stamp_texts(rows.line) == ["2018-01-01 00:00", None, None, "2018-01-01 00:03"]


def test_lines_are_numbered_as_they_stand(tmp_path: Path) -> None:
    """Blank lines, skipped ones and the header have their numbers, but are no rows."""
    content = f"exported by x\n\n\nts,o\n\n{GOOD}\n   \n\t\n{NEXT}\nx\n\n"
    rows = _read(tmp_path, content, skip_lines=2, header=True)
    assert rows.line.tolist() == [6, 9, 10]
    assert set(faults(rows)) == {10}
    rows = _read(tmp_path, content, skip_lines=5)
    assert rows.line.tolist() == [6, 9, 10]
    assert _read(tmp_path, content, skip_lines=50).line.tolist() == []
    assert _read(tmp_path, "\n\n" + GOOD).line.tolist() == [3]


def test_columns_by_the_names_of_the_header(tmp_path: Path) -> None:
    columns = {"ts": "Time", "open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Vol, lots"}
    content = 'Close,"Vol, lots", Time ,Note,Low,High,Open\n1.2,5,2018-01-01 00:00,"a, b",1.0,1.3,1.1\n'
    assert values(_read(tmp_path, content, header=True, columns=columns)) == [GOOD_ROW]
    unnamed = {"ts": "", "open": "Open", "high": "High", "low": "Low", "close": "Close"}  # as pandas writes its index
    content = ",Open,High,Low,Close\n2018-01-01 00:00,1.1,1.3,1.0,1.2\n"
    assert values(_read(tmp_path, content, header=True, columns=unnamed)) == [(*GOOD_ROW[:5], 0.0)]


def test_date_and_time_in_two_columns(tmp_path: Path) -> None:
    keys = {"columns": ["-", "time", "date", "open", "high", "low", "close"], "stamp_format": "%Y.%m.%d %H:%M"}
    content = "1,00:00,2018.01.01,1.1,1.3,1.0,1.2\n2,,2018.01.01,1.1,1.3,1.0,1.2\n3,,,1.1,1.3,1.0,1.2\n"
    rows = _read(tmp_path, content, **keys)
    assert values(rows)[0] == (*GOOD_ROW[:5], 0.0)
    assert faults(rows) == {2: ("unreadable_stamp", "stamp '2018.01.01' does not read as %Y.%m.%d %H:%M")}
    assert rows.stamp_texts(rows.line) == ["2018.01.01 00:00", "2018.01.01", None]


SIDED = ["ts", *(f"{side}_{price}" for side in ("bid", "ask") for price in ("open", "high", "low", "close"))]
SIDED_LINE = "2018-01-01 00:00,1.38694,1.38695,1.38683,1.38684,1.38705,1.38706,1.38697,1.38699"


def test_sides(tmp_path: Path) -> None:
    def read(price: str | None, columns: list[str] = SIDED, line: str = SIDED_LINE) -> list[float | None]:
        return list(values(_read(tmp_path, line, columns=columns, price=price))[0][1:5])

    assert read("bid") == [1.38694, 1.38695, 1.38683, 1.38684]
    assert read("ask") == [1.38705, 1.38706, 1.38697, 1.38699]
    assert read("mid") == [
        (1.38694 + 1.38705) / 2,
        (1.38695 + 1.38706) / 2,
        (1.38683 + 1.38697) / 2,
        (1.38684 + 1.38699) / 2,
    ]
    assert read(None, SIDED[:5], SIDED_LINE.rsplit(",", 4)[0]) == [1.38694, 1.38695, 1.38683, 1.38684]
    with pytest.raises(SourceUnreadableError, match="bid and ask prices, and no `price` declared"):
        read(None)
    with pytest.raises(SourceUnreadableError, match="bid prices"):
        read("ask", SIDED[:5])
    # Prices without a side are of whatever side is declared.
    plain = ["ts", "open", "high", "low", "close"]
    assert read("ask", plain, SIDED_LINE.rsplit(",", 4)[0])[0] == 1.38694
    # With the sides beside them they are none of the two.
    both, line = [*SIDED, "open", "high", "low", "close"], SIDED_LINE + ",1,2,3,4"
    assert read(None, both, line) == [1.0, 2.0, 3.0, 4.0]
    assert read("bid", both, line)[0] == 1.38694


def test_prices_in_points_are_divided(tmp_path: Path) -> None:
    """By division, which is correctly rounded: 81119 / 100000 is the float 0.81119, 81119 × 0.00001 is not."""
    content = "".join(f"2018-01-01 00:00,{points}.0,{points},{points},{points},5\n" for points in range(80_000, 82_000))
    rows = _read(tmp_path, content, price_divisor=100_000)
    assert rows.open.tolist() == rows.close.tolist() == [float(f"0.{points}") for points in range(80_000, 82_000)]
    assert set(rows.volume.tolist()) == {5.0}


def test_offsets_make_utc(tmp_path: Path) -> None:
    path = write(tmp_path, "2012-02-01 01:00:00+01:00,1.1,1.3,1.0,1.2,5\n")
    declaration = csv(stamp_format="%Y-%m-%d %H:%M:%S%z")
    rows = read_file(path, declaration)
    assert (rows.is_utc, rows.stamp_s.tolist()) == (True, [1_328_054_400])
    assert format_clock(declaration, path) == "UTC"
    assert format_clock(csv(), path) is None
    assert format_clock(csv(stamp_format="epoch_s"), path) is None  # of which clock is not said


@pytest.mark.parametrize(
    ("content", "keys", "found"),
    [
        ("", {}, "an empty file"),
        (GOOD, {"columns": ["ts", "open", "high", "low"]}, "no column 'close'"),
        (GOOD, {"stamp_format": "%H:%M"}, "no date"),
        (GOOD, {"stamp_format": "%Y-%m-%d %Q"}, "%Q"),
        (GOOD, {"encoding": "nonsense"}, "unknown encoding: nonsense"),
        (GOOD, {"encoding": "hex"}, "'hex' is not a text encoding"),
        (GOOD, {"separator": "¦"}, "separator '¦'"),
        (GOOD, {"separator": '"'}, "separator '\"'"),
        (GOOD, {"separator": "\n"}, "separator"),
        (GOOD, {"header": True, "encoding": "nonsense"}, "unknown encoding: nonsense"),
        ("\n\n", {"header": True}, "no header after 0 lines"),
        (
            GOOD,
            {"header": True, "columns": {"ts": "Time", "open": "o", "high": "h", "low": "l", "close": "c"}},
            "no col",
        ),
        (
            "a,a,o,h,l,c",
            {"header": True, "columns": {"ts": "a", "open": "o", "high": "h", "low": "l", "close": "c"}},
            "2",
        ),
        (
            'a,"b',
            {"header": True, "columns": {"ts": "a", "open": "o", "high": "h", "low": "l", "close": "c"}},
            "no col",
        ),
    ],
)
def test_what_cannot_be_read_at_all(tmp_path: Path, content: str, keys: dict[str, Any], found: str) -> None:
    with pytest.raises(SourceUnreadableError) as caught:
        _read(tmp_path, content, **keys)
    assert found in caught.value.found
    assert "candles of file candles.csv" in caught.value.asked
    assert caught.value.action.endswith("; nothing of its partition was changed")


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(lines, "BLOCK_BYTES", 350)
    monkeypatch.setattr(collecting, "REPORTED_ROWS", 50)
    with caplog.at_level(logging.INFO, "label_assets.sources"):
        rows = _read(tmp_path, f"{GOOD}\n" * 200)
    assert len(rows.line) == 200
    assert [message.split(",")[0] for message in caplog.messages] == [
        f"candles.csv: {count} rows" for count in (50, 100, 150, 200)
    ]
    assert caplog.messages[-1].endswith("100 % of the bytes")


class Line(NamedTuple):
    """A line and what it means: a row, None for a blank line, or the reason of its fault."""

    text: str
    meaning: tuple[float | None, ...] | str | None


def _numbers() -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False)


def _good_lines() -> st.SearchStrategy[Line]:
    def line(stamp: datetime, numbers: list[float], quote: str) -> Line:
        fields = [f"{stamp:%Y-%m-%d %H:%M}", *map(repr, numbers)]
        text = ",".join(quote + field + quote for field in fields)
        return Line(text, (stamp.replace(tzinfo=UTC).timestamp(), *numbers))

    stamps = st.datetimes(*ENDS).map(lambda t: t.replace(second=0, microsecond=0))
    return st.builds(line, stamps, st.lists(_numbers(), min_size=5, max_size=5), st.sampled_from(["", "", '"']))


BAD_LINES = [
    Line("", None),
    Line("  ", None),
    Line("\t", None),
    Line(",,,,,", (None,) * 6),
    Line("1,2", "broken_row"),
    Line(GOOD + ",7", "broken_row"),
    Line('"', "broken_row"),
    Line('2018-01-01 00:00,"1.1,1.3,1.0,1.2,5', "broken_row"),
    Line(GOOD.replace("1.3", "€"), "non_finite_price"),
    Line(GOOD.replace("2018-01-01", "2018-01-32"), "unreadable_stamp"),
    Line(GOOD + "x", "bad_volume"),
    Line("\0", "broken_row"),
]


@settings(max_examples=150)
@given(
    parts=st.lists(_good_lines() | st.sampled_from(BAD_LINES), max_size=25),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    block_bytes=st.integers(4, 200),
    is_ended=st.booleans(),
)
def test_every_line_means_what_it_says(parts: list[Line], newline: str, block_bytes: int, is_ended: bool) -> None:
    content = newline.join(line.text for line in parts) + (newline if is_ended else "")
    before = lines.BLOCK_BYTES
    lines.BLOCK_BYTES = block_bytes
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder), content)
            rows = read_file(path, csv()) if content else None
    finally:
        lines.BLOCK_BYTES = before
    if rows is None:
        return
    expected = {number: line.meaning for number, line in enumerate(parts, 1) if line.meaning is not None}
    assert_laws(rows, len(expected))
    assert rows.line.tolist() == list(expected)
    assert {line: reason for line, (reason, _) in faults(rows).items()} == {
        number: meaning for number, meaning in expected.items() if isinstance(meaning, str)
    }
    for found, meaning in zip(values(rows), expected.values(), strict=True):
        if not isinstance(meaning, str):
            assert found == meaning


@settings(max_examples=100)
@given(content=st.binary(max_size=300) | st.text('0123456789-:., ;"\n\r\t\0ex', max_size=300).map(str.encode))
def test_any_bytes_are_rows_line_by_line(content: bytes) -> None:
    content = b"x" + content  # a byte order mark would change what a line is
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), content)
        for keys in ({}, {"separator": ";"}, {"separator": "\\t"}, {"separator": " "}, {"stamp_format": "epoch_s"}):
            text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            expected = [number for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
            rows = read_file(path, csv(**keys))
            assert_laws(rows, len(expected))
            assert rows.line.tolist() == expected


def test_the_layout_is_what_is_declared(tmp_path: Path) -> None:
    path = write(tmp_path, "\n\na\n")
    declaration: CsvDeclaration = csv(skip_lines=1, header=True, encoding="latin-1")
    layout = declared_layout(path, declaration)
    assert (layout.first_line, layout.encoding, layout.columns[0], layout.day_s) == (4, "latin-1", "ts", None)
