"""Rows as JSON, CSV or Arrow stream, by the catalogue.

Belongs here: bytes of an answer. Does not belong here: which rows (`serving.reading`), parameters.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import pyarrow as pa
from fastapi import Request, Response

from label_assets.cache.record import Rows
from label_assets.catalog.columns import Column, ColumnType
from label_assets.serving.parameters import Format, shown_time
from label_assets.warehouse.shown import shown_table

MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}
OPEN = 1
"""Code of the window status of rows that the future still changes."""

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

    def values(self, name: str) -> list[Any]:
        """A column in wire types; None is NULL."""
        if isinstance(self.rows, Rows):
            if name in self.about:
                return [self.about[name]] * len(self)
            return self.rows.values(name)
        values: list[Any] = self.rows[name].to_pylist()
        return values

    def dictionaries(self) -> list[dict[str, Any]]:
        """The rows for JSON."""
        names = [column.name for column in self.columns]
        shown = [_shown(column, self.values(column.name)) for column in self.columns]
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


def page_response(request: Request, page: Page, asked: Format, next_url: str | None) -> Response:
    """The answer with a page of rows; empty with status 304 if the client has the same already."""
    headers = {"Vary": "Accept", "X-Source": page.source}
    if next_url is not None:
        headers["Link"] = f'<{next_url}>; rel="next"'
    if asked == "json":
        body = orjson.dumps({**page.about, "rows": page.dictionaries(), "next": next_url})
    elif asked == "csv":
        body = _csv(page.table())
    else:
        body = _arrow(page.table())
    headers["ETag"] = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    # Restated history may change the oldest row, so a copy is asked about each time; what is open changes by itself.
    headers["Cache-Control"] = "private, no-cache"
    if headers["ETag"] in {part.strip() for part in request.headers.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=MEDIA_TYPES[asked], headers=headers)


def _shown(column: Column, values: list[Any]) -> list[Any]:
    if column.type is ColumnType.TIME:
        return [None if value is None else _time(value) for value in values]
    if column.type is ColumnType.ENUM:
        return [None if value is None else column.values[value] for value in values]
    if column.type is ColumnType.FLAG:
        return [None if value is None else bool(value) for value in values]
    return values


def _csv(table: pa.Table) -> bytes:
    from pyarrow import csv  # noqa: PLC0415 - only who asks for it

    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink)
    return bytes(sink.getvalue())


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
