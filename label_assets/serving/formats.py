"""Rows as JSON, CSV or Arrow stream, by the catalogue.

Belongs here: bytes of an answer. Does not belong here: which rows (`serving.reading`), parameters.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa
from fastapi import Request, Response

from label_assets.cache.record import RECORD, Rows, null_of
from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.families import LABELS
from label_assets.serving.parameters import Format, shown_time
from label_assets.warehouse.shown import shown_table

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
INLINE_ROWS = 50
"""Longer pages are made in a thread, so that nobody else waits for them."""

GZIP_LEVEL = 1

_time = lru_cache(maxsize=65_536)(shown_time)


@dataclass(frozen=True)
class Page:
    """Rows of an answer.

    Attributes:
        columns: What is shown, in this order.
        rows: An Arrow table in the wire types, or rows of the cache.
        source: Where they came from: `cache`, `store` or `computed`.
        about: What all rows have in common, for JSON: instrument, granularity, …
    """

    columns: Sequence[Column]
    rows: pa.Table | Rows
    source: str
    about: Mapping[str, Any]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.rows.texts) if isinstance(self.rows, Rows) else int(self.rows.num_rows)

    def dictionaries(self) -> list[dict[str, Any]]:
        """The rows for orjson, to which NaN is null."""
        names = tuple(column.name for column in self.columns)
        if isinstance(self.rows, Rows):
            return cached_dictionaries(names, self.rows, self.about)
        shown = [_shown(column, self.rows[column.name]) for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*shown, strict=True)]

    def table(self) -> pa.Table:
        """The rows in the types that people get."""
        rows = self.rows
        if isinstance(rows, Rows):
            rows = rows.table(self.about["instrument_id"], self.about["granularity"], self.about["horizon"])
        return shown_table(self.columns, rows)


def asked_format(request: Request, asked: Format | None) -> Format:
    """Format of the answer: the parameter, else the first of `Accept` that we make, else JSON."""
    if asked is not None:
        return asked
    for part in request.headers.get("accept", "").split(","):
        media_type = part.partition(";")[0].strip().lower()
        for name, known in MEDIA_TYPES.items():
            if media_type == known.partition(";")[0]:
                return name
    return "json"


async def page_response(request: Request, page: Page, asked: Format, next_url: str | None) -> Response:
    """The answer with a page of rows; empty with status 304 if the client has the same already."""
    headers = {"Vary": "Accept", "X-Source": page.source}
    if next_url is not None:
        headers["Link"] = f'<{next_url}>; rel="next"'
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    if len(page) > INLINE_ROWS:
        body, packed = await asyncio.to_thread(_bodies, page, asked, next_url, takes_gzip)
    else:
        body, packed = _bodies(page, asked, next_url, takes_gzip=False)
    headers["ETag"] = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    # Restated history may change the oldest row, so a copy is asked about each time; what is open changes by itself.
    headers["Cache-Control"] = "private, no-cache"
    if headers["ETag"] in {part.strip() for part in request.headers.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=headers)
    if packed is not None:
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept, Accept-Encoding"}
    return Response(body if packed is None else packed, media_type=MEDIA_TYPES[asked], headers=headers)


def _bodies(page: Page, asked: Format, next_url: str | None, takes_gzip: bool) -> tuple[bytes, bytes | None]:
    """A page as bytes, and compressed for those who take that."""
    if asked == "json":
        body = orjson.dumps({**page.about, "rows": page.dictionaries(), "next": next_url})
    else:
        body = (_csv if asked == "csv" else _arrow)(page.table())
    return body, gzip.compress(body, GZIP_LEVEL) if takes_gzip else None


def cached_dictionaries(names: tuple[str, ...], rows: Rows, about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the cache, each made at once: for few rows that is eight times as fast as column by column."""
    places, texts = _places(names)
    found = []
    for record, text in zip(rows.records.tolist(), rows.texts, strict=True):
        row = {name: record[at] if show is None else show(record[at]) for name, at, show in places}
        for name in texts:
            row[name] = about.get(name, text)
        found.append(row)
    return found


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...]) -> tuple[list[tuple[str, int, Callable[[Any], Any] | None]], list[str]]:
    """For each column its place in a record and how its value is shown, and the names of those that are no record's."""
    recorded: list[str] = list(RECORD.names or ())
    columns = {column.name: column for column in LABELS.all_columns}
    places: list[tuple[str, int, Callable[[Any], Any] | None]] = []
    for name in names:
        # What is no record's keeps its place and is set afterwards.
        at = recorded.index(name) if name in recorded else 0
        places.append((name, at, _value_shown(columns[name]) if name in recorded else None))
    return places, [name for name in names if name not in recorded]


def _value_shown(column: Column) -> Callable[[Any], Any] | None:
    """What makes of a value of a record what JSON has; None where it is the value itself."""
    null = null_of(column) if column.nullable else None
    if column.type is ColumnType.TIME:
        return lambda value: None if value == null else _time(value)
    if column.type in _NAMED_VALUES:
        names = _NAMED_VALUES[column.type](column) | {null: None}
        return names.__getitem__
    return None if null is None else lambda value: None if value == null else value


_NAMED_VALUES: dict[ColumnType, Callable[[Column], dict[int | None, Any]]] = {
    ColumnType.ENUM: lambda column: dict(enumerate(column.values)),
    ColumnType.FLAG: lambda _: {0: False, 1: True},
}


def _shown(column: Column, values: pa.ChunkedArray) -> list[Any]:
    """A column of an Arrow table in wire types as JSON has it."""
    if pa.types.is_floating(values.type):
        return list(values.to_numpy().tolist())
    if not pa.types.is_integer(values.type):
        return list(values.to_pylist())
    whole: list[Any] = values.fill_null(0).to_numpy().tolist()
    if column.type is ColumnType.TIME:
        whole = [_time(value) for value in whole]
    elif column.type in _NAMED_VALUES:
        names = _NAMED_VALUES[column.type](column)
        whole = [names[value] for value in whole]
    if not values.null_count:
        return whole
    return [None if null else value for value, null in zip(whole, values.is_null().to_pylist(), strict=True)]


def _csv(table: pa.Table) -> bytes:
    from pyarrow import csv  # noqa: PLC0415 - only who asks for it

    for place, column in enumerate(table.schema):
        if pa.types.is_list(column.type):  # CSV has no lists: written as JSON writes them
            texts = [orjson.dumps(values).decode() for values in table.column(place).to_pylist()]
            table = table.set_column(place, column.name, pa.array(texts, pa.string()))
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
