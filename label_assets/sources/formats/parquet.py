"""Candles from Parquet files.

Belongs here: columns and their types. Does not belong here: which files there are (`sources.parquet`).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from label_assets.errors import SourceUnreadableError
from label_assets.kernels.arrays import IntArray
from label_assets.sources.declaration import PRICES, SIDED_PRICES, ParquetDeclaration
from label_assets.sources.formats.numbers import column_numbers, is_number_type
from label_assets.sources.formats.opening import unreadable
from label_assets.sources.formats.sides import combined_prices, price_columns
from label_assets.sources.raw_rows import RawRows

_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def read_parquet(path: Path, declaration: ParquetDeclaration) -> RawRows:
    """Rows of a Parquet file.

    Columns: `ts` (a timestamp of any unit; with a zone it is an instant), prices, and, if there is one, `volume`
    (integer, floating or decimal numbers; 0 where the column is absent). Other columns are ignored.

    Args:
        path: The file.
        declaration: Says what the columns are called, and the side and the divisor of the prices.

    Raises:
        SourceUnreadableError: the file cannot be read, or lacks a column, or has one of a wrong type.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = _names(path, file.schema_arrow, declaration)
            prices = price_columns(f"file {path.name}", names, declaration.price)
            wanted = ["ts", *(name for chosen in prices for name in chosen), "volume"]
            _check_schema(path, file.schema_arrow, {name: names.get(name, name) for name in wanted})
            table = file.read(columns=[names[name] for name in wanted if name in names])
        stamps = table.column(names["ts"])
        units = _UNITS_PER_SECOND[stamps.type.unit]
        raw = pc.fill_null(stamps.cast(pa.int64()), 0).to_numpy()
        values = {name: column_numbers(table.column(names[name])) for name in wanted[1:] if name in names}
        has_stamp = pc.is_valid(stamps).to_numpy()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error).replace(str(path), path.name)) from error
    return RawRows(
        np.arange(1, len(raw) + 1),
        raw // units,
        has_stamp,
        raw % units != 0,
        stamps.type.tz is not None,
        *combined_prices(values, prices, declaration.price_divisor),
        values.get("volume", np.zeros(len(raw))),
        np.zeros(len(raw), np.int8),
        {},
        lambda lines: _stamp_texts(stamps, lines),
    )


def has_zone(path: Path, declaration: ParquetDeclaration) -> bool:
    """Whether a file's time stamps have a zone, so that they are instants.

    Raises:
        SourceUnreadableError: as `read_parquet`.
    """
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error).replace(str(path), path.name)) from error
    name = _names(path, schema, declaration).get("ts", "ts")
    _check_schema(path, schema, {"ts": name})
    return schema.field(name).type.tz is not None


def _names(path: Path, schema: pa.Schema, declaration: ParquetDeclaration) -> dict[str, str]:
    """The file's name of each column of ours that it has."""
    for theirs in declaration.columns.values():
        if theirs not in schema.names:
            raise _unreadable(path, f"no columns {theirs!r} among {', '.join(schema.names) or 'none'}")
    names = {name: declaration.columns.get(name, name) for name in ("ts", *PRICES, *SIDED_PRICES, "volume")}
    return {name: theirs for name, theirs in names.items() if theirs in schema.names}


def _check_schema(path: Path, schema: pa.Schema, wanted: dict[str, str]) -> None:
    for name, theirs in wanted.items():
        count = schema.names.count(theirs)
        if count == 0 and name == "volume":
            continue
        if count != 1:
            raise _unreadable(path, f"{count or 'no'} columns {theirs!r} among {', '.join(schema.names) or 'none'}")
        kind = schema.field(theirs).type
        if not (pa.types.is_timestamp(kind) if name == "ts" else is_number_type(kind)):
            raise _unreadable(path, f"column {theirs!r} of type {kind}")


def _stamp_texts(stamps: pa.ChunkedArray, lines: IntArray) -> list[str | None]:
    """Time stamps of 1-based rows as text; Arrow keeps those with a zone as UTC, which the Z says."""
    naive = stamps.take(pa.array(lines - 1)).cast(pa.timestamp(stamps.type.unit))
    suffix = "Z" if stamps.type.tz else ""
    texts: list[str | None] = [None if text is None else text + suffix for text in naive.cast(pa.string()).to_pylist()]
    return texts


def _unreadable(path: Path, found: str) -> SourceUnreadableError:
    return unreadable(
        path,
        found,
        "a Parquet file with columns ts (timestamp), open, high, low, close and, if wanted, volume (numbers)",
    )
