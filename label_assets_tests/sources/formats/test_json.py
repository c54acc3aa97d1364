"""OANDA's answers and lists of arrays: golden rows, wrong shapes, nothing but one error."""

import gzip
import json
import math
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.errors import SourceUnreadableError
from label_assets.sources.formats import json as json_reader
from label_assets.sources.formats.reading import format_clock, read_file
from label_assets.sources.raw_rows import RawRows
from label_assets_tests.sources.formats.laws import assert_laws, faults, preset, values, write

T0 = 1_514_764_800
PRICES = {"o": "1.1", "h": "1.3", "l": "1.0", "c": "1.2"}
CANDLE = {"complete": True, "volume": 5, "time": "2018-01-01T00:00:00.000000000Z", "mid": PRICES}
ROW = (T0, 1.1, 1.3, 1.0, 1.2, 5.0)


def _read(folder: Path, format_name: str, document: Any, name: str = "a.json", **keys: Any) -> RawRows:
    content = document if isinstance(document, str | bytes) else json.dumps(document)
    rows = read_file(write(folder, content, name), preset(format_name, **keys))
    assert_laws(rows)
    return rows


def _oanda(folder: Path, *candles: Any, **keys: Any) -> RawRows:
    return _read(folder, "oanda_json", {"instrument": "EUR_USD", "granularity": "M1", "candles": candles}, **keys)


def test_an_answer(tmp_path: Path) -> None:
    rows = _oanda(
        tmp_path, CANDLE, CANDLE | {"time": "2018-01-01T00:01:00Z"}, CANDLE | {"time": "1514764920.000000000"}
    )
    assert values(rows) == [ROW, (T0 + 60, *ROW[1:]), (T0 + 120, *ROW[1:])]
    assert rows.is_utc
    assert not rows.fault.any()
    assert rows.stamp_texts(rows.line[:1]) == [CANDLE["time"]]
    assert format_clock(preset("oanda_json"), tmp_path / "a.json") == "UTC"


def test_several_answers_one_a_line_and_packed(tmp_path: Path) -> None:
    line = json.dumps({"granularity": "M1", "candles": [CANDLE, CANDLE]}).encode()
    for content in (line + b"\n" + line, line + b"\r\n\r\n" + line + b"\n", gzip.compress(line + b"\n" + line)):
        assert values(_read(tmp_path, "oanda_json", content)) == [ROW] * 4
    assert values(_read(tmp_path, "oanda_json", b"\xef\xbb\xbf" + line)) == [ROW] * 2
    with pytest.raises(SourceUnreadableError, match="no JSON in document 2"):
        _read(tmp_path, "oanda_json", line + b"\n" + line[:-3])


@pytest.mark.parametrize(
    ("candle", "reason", "detail"),
    [
        (CANDLE | {"complete": False}, "unfinished", "complete: false"),
        (CANDLE | {"complete": "no"}, "broken_row", 'complete is "no"'),
        ("junk", "broken_row", '"junk" where a candle is expected'),
        (None, "broken_row", "null where a candle is expected"),
        ([[[]]], "broken_row", "a list of 1 values where a candle is expected"),
        ({"time": CANDLE["time"], "volume": 5}, "broken_row", "no mid prices; there are none"),
        ({"time": CANDLE["time"], "volume": 5, "bid": PRICES}, "broken_row", "no mid prices; there are bid"),
        (CANDLE | {"mid": "1.1"}, "broken_row", "no mid prices; there are mid"),
        (CANDLE | {"mid": PRICES | {"o": "abc"}}, "non_finite_price", "open 'abc' is no number"),
        (CANDLE | {"mid": PRICES | {"c": True}}, "non_finite_price", "close 'true' is no number"),
        (CANDLE | {"mid": PRICES | {"h": {"x": 1}}}, "non_finite_price", "high \"an object of 'x'\" is no number"),
        (CANDLE | {"volume": [1, 2]}, "bad_volume", "volume 'a list of 2 values' is no number"),
        (CANDLE | {"time": "yesterday"}, "unreadable_stamp", "stamp 'yesterday' does not read as RFC 3339"),
        (CANDLE | {"time": "2018-02-30T00:00:00Z"}, "unreadable_stamp", "stamp '2018-02-30T00:00:00Z'"),
        (CANDLE | {"time": "2018-01-01T00:00:00"}, "unreadable_stamp", "stamp '2018-01-01T00:00:00'"),
        (CANDLE | {"time": {}}, "unreadable_stamp", "stamp 'an object of nothing'"),
        (CANDLE | {"time": True}, "unreadable_stamp", "stamp 'true'"),
    ],
)
def test_a_bad_candle_is_reported_and_harms_no_other(tmp_path: Path, candle: Any, reason: str, detail: str) -> None:
    rows = _oanda(tmp_path, CANDLE, candle, CANDLE, price="mid")
    assert [values(rows)[0], values(rows)[2]] == [ROW, ROW]
    ((line, (found, words)),) = faults(rows).items()
    assert (line, found) == (2, reason)
    assert detail in words


def test_what_is_missing_is_no_fault_of_the_reader(tmp_path: Path) -> None:
    rows = _oanda(tmp_path, {"mid": {"o": 1.1, "h": None, "l": 1}})
    assert values(rows) == [(None, 1.1, None, 1.0, None, None)]
    assert not rows.fault.any()


def test_sides_of_several_answers(tmp_path: Path) -> None:
    def written(*sides: str) -> str:
        return "\n".join(
            json.dumps({"candles": [{"time": CANDLE["time"], "volume": 5, side: PRICES}]}) for side in sides
        )

    assert values(_read(tmp_path, "oanda_json", written("ask", "ask"))) == [ROW] * 2
    with pytest.raises(SourceUnreadableError, match="no `price` declared, and bid and ask prices"):
        _read(tmp_path, "oanda_json", written("ask", "bid"))
    with pytest.raises(SourceUnreadableError, match="ask prices declared, but bid prices"):
        _read(tmp_path, "oanda_json", written("ask", "bid"), price="ask")


def test_rows_beyond_a_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_reader, "_SLICE", 2)
    rows = _read(tmp_path, "arrays_json", [[T0 * 1_000 + number, 1, 1, 1, 1, 5] for number in range(5)] + [[]])
    assert rows.line.tolist() == [1, 2, 3, 4, 5, 6]
    assert set(faults(rows)) == {6}
    rows = _oanda(tmp_path, *[CANDLE] * 5, None)
    assert rows.line.tolist() == [1, 2, 3, 4, 5, 6]
    assert rows.stamp_texts(rows.line) == [CANDLE["time"]] * 5 + [None]
    assert set(faults(rows)) == {6}


def test_sides(tmp_path: Path) -> None:
    ask = {name: str(float(price) + 0.25) for name, price in PRICES.items()}
    both = {"time": CANDLE["time"], "volume": 5, "bid": PRICES, "ask": ask}
    assert values(_oanda(tmp_path, both, price="ask")) == [(T0, 1.35, 1.55, 1.25, 1.45, 5.0)]
    assert values(_oanda(tmp_path, both, price="bid")) == [ROW]
    assert _oanda(tmp_path, both, price="mid").open[0] == (1.1 + 1.35) / 2
    assert values(_oanda(tmp_path, both | {"mid": PRICES}, price="mid")) == [ROW]  # what OANDA gives as mid
    assert _oanda(tmp_path, CANDLE, price_divisor=2).open[0] == 0.55
    with pytest.raises(SourceUnreadableError, match="no `price` declared, and bid and ask prices"):
        _oanda(tmp_path, both)
    with pytest.raises(SourceUnreadableError, match="ask prices declared, but mid prices"):
        _oanda(tmp_path, CANDLE, price="ask")
    rows = _oanda(tmp_path, both | {"bid": PRICES | {"o": "x"}}, price="mid")
    assert faults(rows) == {1: ("non_finite_price", "bid_open 'x' is no number")}
    assert math.isnan(rows.open[0])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "an empty file"),
        ("hello", "no JSON: "),
        ("{", "no JSON: "),
        ('{"candles": [', "no JSON: "),
        ("[" * 100_000, "no JSON: "),
        ("[" * 100_000 + "]" * 100_000, "no JSON: "),
        ("[]", "a list of 0 values"),
        ("1", "1"),
        ('{"errorMessage": "Invalid value"}', "an object of 'errorMessage'"),
        ('{"candles": {}}', "an object of 'candles'"),
        ('{"candles": [], "granularity": "H1"}', "granularity 'H1'"),
        ('{"candles": [], "granularity": [1]}', "granularity [1]"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, content: str, found: str) -> None:
    with pytest.raises(SourceUnreadableError) as caught:
        _read(tmp_path, "oanda_json", content)
    assert caught.value.found.startswith(found)


def test_candles_of_nothing(tmp_path: Path) -> None:
    assert len(_oanda(tmp_path).line) == 0
    assert len(_read(tmp_path, "arrays_json", "[]").line) == 0


def test_a_document_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is small on the disk."""
    monkeypatch.setattr(json_reader, "LONGEST_DOCUMENT", 1 << 20)
    with pytest.raises(SourceUnreadableError, match="more than 1 MiB of JSON, unpacked"):
        _read(tmp_path, "oanda_json", gzip.compress(b" " * (2 << 20)))


def test_arrays(tmp_path: Path) -> None:
    rows = _read(
        tmp_path,
        "arrays_json",
        [
            [T0 * 1_000, 1.1, 1.3, 1.0, 1.2, 5],
            [T0 * 1_000 + 60_500, "1.1", "1.3", "1.0", "1.2", "5"],
            [float(T0 * 1_000), 1, 1.3, 1, 1.2, None],
        ],
    )
    assert values(rows) == [ROW, (T0 + 60, *ROW[1:]), (T0, 1.0, 1.3, 1.0, 1.2, None)]
    assert rows.has_fraction.tolist() == [False, True, False]
    assert not rows.is_utc
    assert format_clock(preset("arrays_json"), tmp_path / "a.json") == "UTC"


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ("[1, 2, 3]", "broken_row", "a list of 3 values where a list of 6 values is expected: '[1, 2, 3]'"),
        ("[1, 2, 3, 4, 5, 6, 7]", "broken_row", "7 values"),
        ("{}", "broken_row", "an object of nothing"),
        ("null", "broken_row", "null where"),
        ("[" * 900 + "]" * 900, "broken_row", "1 values"),
        (f'["{T0}000", {{}}, 1, 1, 1, 5]', "non_finite_price", "open 'an object of nothing' is no number"),
        (f"[{T0}000, 1.1, true, 1.0, 1.2, 5]", "non_finite_price", "high 'true' is no number"),
        ("[1.5e300, 1, 1, 1, 1, 5]", "unreadable_stamp", "stamp '1.5e+300' does not read as milliseconds"),
        ('["\\ud800", 1, 1, 1, 1, 5]', "unreadable_stamp", "stamp '?'"),
        (f"[{10**30}, 1, 1, 1, 1, 5]", "unreadable_stamp", "stamp '1"),
    ],
)
def test_a_bad_row_is_reported_and_harms_no_other(tmp_path: Path, row: str, reason: str, detail: str) -> None:
    good = f"[{T0}000, 1.1, 1.3, 1.0, 1.2, 5]"
    rows = _read(tmp_path, "arrays_json", f"[{good}, {row}, {good}]")
    assert [values(rows)[0], values(rows)[2]] == [ROW, ROW]
    ((line, (found, words)),) = faults(rows).items()
    assert (line, found) == (2, reason)
    assert detail in words


@pytest.mark.parametrize(
    ("number", "found"),
    [("NaN", None), ("Infinity", math.inf), ("1e999", math.inf), ("-1e999", -math.inf), ("9007199254740993", 2.0**53)],
)
def test_numbers_that_json_does_not_have(tmp_path: Path, number: str, found: float | None) -> None:
    """Programs in Python write them; one of them must not take the whole file along."""
    rows = _read(tmp_path, "arrays_json", f"[[{T0}000, {number}, 1.3, 1.0, 1.2, 5], [{T0}000, 1.1, 1.3, 1.0, 1.2, 5]]")
    assert values(rows)[0][1] == found
    assert values(rows)[1] == ROW
    assert not rows.fault.any()


@settings(max_examples=100)
@given(
    stamps=st.lists(st.integers(0, 4_102_444_800), min_size=1, max_size=10),
    numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=5, max_size=5),
    as_texts=st.booleans(),
)
def test_what_is_written_is_read_to_the_bit(stamps: list[int], numbers: list[float], as_texts: bool) -> None:
    written = [repr(number) if as_texts else number for number in numbers]
    candles = [
        {
            "time": datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000000Z"),
            "volume": written[4],
            "bid": dict(zip("ohlc", written, strict=False)),
        }
        for ts in stamps
    ]
    with tempfile.TemporaryDirectory() as folder:
        for rows in (
            _read(Path(folder), "oanda_json", {"candles": candles}),
            _read(Path(folder), "arrays_json", [[ts * 1_000, *written] for ts in stamps]),
        ):
            assert values(rows) == [(ts, *numbers) for ts in stamps]


def _junk() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    keys = st.sampled_from(["candles", "time", "mid", "bid", "ask", "o", "h", "l", "c", "volume", "complete", "x"])
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=7) | st.dictionaries(keys, inner, max_size=7), max_leaves=40
    )


@settings(max_examples=100)
@given(junk=st.lists(_junk(), max_size=8), price=st.sampled_from([None, "bid", "mid"]))
def test_junk_is_rows_or_one_error(junk: list[Any], price: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = _read(Path(folder), "arrays_json", junk)
        assert rows.line.tolist() == list(range(1, len(junk) + 1))
        try:
            rows = _read(Path(folder), "oanda_json", {"candles": junk}, price=price)
        except SourceUnreadableError:
            assert any(isinstance(row, dict) for row in junk)  # sides that are not those declared
            return
        assert len(rows.line) == len(junk)
        assert all(line in rows.fault_details for line, row in enumerate(junk, 1) if not isinstance(row, dict))
