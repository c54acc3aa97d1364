"""Rows as people get them: times as times, enumerations by name, flags as booleans.

Belongs here: from the wire types of the catalogue to those that people read. Does not belong here: formats of files and
answers (`serving.formats`, `client`).
"""

from collections.abc import Sequence

import pyarrow as pa

from label_assets.catalog.columns import Column, ColumnType


def shown_table(columns: Sequence[Column], rows: pa.Table) -> pa.Table:
    """Rows in the wire types as a table in the types that people get, of some columns in their order."""
    fields = [pa.field(column.name, column.type.arrow, nullable=column.nullable) for column in columns]
    return pa.Table.from_arrays([_shown(column, rows[column.name]) for column in columns], schema=pa.schema(fields))


def _shown(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type is ColumnType.ENUM:
        names = pa.array(column.values, pa.string())
        return pa.chunked_array([names.take(chunk) for chunk in values.chunks], pa.string())
    if column.type is ColumnType.TIME:
        return values.cast(pa.int64()).cast(column.type.arrow)
    return values.cast(column.type.arrow)
