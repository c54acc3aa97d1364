"""Values hold a row of labels to the bit, and refuse what they cannot hold."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_assets.cache.record import (
    COMPRESSED_ABOVE_BYTES,
    LABELS_BY_NAME,
    RECORD,
    VALUE_COLUMNS,
    decode,
    encode,
    version_of,
)
from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.families import LABELS
from label_assets.errors import CatalogError
from label_assets.kernels.arrays import NULL_INT
from label_assets_tests.cache.labels import label_rows

KEY = ("EURUSD", "H1", 6)
LIMITS = {
    ColumnType.CLASS: (-127, 127),
    ColumnType.ENUM: (-127, 127),
    ColumnType.FLAG: (0, 1),
    ColumnType.BARS: (0, 2**16 - 2),
    ColumnType.TIME: (0, 2**32 - 2),
}


def _values(column: Column) -> st.SearchStrategy[Any]:
    if column.type is ColumnType.NAME:
        values: st.SearchStrategy[Any] = st.text(max_size=2000)
    elif column.type in LIMITS:
        values = st.integers(*LIMITS[column.type])
    else:
        values = st.floats(allow_nan=False, width=32 if column.type is ColumnType.RELATIVE else 64)
    return st.none() | values if column.nullable else values


ROWS = st.lists(
    st.fixed_dictionaries({column.name: _values(column) for column in VALUE_COLUMNS}), min_size=1, max_size=3
)


@given(ROWS)
def test_any_row_comes_back_to_the_bit(rows: list[dict[str, Any]]) -> None:
    schema = LABELS.wire_schema()
    key = dict(zip(("instrument_id", "granularity", "horizon"), KEY, strict=True))
    table = pa.Table.from_pylist([row | key for row in rows], schema=schema)
    versions = list(range(7, 7 + len(rows)))
    values = encode(table, versions)
    assert [version_of(value) for value in values] == versions
    found = decode(values).table(*KEY)
    assert found.schema == schema
    for name in schema.names:
        assert found[name].to_pylist() == table[name].to_pylist(), name
    longest = max(len(row["label_version"].encode()) for row in rows)
    assert longest < COMPRESSED_ABOVE_BYTES or b"z" in {value[8:9] for value in values}


def test_rows_of_a_run_and_arrays_of_a_kernel_give_the_same_values() -> None:
    """NaN and NULL_INT in arrays are NULL in Arrow; a computed row is a quarter of a kilobyte."""
    rows = label_rows(*KEY)
    arrays: dict[str, Any] = {"label_version": "1-test", "computed_at": rows["computed_at"][0].as_py()}
    for name in RECORD.names or ():
        if name not in arrays:
            column = rows[name]
            is_float = LABELS_BY_NAME[name].type in {ColumnType.PRICE, ColumnType.RELATIVE}
            cast = column.cast(pa.float64() if is_float else pa.int64())
            arrays[name] = cast.fill_null(np.nan if is_float else NULL_INT).to_numpy()
    versions = [3] * rows.num_rows
    assert encode(arrays, versions) == encode(rows, versions)
    assert decode(encode(rows, versions)).table(*KEY).equals(rows)
    assert max(map(len, encode(rows, versions))) < 300


def test_no_rows_are_no_values() -> None:
    none = label_rows(*KEY).slice(0, 0)
    assert decode(encode(none, [])).table(*KEY).equals(none)


@pytest.mark.parametrize(
    ("name", "value"),
    [("entry_price", np.nan), ("path_bars", NULL_INT), ("path_bars", 2**16), ("window_status", 300), ("path_bars", -1)],
    ids=["price-null", "count-null", "count-large", "enum-large", "count-negative"],
)
def test_what_a_column_cannot_hold_is_refused(name: str, value: float) -> None:
    rows = label_rows(*KEY).slice(0, 2)
    columns = {column: rows[column] for column in rows.column_names} | {name: np.array([value, 1])}
    with pytest.raises(CatalogError) as refusal:
        encode(columns, [1, 1])
    assert name in str(refusal.value)


@pytest.mark.parametrize("value", [b"", b"12345678", b"12345678x123", b"12345678p\x92\xa1a\xc4\x01b"])
def test_foreign_bytes_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgpack has its own subclasses
        decode([value])
