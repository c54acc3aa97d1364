"""What a request may ask for: its parameters, checked, with the bounds in every refusal.

Belongs here: parameters of all addresses. Does not belong here: what is done with them (`serving.reading`).
"""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from label_assets.catalog.columns import Column, Table
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.index import TABLES
from label_assets.catalog.instruments import INSTRUMENT_PATTERN
from label_assets.errors import RequestError
from label_assets.serving.problems import quoted
from label_assets.settings import Settings

LATEST_TS = 2**32 - 1
CLOCK_TOLERANCE_S = 2
LONGEST_HORIZON = 100
_MOST_LISTED = 120

Format = Literal["json", "csv", "arrow"]


def parse_stamp(value: Any) -> int:
    """Epoch seconds of "2024-03-01T12:00:00Z", "2024-03-01" (UTC) or "1709294400".

    Raises:
        ValueError: for anything else, and for times that are no whole seconds from 1970 to 2106.
    """
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value, flags=re.ASCII):
        value = int(value)
    if isinstance(value, str) and len(value) <= 40:
        moment = datetime.fromisoformat(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if seconds != int(seconds):
            raise ValueError("allowed are whole seconds")
        value = int(seconds)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LATEST_TS:
        raise ValueError("allowed are times such as 2024-03-01T12:00:00Z, or epoch seconds, from 1970 to 2106")
    return value


Stamp = Annotated[
    int,
    BeforeValidator(parse_stamp),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer", "minimum": 0}],
            "description": "ISO 8601, UTC where it has no zone, or epoch seconds",
        }
    ),
]

InstrumentPath = Annotated[str, Path(pattern=INSTRUMENT_PATTERN, description="Instrument, as in /v1/catalog.")]
GranularityPath = Annotated[str, Path(pattern=r"^[A-Z0-9]{1,4}$", description="Candle length, as in /v1/catalog.")]

_Columns = Annotated[
    str | None, Field(max_length=4000, description="Names with commas between them; default: all of the table.")
]
_Format = Annotated[
    Format | None, Field(description="Default: what the header Accept asks for: JSON, text/csv or Arrow's stream.")
]
_Limit = Annotated[int | None, Field(ge=1, le=1_000_000, description="Most rows of the answer.")]
_Horizon = Annotated[
    int | None, Field(ge=1, le=LONGEST_HORIZON, description="Candles ahead; default: the first that is configured.")
]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid")

    columns: _Columns = None
    format: _Format = None


class RangeQuery(_Query):
    """Rows of a range of time, page by page."""

    start: Annotated[Stamp | None, Field(description="First open time; default: the first month of this server.")] = (
        None
    )
    end: Annotated[Stamp | None, Field(description="End of the open times, not included; default: now.")] = None
    limit: _Limit = None


class HorizonRangeQuery(RangeQuery):
    """The same, of one horizon."""

    horizon: _Horizon = None


class LevelQuery(RangeQuery):
    """Levels that live at least in part of a range of time."""

    after: Annotated[Stamp | None, Field(description="Only levels of later pivots: the next page.")] = None


class LatestQuery(_Query):
    """The newest rows."""

    horizon: _Horizon = None
    count: Annotated[int, Field(ge=1, le=1000, description="How many rows.")] = 1


def _known_family(name: str) -> str:
    if name not in _FAMILY_NAMES:
        raise ValueError(f"allowed are {', '.join(_FAMILY_NAMES)}")
    return name


_FAMILY_NAMES = [family.name for family in FAMILIES]
FamilyName = Annotated[str, AfterValidator(_known_family), WithJsonSchema({"type": "string", "enum": _FAMILY_NAMES})]


def check_instrument(settings: Settings, name: str) -> None:
    """Refuse what is not configured.

    Raises:
        RequestError: with what is.
    """
    known = [instrument.name for instrument in settings.instruments]
    if name not in known:
        raise RequestError(
            kind="unknown-instrument",
            asked=f"instrument {quoted(name)}",
            found="it is not configured here",
            allowed=", ".join(known),
            action="use one of these, see /v1/catalog",
        )


def check_granularity(name: str, allowed: Sequence[str]) -> None:
    """Refuse a granularity of which there is nothing.

    Raises:
        RequestError: with those that there are.
    """
    if name not in allowed:
        raise RequestError(
            kind="unknown-granularity",
            asked=f"rows of granularity {quoted(name)}",
            found="there are none of it here",
            allowed=", ".join(allowed),
            action="use one of these, see /v1/catalog",
        )


def chosen_horizon(settings: Settings, horizon: int | None) -> int:
    """The horizon that is asked for, or the first.

    Raises:
        RequestError: for one that is not stored.
    """
    if horizon is None:
        return settings.horizons[0]
    if horizon not in settings.horizons:
        raise RequestError(
            kind="invalid-request",
            asked=f"stored labels with a horizon of {horizon} candles",
            found="labels of it are not stored",
            allowed=", ".join(map(str, settings.horizons)),
            action="use one of these, or POST /v1/labels/compute, which computes any horizon from 1 to 100",
        )
    return horizon


_COLUMNS = {table.name: {column.name: column for column in table.all_columns} for table in TABLES}


def chosen_columns(table: Table, names: str | None) -> tuple[Column, ...]:
    """The columns that are asked for, in that order; `ts` is always the first.

    Raises:
        RequestError: for a name that the table does not have.
    """
    known = _COLUMNS[table.name]
    if names is None:
        return tuple(known.values())
    asked = [name.strip() for name in names.split(",")]
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise RequestError(
            kind="invalid-request",
            asked=f"columns of {table.name}",
            found=", ".join(quoted(name) for name in unknown[:5]),
            allowed=_listed(list(known)),
            action="use these names, with commas between them",
        )
    return tuple(known[name] for name in dict.fromkeys(["ts", *asked]))


def _listed(names: list[str]) -> str:
    """Names with commas between them; of very many the first, which are the key and the counts."""
    rest = len(names) - _MOST_LISTED
    return ", ".join(names[:_MOST_LISTED]) + (f" and {rest} more, see /v1/catalog" if rest > 0 else "")


def chosen_range(settings: Settings, query: RangeQuery) -> tuple[int, int]:
    """First open time and end of what is asked for [epoch s].

    Raises:
        RequestError: for stamps in the future, or an end that does not come after the start.
    """
    now = int(time.time())
    first = int(datetime.combine(settings.first_day, datetime.min.time(), UTC).timestamp())
    start = first if query.start is None else query.start
    end = now if query.end is None else query.end
    for name, stamp in (("start", start), ("end", end)):
        refuse_future(name, stamp, now)
    if end <= start:
        raise RequestError(
            kind="invalid-request",
            asked=f"rows from {shown_time(start)} to {shown_time(end)}",
            found="an end that is not after the start",
            allowed="start < end; the end is not included",
            action="swap them or widen the range",
        )
    return start, end


def refuse_future(name: str, stamp: int, now: int) -> None:
    """Refuse a time that has not come yet.

    Raises:
        RequestError: with the present.
    """
    if stamp > now + CLOCK_TOLERANCE_S:
        raise RequestError(
            kind="invalid-request",
            asked=f"{name} = {shown_time(stamp)}",
            found="a time in the future",
            allowed=f"times up to {shown_time(now)}",
            action=f"use an earlier {name}, or leave it out",
        )


def shown_time(ts: int) -> str:
    """A time as people and JSON have it."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
