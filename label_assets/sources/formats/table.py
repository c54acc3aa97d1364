"""Candles from a ClickHouse table that someone else fills.

Belongs here: the statement and the types of columns. Does not belong here: connections (the caller has one).
"""

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from clickhouse_connect.driver.binding import quote_identifier
from clickhouse_connect.driver.exceptions import ClickHouseError

from label_assets.errors import SourceUnreadableError
from label_assets.kernels.arrays import FloatArray, IntArray
from label_assets.sources.declaration import PRICES, SIDED_PRICES, TableDeclaration
from label_assets.sources.formats.numbers import column_numbers, parse_numbers
from label_assets.sources.formats.opening import UNDAMAGED
from label_assets.sources.formats.sides import combined_prices, price_columns
from label_assets.sources.raw_rows import RawRows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_STAMP = re.compile(
    r"(?:Nullable\()?(?:DateTime64\((?P<digits>\d)(?:, '(?P<zone64>.+?)')?\)|DateTime(?:\('(?P<zone>.+?)'\))?)\)?"
)
_NUMBER = re.compile(
    r"(?:Nullable\()?(?:(?P<exact>U?Int(?:8|16|32|64)|Float(?:32|64))|Decimal\(.*\)|U?Int(?:128|256))\)?"
)
_TEXT = re.compile(r"(?:LowCardinality\()?(?:Nullable\()?String\)*")
_UNMERGED = re.compile(
    r"(Replicated|Shared)?(Replacing|Summing|Aggregating|(Versioned)?Collapsing|Coalescing)MergeTree"
)


class _Query(NamedTuple):
    """What is asked of the table.

    Attributes:
        names: The table's name of each column of ours that is read.
        types: The table's types of them.
        source: FROM and WHERE.
        parameters: What WHERE compares with.
        prices: As of `price_columns`.
    """

    names: dict[str, str]
    types: dict[str, str]
    source: str
    parameters: dict[str, str]
    prices: tuple[tuple[str, ...], ...]


def read_table(client: "Client", declaration: TableDeclaration) -> RawRows:
    """Rows of a table, by time, and among equal times by their values; `line` counts them.

    Rows that an engine such as ReplacingMergeTree would merge are merged (FINAL). The stamps are instants where their
    column has a zone (`DateTime('UTC')`); without one the clock is to be declared, since what was stored may be local.

    Args:
        client: A connection to the server of the table.
        declaration: Table, columns, the values that the instrument's rows have, side and divisor of the prices.

    Raises:
        SourceUnreadableError: the table is not there, lacks a column or has one of a wrong type, or the server does
            not answer.
    """
    query = _query(client, declaration)
    stamp, ticks, has_zone = _stamp(query)
    names = [name for name in query.names if name != "ts"]
    column = f"source.{quote_identifier(query.names['ts'])}"
    table = _rows(
        client,
        declaration,
        f"SELECT {stamp} AS read_ts, isNotNull({column}) AS read_is_there, "
        f"{', '.join(f'{_value(query, name)} AS read_{name}' for name in names)} {query.source} "
        f"ORDER BY read_is_there, read_ts, {', '.join(f'read_{name}' for name in names)}",
        query.parameters,
    )
    raw = table["read_ts"].cast(pa.int64()).to_numpy()
    has_stamp = table["read_is_there"].to_numpy() == 1
    numbers = {name: _numbers(table[f"read_{name}"]) for name in names}
    return RawRows(
        np.arange(1, len(raw) + 1),
        raw // ticks,
        has_stamp,
        raw % ticks != 0,
        has_zone,
        *combined_prices(numbers, query.prices, declaration.price_divisor),
        numbers.get("volume", np.zeros(len(raw))),
        np.zeros(len(raw), np.int8),
        {},
        lambda lines: _stamp_texts(raw, ticks, has_stamp, lines),
    )


def table_fingerprint(client: "Client", declaration: TableDeclaration) -> str:
    """A text that changes when the rows that `read_table` gives change: their number, ends of time, and a hash.

    Raises:
        SourceUnreadableError: as `read_table`.
    """
    query = _query(client, declaration)
    stamp, _, _ = _stamp(query)
    # Of a tuple: the hash of arguments one of which is NULL is NULL, and the sum would leave the row out.
    columns = ", ".join(f"source.{quote_identifier(name)}" for name in query.names.values())
    sql = f"SELECT count() AS n, min({stamp}) AS a, max({stamp}) AS b, sum(cityHash64(tuple({columns}))) AS h"
    (row,) = _rows(client, declaration, f"{sql} {query.source}", query.parameters).to_pylist()
    return f"{row['n']}:{row['a']}:{row['b']}:{row['h']}"


def _query(client: "Client", declaration: TableDeclaration) -> _Query:
    """Look at the table and put together what is asked of it."""
    database, _, name = declaration.table.rpartition(".")
    parameters = {"database": database, "table": name}
    place = "database = if({database:String} = '', currentDatabase(), {database:String})"
    found = _rows(
        client,
        declaration,
        f"SELECT name, type FROM system.columns WHERE {place} AND table = {{table:String}} ORDER BY position",
        parameters,
    )
    engines = _rows(
        client, declaration, f"SELECT engine FROM system.tables WHERE {place} AND name = {{table:String}}", parameters
    )
    if not len(engines):
        raise _unreadable(declaration, "no such table")
    types = dict(zip(found["name"].to_pylist(), found["type"].to_pylist(), strict=True))
    names = {name: declaration.columns.get(name, name) for name in ("ts", *PRICES, *SIDED_PRICES, "volume")}
    there = {name: theirs for name, theirs in names.items() if theirs in types or name in declaration.columns}
    prices = price_columns(f"table {declaration.table}", there, declaration.price)
    wanted = ["ts", *(name for chosen in prices for name in chosen), *(["volume"] if "volume" in there else [])]
    for theirs in (*(names[name] for name in wanted), *declaration.where):
        if theirs not in types:
            raise _unreadable(declaration, f"no column {theirs!r} among {', '.join(types)}")
    for name in wanted:
        kind = types[names[name]]
        if not (_STAMP if name == "ts" else _NUMBER).fullmatch(kind):
            raise _unreadable(declaration, f"column {names[name]!r} of type {kind}")
    final = " FINAL" if _UNMERGED.fullmatch(engines["engine"].to_pylist()[0]) else ""
    conditions, values = _conditions(declaration, types)
    table = ".".join(quote_identifier(part) for part in declaration.table.split("."))
    return _Query(
        {name: names[name] for name in wanted},
        {name: types[names[name]] for name in wanted},
        f"FROM {table} AS source{final} {conditions}",
        values,
        prices,
    )


def _conditions(declaration: TableDeclaration, types: dict[str, str]) -> tuple[str, dict[str, str]]:
    """WHERE and its parameters; only texts are compared as they are, so that an index on them serves."""
    terms, parameters = [], {}
    for number, (column, value) in enumerate(declaration.where.items()):
        quoted = f"source.{quote_identifier(column)}"
        compared = quoted if _TEXT.fullmatch(types[column]) else f"toString({quoted})"
        terms.append(f"{compared} = {{where_{number}:String}}")
        parameters[f"where_{number}"] = value
    return (f"WHERE {' AND '.join(terms)}" if terms else ""), parameters


def _stamp(query: _Query) -> tuple[str, int, bool]:
    """Expression for the time stamp as an integer, its units per second, and whether it has a zone."""
    match = _STAMP.fullmatch(query.types["ts"])
    assert match is not None  # `_query` has looked
    column = f"assumeNotNull(source.{quote_identifier(query.names['ts'])})"
    if match["digits"] is None:
        return f"toInt64(reinterpret({column}, 'UInt32'))", 1, match["zone"] is not None
    return f"reinterpret({column}, 'Int64')", 10 ** int(match["digits"]), match["zone64"] is not None


def _value(query: _Query, name: str) -> str:
    """Expression for a number: what float64 may not hold exactly comes as text."""
    match = _NUMBER.fullmatch(query.types[name])
    column = f"source.{quote_identifier(query.names[name])}"
    return column if match is not None and match["exact"] else f"toString({column})"


def _numbers(column: pa.ChunkedArray) -> FloatArray:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return parse_numbers(pa.array(column.combine_chunks(), pa.string()))[0]
    return column_numbers(column)


def _stamp_texts(raw: IntArray, ticks: int, has_stamp: Any, lines: IntArray) -> list[str | None]:
    """Time stamps of 1-based rows as text."""
    rows = lines - 1
    whole = pa.array(raw[rows] // ticks, pa.timestamp("s")).cast(pa.string()).to_pylist()
    digits = len(str(ticks)) - 1
    rests = [f".{rest:0{digits}}" if digits else "" for rest in (raw[rows] % ticks).tolist()]
    there = has_stamp[rows].tolist()
    return [text + rest if is_there else None for text, rest, is_there in zip(whole, rests, there, strict=True)]


def _rows(client: "Client", declaration: TableDeclaration, sql: str, parameters: dict[str, str]) -> pa.Table:
    try:
        return client.query_arrow(sql, parameters=parameters, use_strings=True)
    except (ClickHouseError, pa.ArrowException, OSError) as error:
        raise _unreadable(declaration, str(error)) from error


def _unreadable(declaration: TableDeclaration, found: str) -> SourceUnreadableError:
    return SourceUnreadableError(
        asked=f"candles of table {declaration.table}",
        found=found,
        allowed="a table with ts (DateTime or DateTime64), open, high, low, close and, if wanted, volume (numbers)",
        action=f"correct the declaration or the table; {UNDAMAGED}",
    )
