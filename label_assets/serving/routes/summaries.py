"""Labels in sum: statistics by month or day, and which months of which instruments are materialized."""

import hashlib
from typing import Annotated, Any, Literal

import orjson
import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from label_assets.cache.sections import Section
from label_assets.catalog.columns import Table
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.serving.documents import NOT_MODIFIED, page_responses
from label_assets.serving.formats import MEDIA_TYPES, Page, page_response
from label_assets.serving.paging import next_page, wanted_page
from label_assets.serving.parameters import (
    LONGEST_HORIZON,
    GranularityPath,
    HorizonRangeQuery,
    InstrumentPath,
    check_granularity,
    check_instrument,
    chosen_horizon,
    shown_time,
)
from label_assets.serving.services import Service

router = APIRouter(prefix="/v1", tags=["summaries"])

_TABLES: dict[str, Table] = {"month": LABEL_STATISTICS_MONTHLY, "day": LABEL_STATISTICS}


class StatisticsQuery(HorizonRangeQuery):
    """Statistics of a range of time."""

    period: Annotated[Literal["month", "day"], Field(description="What a row adds up; only months have deciles.")] = (
        "month"
    )


@router.get(
    "/statistics/{instrument}/{granularity}",
    summary="What adds up over the labels of each month or day",
    responses=page_responses(LABEL_STATISTICS_MONTHLY),
)
async def statistics(
    request: Request,
    services: Service,
    instrument: InstrumentPath,
    granularity: GranularityPath,
    query: Annotated[StatisticsQuery, Query()],
) -> Response:
    """One row for each month (or day) that begins in the range, oldest first: counts by status and class, sums."""
    check_instrument(services.settings, instrument)
    check_granularity(granularity, services.settings.granularities)
    section = Section(instrument, granularity, chosen_horizon(services.settings, query.horizon))
    table = _TABLES[query.period]
    wanted = wanted_page(request, services.settings, table, query)
    rows, following = await services.reader.section_page(table, section, wanted.between, wanted.limit, wanted.columns)
    services.metrics.rows.labels(table.name).inc(rows.num_rows)
    page = Page(wanted.columns, rows, "store", section._asdict())
    return await page_response(request, page, wanted.format, next_page(request, "start", following))


class CoverageQuery(BaseModel):
    """Labels of which granularity and horizon."""

    model_config = ConfigDict(extra="forbid")

    granularity: Annotated[
        str | None, Field(pattern=r"^[A-Z0-9]{1,4}$", description="Default: the first that is labelled.")
    ] = None
    horizon: Annotated[int | None, Field(ge=1, le=LONGEST_HORIZON, description="Default: the first configured.")] = None


_COUNT = {"type": "integer", "minimum": 0}
_COUNTS = ("label_rows", "complete_rows", "open_rows", "gap_rows")
_CELL = {
    "type": "object",
    "required": ["instrument_id", "month", "status", *_COUNTS],
    "properties": {
        "instrument_id": {"type": "string"},
        "month": {"type": "string", "pattern": r"^\d{4}-\d{2}$"},
        "status": {
            "type": "string",
            "enum": ["complete", "partly open"],
            "description": "partly open: the future of some rows has not come yet. A month without rows is not listed.",
        },
        **dict.fromkeys(_COUNTS, _COUNT),
    },
}
_COVERAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One entry for each instrument and UTC month that has rows of `labels`",
        "content": {
            MEDIA_TYPES["json"]: {
                "schema": {
                    "type": "object",
                    "required": ["granularity", "horizon", "instruments", "months"],
                    "properties": {
                        "granularity": {"type": "string"},
                        "horizon": {"type": "integer"},
                        "instruments": {"type": "array", "items": {"type": "string"}},
                        "months": {"type": "array", "items": _CELL},
                    },
                }
            }
        },
    },
    304: NOT_MODIFIED,
}


@router.get("/coverage", summary="Which months of which instruments are materialized", responses=_COVERAGE)
async def coverage(request: Request, services: Service, query: Annotated[CoverageQuery, Query()]) -> Response:
    """Counts of the table `labels` itself, by window status, of every configured instrument.

    Status 304 with If-None-Match while nothing of it was written: to count twenty years of thirty instruments takes
    0.3 s, to find that nothing was written a sixth of it.
    """
    settings = services.settings
    granularity = query.granularity or settings.granularities[0]
    check_granularity(granularity, settings.granularities)
    horizon = chosen_horizon(settings, query.horizon)
    names = [instrument.name for instrument in settings.instruments]
    asked = {"instruments": names, "granularity": granularity, "horizon": horizon}
    store = services.store
    # The version first: what is written in between makes the counts newer than their tag, never older.
    newest = (await store.ask(store.warehouse.query, "read_coverage_version", **asked))["newest"][0].as_py()
    etag = f'W/"{hashlib.blake2b(orjson.dumps([newest, *asked.values()]), digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "X-Source": "store"}
    if etag in {part.strip() for part in request.headers.get("if-none-match", "").split(",")}:
        return Response(status_code=304, headers=headers)
    rows = await store.ask(store.warehouse.query, "read_coverage", **asked)
    document = {**asked, "months": _cells(rows)}
    return Response(orjson.dumps(document), media_type=MEDIA_TYPES["json"], headers=headers)


def _cells(rows: pa.Table) -> list[dict[str, Any]]:
    return [
        {**row, "month": shown_time(row["month"])[:7], "status": "partly open" if row["open_rows"] else "complete"}
        for row in rows.to_pylist()
    ]
