"""What labels are made from: levels and candles."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from label_assets.catalog.columns import Table
from label_assets.catalog.families.levels import LEVEL_EVENTS, LEVEL_INTERVALS
from label_assets.catalog.tables import CANDLES
from label_assets.serving.documents import page_responses
from label_assets.serving.formats import Page, page_response
from label_assets.serving.paging import next_page, wanted_page
from label_assets.serving.parameters import (
    GranularityPath,
    InstrumentPath,
    LevelQuery,
    RangeQuery,
    check_granularity,
    check_instrument,
)
from label_assets.serving.services import Service, Services

router = APIRouter(prefix="/v1", tags=["market"])


@router.get(
    "/levels/{instrument}/{granularity}",
    summary="Support and resistance levels alive in a range of time",
    responses=page_responses(LEVEL_INTERVALS),
)
async def levels(
    request: Request,
    services: Service,
    instrument: InstrumentPath,
    granularity: GranularityPath,
    query: Annotated[LevelQuery, Query()],
) -> Response:
    """One row for each stretch of a level as active support or resistance, by the time of its pivot."""
    about = _about(services, instrument, granularity, services.settings.granularities)
    wanted = wanted_page(request, services.settings, LEVEL_INTERVALS, query)
    rows, last = await services.reader.levels(
        (instrument, granularity), (*wanted.between, query.after or 0), wanted.limit, wanted.columns
    )
    services.metrics.rows.labels(LEVEL_INTERVALS.name).inc(rows.num_rows)
    page = Page(wanted.columns, rows, "store", about)
    return await page_response(request, page, wanted.format, next_page(request, "after", last))


@router.get(
    "/levels/{instrument}/{granularity}/events",
    summary="Touches, breaks and flips of levels",
    responses=page_responses(LEVEL_EVENTS),
)
async def events(
    request: Request,
    services: Service,
    instrument: InstrumentPath,
    granularity: GranularityPath,
    query: Annotated[RangeQuery, Query()],
) -> Response:
    """One row for each event, by time."""
    about = _about(services, instrument, granularity, services.settings.granularities)
    return await _rows_between(request, services, LEVEL_EVENTS, about, query)


@router.get(
    "/candles/{instrument}/{granularity}", summary="Candles of a range of time", responses=page_responses(CANDLES)
)
async def candles(
    request: Request,
    services: Service,
    instrument: InstrumentPath,
    granularity: GranularityPath,
    query: Annotated[RangeQuery, Query()],
) -> Response:
    """Candles of the base granularity and of every coarser one, oldest first."""
    about = _about(services, instrument, granularity, services.settings.ladder)
    return await _rows_between(request, services, CANDLES, about, query)


def _about(services: Services, instrument: str, granularity: str, allowed: Sequence[str]) -> dict[str, str]:
    check_instrument(services.settings, instrument)
    check_granularity(granularity, allowed)
    return {"instrument_id": instrument, "granularity": granularity}


async def _rows_between(
    request: Request, services: Services, table: Table, about: dict[str, str], query: RangeQuery
) -> Response:
    """A page of rows whose `ts` lies in the range."""
    wanted = wanted_page(request, services.settings, table, query)
    key = (about["instrument_id"], about["granularity"])
    rows, following = await services.reader.page(table, key, wanted.between, wanted.limit, wanted.columns)
    services.metrics.rows.labels(table.name).inc(rows.num_rows)
    page = Page(wanted.columns, rows, "store", about)
    return await page_response(request, page, wanted.format, next_page(request, "start", following))
