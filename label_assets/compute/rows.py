"""Between arrays and Arrow rows, by the catalogue.

Belongs here: conversions. Does not belong here: arithmetic on prices (`kernels`), statements (`warehouse`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.columns import Column, Table
from label_assets.errors import CatalogError
from label_assets.kernels.arrays import NULL_INT, Candles


def candles_from_rows(rows: pa.Table) -> Candles:
    """Candles from rows with the columns of `Candles`, times as epoch seconds."""
    times = [rows[name].to_numpy().astype(np.int64) for name in ("ts", "close_ts")]
    prices = [rows[name].to_numpy().astype(np.float64) for name in ("open", "high", "low", "close", "volume")]
    return Candles(*times, *prices)


def _wire_array(column: Column, values: NDArray[Any]) -> pa.Array:
    if values.dtype.kind == "f":
        mask = np.isnan(values)
    elif values.dtype.kind == "i":
        mask = values == NULL_INT
    else:
        mask = np.zeros(len(values), bool)
    if mask.any() and not column.nullable:
        raise CatalogError(
            asked=f"{len(values)} values of column {column.name}",
            found=f"{int(mask.sum())} of them NULL",
            allowed="no NULL, says the catalogue",
            action="report this: the kernel and the catalogue disagree",
        )
    if column.type.wire in {pa.float32(), pa.float64()}:
        converted = values.astype(column.type.wire.to_pandas_dtype(), copy=False)
    else:
        known = np.where(mask, 0, values)
        converted = known.astype(column.type.wire.to_pandas_dtype())
        if (converted != known).any():
            raise CatalogError(
                asked=f"column {column.name} as {column.type.name}",
                found=f"values from {values[~mask].min()} to {values[~mask].max()}",
                allowed=f"what {column.type.wire} holds",
                action="widen the column's type in the catalogue",
            )
    return pa.array(converted, mask=mask) if column.nullable else pa.array(converted)


def _slice_of(inside: NDArray[np.bool_]) -> "NDArray[np.bool_] | slice[int, int, None]":
    """The chosen elements as a slice where they are neighbors, as rows in time order are: that copies nothing."""
    if not inside.any():
        return slice(0, 0)
    first, end = int(inside.argmax()), len(inside) - int(inside[::-1].argmax())
    return slice(first, end) if inside[first:end].all() else inside


def rows_from_arrays(
    table: Table,
    constants: Mapping[str, str | int | pa.Array],
    arrays: Mapping[str, NDArray[Any]],
    inside: NDArray[np.bool_],
) -> pa.Table:
    """Rows of a table in its wire schema.

    Args:
        table: The table.
        constants: Columns that have one value in all rows, such as instrument_id, or that are given as they are.
        arrays: The other columns; a float NaN and an integer NULL_INT are NULL.
        inside: Which elements of the arrays become rows.

    Returns:
        As many rows as `inside` is true, in the order of the arrays.

    Raises:
        CatalogError: for NULL where the catalogue has none, or a value that the column cannot hold.
    """
    count = int(inside.sum())
    rows = _slice_of(inside)
    columns = []
    for column in table.all_columns:
        given = constants.get(column.name)
        if isinstance(given, pa.Array):
            columns.append(given)
        elif given is not None:
            columns.append(pa.repeat(pa.scalar(given, column.type.wire), count))
        else:
            columns.append(_wire_array(column, np.asarray(arrays[column.name])[rows]))
    return pa.Table.from_arrays(columns, schema=table.wire_schema())
