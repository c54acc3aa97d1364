"""Numbers from text and Arrow columns: the nearest float, and what is none."""

import math
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_assets.sources.formats.numbers import column_numbers, parse_numbers


@given(st.lists(st.floats() | st.none(), max_size=30))
def test_floats_come_back_to_the_bit(numbers: list[float | None]) -> None:
    texts = [None if number is None else repr(number) for number in numbers]
    expected = np.array([math.nan if number is None else number for number in numbers], np.float64)
    for extra in ([], ["abc"]):  # the second has to take the long way
        found, bad = parse_numbers(pa.array(texts + extra, pa.string()))
        assert bad.tolist() == [len(texts)] * len(extra)
        np.testing.assert_array_equal(found[: len(texts)], expected)
        assert np.array_equal(np.signbit(found[: len(texts)]), np.signbit(expected)) or np.isnan(expected).any()


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=0, max_value=10**6)))
def test_prices_are_the_nearest_float(prices: list[Decimal]) -> None:
    found, _ = parse_numbers(pa.array([str(price) for price in prices], pa.string()))
    assert found.tolist() == [float(price) for price in prices]
    column = column_numbers(pa.chunked_array([pa.array(prices, pa.decimal128(20, 5))]))
    assert column.tolist() == [float(price) for price in prices]


@given(st.lists(st.text(max_size=12), max_size=30))
def test_any_text_is_a_number_or_missing_or_bad(texts: list[str]) -> None:
    found, bad = parse_numbers(pa.array([text.encode("utf-8", "replace").decode() for text in texts], pa.string()))
    assert len(found) == len(texts)
    assert np.isnan(found[bad]).all()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.10001", 1.10001),
        (" 1.1 ", 1.1),
        ("+1.1", 1.1),
        ("-1.1", -1.1),
        ("1.", 1.0),
        (".5", 0.5),
        ("1E+5", 100_000.0),
        ("0012", 12.0),
        ("inf", math.inf),  # a number that the rules refuse
        ("1e999", math.inf),
        ("1e-999", 0.0),
    ],
)
def test_what_is_a_number(text: str, number: float) -> None:
    for texts in ([text], [text, "abc"]):
        assert parse_numbers(pa.array(texts))[0][0] == number


@pytest.mark.parametrize("text", ["", " ", "NaN", "null", "None", "n/a", "-", None])
def test_what_is_missing(text: str | None) -> None:
    found, bad = parse_numbers(pa.array([text, "abc"]))
    assert np.isnan(found).all()
    assert bad.tolist() == [1]


@pytest.mark.parametrize("text", ["abc", "1,1", "0x10", "1_0", "1.1.1", "1 1", "--1", "1e", "１", "1\0", "1.1x", "."])
def test_what_is_no_number(text: str) -> None:
    found, bad = parse_numbers(pa.array(["1.5", text]))
    assert found[0] == 1.5
    assert math.isnan(found[1])
    assert bad.tolist() == [1]
