"""Pages: what a request for rows asks for, where a page ends and where the next one begins.

Belongs here: columns, range, format and size of a page; links. Does not belong here: rows (`serving.reading`), single
parameters (`serving.parameters`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from fastapi import Request

from label_assets.catalog.columns import Column, Table
from label_assets.errors import RequestError
from label_assets.serving.formats import asked_format
from label_assets.serving.parameters import Format, RangeQuery, chosen_columns, chosen_range, shown_time
from label_assets.settings import Settings

DEFAULT_JSON_ROWS = 1000


class Wanted(NamedTuple):
    """A page that is asked for.

    Attributes:
        columns: What is shown, in this order.
        between: First open time and end of the open times, not included [epoch s].
        limit: Most rows.
        format: As what they are sent.
    """

    columns: Sequence[Column]
    between: tuple[int, int]
    limit: int
    format: Format


def wanted_page(request: Request, settings: Settings, table: Table, query: RangeQuery) -> Wanted:
    """What a request asks for.

    Raises:
        RequestError: for columns, a range or a number of rows that cannot be had.
    """
    chosen = asked_format(request, query.format)
    limit = _limit(settings, chosen, query.limit)
    return Wanted(chosen_columns(table, query.columns), chosen_range(settings, query), limit, chosen)


def next_page(request: Request, parameter: str, ts: int | None) -> str | None:
    """Address of the next page, or None."""
    if ts is None:
        return None
    url = request.url.include_query_params(**{parameter: shown_time(ts)})
    return f"{url.path}?{url.query}"


def _limit(settings: Settings, chosen: Format, asked: int | None) -> int:
    """Most rows of a page: what is asked for, else 1,000 in JSON and as many as there may be otherwise."""
    most = settings.serve.page_rows
    if asked is None:
        return min(most, DEFAULT_JSON_ROWS) if chosen == "json" else most
    if asked > most:
        raise RequestError(
            kind="invalid-request",
            asked=f"{asked} rows at once",
            found="more than this server gives in one answer",
            allowed=f"1 to {most}",
            action="ask for fewer and follow `next`, or read ClickHouse itself with label_assets.client",
        )
    return asked
