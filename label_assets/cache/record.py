"""Rows of labels as the hot cache holds them: fixed records in MessagePack, made of and into whole columns at once.

A value is the row's version (8 bytes, so that Redis can compare it), one byte that says how the rest is compressed, and
MessagePack of [label_version, record]. The record holds every other column at the width it has in ClickHouse; NULL is
NaN in floats and the type's extreme in whole numbers, which the catalogue's ranges never reach.

Belongs here: bytes from rows and rows from bytes. Does not belong here: keys (`cache.sections`), Redis (`cache.hot`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pyarrow as pa
import zstandard
from numpy.typing import NDArray

from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.families import LABELS
from label_assets.errors import CatalogError
from label_assets.kernels.arrays import NULL_INT

COMPRESSED_ABOVE_BYTES = 1024
"""Longer values are compressed: below, the dictionary of zstd costs more than it saves."""

VERSION_BYTES = 8
_PLAIN, _ZSTD = b"p", b"z"

_NULLS = {"i1": -128, "u1": 255, "u2": 2**16 - 1, "u4": 2**32 - 1}
_SECTION = ("instrument_id", "granularity", "horizon")

VALUE_COLUMNS: tuple[Column, ...] = tuple(column for column in LABELS.all_columns if column.name not in _SECTION)
"""Columns of a value: all of `labels` but those that its key names."""

_RECORDED = tuple(column for column in VALUE_COLUMNS if column.type is not ColumnType.NAME)
_TEXTS = tuple(column.name for column in VALUE_COLUMNS if column.type is ColumnType.NAME)


def _format(column: Column) -> str:
    return str(np.dtype(column.type.wire.to_pandas_dtype()).str[1:])


def null_of(column: Column) -> int | None:
    """The whole number that is NULL in a column's records; None for floats, where it is NaN."""
    return _NULLS.get(_format(column))


RECORD = np.dtype([(column.name, "<" + _format(column)) for column in _RECORDED])
"""One row without its texts."""


_FLOATS = tuple(column for column in _RECORDED if RECORD[column.name].kind == "f")
_INTEGERS = tuple(column for column in _RECORDED if RECORD[column.name].kind != "f")
_FLOATS_WITHOUT_NULL = [row for row, column in enumerate(_FLOATS) if not column.nullable]
_INTEGERS_WITHOUT_NULL = [row for row, column in enumerate(_INTEGERS) if not column.nullable]
_INTEGER_NULLS = np.array([[_NULLS[_format(column)]] for column in _INTEGERS], np.int64)
_WIDTHS = [np.iinfo(_format(column)) for column in _INTEGERS]
_LEAST = np.array([[width.min + (width.min < 0)] for width in _WIDTHS], np.int64)
_MOST = np.array([[width.max - (width.min == 0)] for width in _WIDTHS], np.int64)


class Rows(NamedTuple):
    """Rows out of the cache, in the order they were asked for.

    Attributes:
        records: One element a row, fields as in `RECORD`.
        texts: Values of `label_version`, one a row.
    """

    records: NDArray[Any]
    texts: list[str]

    def null(self, name: str) -> NDArray[np.bool_] | None:
        """Where a column is NULL; None for a column that never is."""
        column = LABELS_BY_NAME[name]
        if not column.nullable:
            return None
        values = self.records[name]
        return np.isnan(values) if values.dtype.kind == "f" else np.asarray(values == _NULLS[_format(column)])

    def table(self, instrument_id: str, granularity: str, horizon: int) -> pa.Table:
        """The rows in the wire schema of `labels`."""
        constants = {"instrument_id": instrument_id, "granularity": granularity, "horizon": horizon}
        columns = []
        for column in LABELS.all_columns:
            if column.name in constants:
                columns.append(pa.repeat(pa.scalar(constants[column.name], column.type.wire), len(self.texts)))
            elif column.name in _TEXTS:
                columns.append(pa.array(self.texts, column.type.wire))
            else:
                columns.append(pa.array(np.ascontiguousarray(self.records[column.name]), mask=self.null(column.name)))
        return pa.Table.from_arrays(columns, schema=LABELS.wire_schema())


LABELS_BY_NAME = {column.name: column for column in LABELS.all_columns}


def encode(columns: pa.Table | Mapping[str, Any], versions: Sequence[int]) -> list[bytes]:
    """Values of rows.

    Args:
        columns: Every column of `VALUE_COLUMNS` (others are ignored): an Arrow table in the wire schema, or arrays of a
            kernel in which NaN and `NULL_INT` are NULL; what is the same in all rows may be a scalar.
        versions: Version of each row [microseconds since 1970]; the newest wins.

    Raises:
        CatalogError: for NULL where the catalogue has none, or a value that the column cannot hold.
    """
    records = np.empty(len(versions), RECORD)
    _fill_floats(records, columns)
    _fill_integers(records, columns)
    texts = _texts(columns[_TEXTS[0]], len(versions))
    size, raw = RECORD.itemsize, records.tobytes()
    pack = msgpack.Packer().pack
    return [
        version.to_bytes(VERSION_BYTES, "big") + _compressed(pack([text, raw[at * size : (at + 1) * size]]))
        for at, (version, text) in enumerate(zip(versions, texts, strict=True))
    ]


def decode(values: Sequence[bytes]) -> Rows:
    """Rows of values that `encode` made.

    Raises:
        ValueError: for bytes that it did not make.
    """
    parts = [msgpack.unpackb(_plain(value)) for value in values]
    records = np.frombuffer(b"".join([part[1] for part in parts]), RECORD)
    if len(records) != len(parts):
        raise ValueError(f"{len(parts)} values hold {len(records)} records")
    return Rows(records, [part[0] for part in parts])


def version_of(value: bytes) -> int:
    """Version of a value."""
    return int.from_bytes(value[:VERSION_BYTES], "big")


def _fill_floats(records: NDArray[Any], columns: pa.Table | Mapping[str, Any]) -> None:
    values = np.empty((len(_FLOATS), len(records)))
    for row, column in enumerate(_FLOATS):
        values[row] = _values(columns[column.name], np.nan)
    absent = np.isnan(values[_FLOATS_WITHOUT_NULL])
    if absent.any():
        place = int(np.argmax(absent.any(axis=1)))
        raise _null_refused(_FLOATS[_FLOATS_WITHOUT_NULL[place]], absent[place])
    for row, column in enumerate(_FLOATS):
        records[column.name] = values[row]


def _fill_integers(records: NDArray[Any], columns: pa.Table | Mapping[str, Any]) -> None:
    """All columns are checked together: checks of one take longer than those of a few rows of all."""
    values = np.empty((len(_INTEGERS), len(records)), np.int64)
    for row, column in enumerate(_INTEGERS):
        np.copyto(values[row], _values(columns[column.name], NULL_INT), casting="same_kind")  # no fractions cut off
    null = values == NULL_INT
    refused = ((values < _LEAST) | (values > _MOST)) & ~null
    if refused.any():
        row = int(np.argmax(refused.any(axis=1)))
        column, known = _INTEGERS[row], values[row][~null[row]]
        raise CatalogError(
            asked=f"column {column.name} as {column.type.name} in the hot cache",
            found=f"values from {known.min()} to {known.max()}",
            allowed=f"{_LEAST[row, 0]} to {_MOST[row, 0]}: {_format(column)} without its NULL, {null_of(column)}",
            action="widen the column's type in the catalogue",
        )
    absent = null[_INTEGERS_WITHOUT_NULL]
    if absent.any():
        place = int(np.argmax(absent.any(axis=1)))
        raise _null_refused(_INTEGERS[_INTEGERS_WITHOUT_NULL[place]], absent[place])
    stored = np.where(null, _INTEGER_NULLS, values)
    for row, column in enumerate(_INTEGERS):
        records[column.name] = stored[row]


def _values(column: pa.ChunkedArray | pa.Array | NDArray[Any] | float, null: float) -> NDArray[Any]:
    """Values in which `null` stands for NULL."""
    if not isinstance(column, pa.ChunkedArray | pa.Array):
        return np.asarray(column)
    if not column.null_count:
        return np.asarray(column)
    absent = np.asarray(column.is_null())
    filled = np.asarray(column.fill_null(0)).astype(type(null))
    filled[absent] = null
    return filled


def _null_refused(column: Column, absent: NDArray[np.bool_]) -> CatalogError:
    return CatalogError(
        asked=f"{len(absent)} values of column {column.name} for the hot cache",
        found=f"{int(absent.sum())} of them NULL",
        allowed="no NULL, says the catalogue",
        action="report this: the kernel and the catalogue disagree",
    )


def _texts(column: Any, count: int) -> list[str]:
    if isinstance(column, str):
        return [column] * count
    return column.to_pylist() if isinstance(column, pa.ChunkedArray) else list(column)


def _compressed(packed: bytes) -> bytes:
    if len(packed) <= COMPRESSED_ABOVE_BYTES:
        return _PLAIN + packed
    return _ZSTD + zstandard.ZstdCompressor(level=1).compress(packed)


def _plain(value: bytes) -> bytes:
    kind, packed = value[VERSION_BYTES : VERSION_BYTES + 1], value[VERSION_BYTES + 1 :]
    if kind == _ZSTD:
        return zstandard.ZstdDecompressor().decompress(packed)
    if kind != _PLAIN:
        raise ValueError(f"a value of the hot cache begins with {value[:9]!r}")
    return packed
