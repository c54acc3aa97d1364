"""What OpenAPI says of answers, from the catalogue.

Belongs here: schemas of rows and of problems. Does not belong here: parameters (FastAPI reads their types).
"""

from collections.abc import Container
from typing import Any

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.serving import problems
from label_assets.serving.formats import MEDIA_TYPES

_TYPES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.NAME: {"type": "string"},
    ColumnType.TEXT: {"type": "string"},
    ColumnType.TIME: {"type": "string", "format": "date-time"},
    ColumnType.PRICE: {"type": "number"},
    ColumnType.RELATIVE: {"type": "number"},
    ColumnType.FLAG: {"type": "boolean"},
    ColumnType.ENUM: {"type": "string"},
    ColumnType.DECILES: {"type": "array", "items": {"type": "number"}},
}
_WHOLE_NUMBER = {"type": "integer"}
_TEXT = {"type": "string"}

_PROBLEM = {
    "type": "object",
    "required": list(problems.MEMBERS),
    "properties": {name: _WHOLE_NUMBER if name == "status" else _TEXT for name in problems.MEMBERS},
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": "A problem, RFC 9457: what was asked, found and allowed, and what to do next",
        "content": {problems.MEDIA_TYPE: {"schema": _PROBLEM}},
    }
    for status in ("4XX", "5XX")
}
"""The same document for every error."""

KEY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`X-API-Key: KEY`"},
}

NOT_MODIFIED = {"description": "What the client has, by If-None-Match, is what there is"}


def name_keys(document: dict[str, Any], open_paths: Container[str]) -> None:
    """Say in an OpenAPI document how a key is sent, and which paths need none."""
    document.setdefault("components", {})["securitySchemes"] = KEY_SCHEMES
    document["security"] = [{name: []} for name in KEY_SCHEMES]
    for path, operations in document["paths"].items():
        if path in open_paths:
            for operation in operations.values():
                operation["security"] = []


def page_responses(table: Table) -> dict[int | str, dict[str, Any]]:
    """Answers with rows of a table, of which a request may choose columns."""
    document = {
        "type": "object",
        "required": ["rows", "next"],
        "properties": {
            "rows": {"type": "array", "items": row_schema(table)},
            "next": {"type": ["string", "null"], "description": "Address of the next page."},
        },
    }
    content: dict[str, Any] = {media.partition(";")[0]: {} for media in MEDIA_TYPES.values()}
    content[MEDIA_TYPES["json"]] = {"schema": document}
    return {200: {"description": table.sentence, "content": content}, 304: NOT_MODIFIED}


def row_responses(table: Table) -> dict[int | str, dict[str, Any]]:
    """An answer with one row of a table."""
    document = {"type": "object", "required": ["row", "source"], "properties": {"row": row_schema(table)}}
    return {200: {"description": table.sentence, "content": {MEDIA_TYPES["json"]: {"schema": document}}}}


def row_schema(table: Table) -> dict[str, Any]:
    """A row in JSON."""
    return {"type": "object", "properties": {column.name: _column_schema(column) for column in table.all_columns}}


def _column_schema(column: Column) -> dict[str, Any]:
    schema = {**_TYPES.get(column.type, _WHOLE_NUMBER), "description": column.sentence}
    if column.type is ColumnType.ENUM:
        schema["enum"] = [*column.values, None] if column.nullable else list(column.values)
    if column.nullable:
        schema["type"] = [schema["type"], "null"]
    return schema
