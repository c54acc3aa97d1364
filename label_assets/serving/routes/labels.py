"""Labels: ranges, the newest, computed on demand."""

import time
from typing import Annotated, Any

import orjson
import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from label_assets.cache.sections import Section
from label_assets.catalog.columns import Column
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.instruments import INSTRUMENT_PATTERN
from label_assets.catalog.tables import LABEL_BOOKKEEPING, LABEL_KEY, PATH_WINDOWS
from label_assets.errors import RequestError
from label_assets.serving.computing import SentCandle
from label_assets.serving.documents import page_responses, row_responses
from label_assets.serving.formats import Page, asked_format, page_response
from label_assets.serving.paging import next_page, wanted_page
from label_assets.serving.parameters import (
    LONGEST_HORIZON,
    FamilyName,
    GranularityPath,
    HorizonRangeQuery,
    InstrumentPath,
    LatestQuery,
    Stamp,
    check_granularity,
    check_instrument,
    chosen_columns,
    chosen_horizon,
    refuse_future,
)
from label_assets.serving.services import Service, Services
from label_assets.settings import Settings

router = APIRouter(prefix="/v1/labels", tags=["labels"])


def _section(settings: Settings, instrument: str, granularity: str, horizon: int | None) -> Section:
    check_instrument(settings, instrument)
    check_granularity(granularity, settings.granularities)
    return Section(instrument, granularity, chosen_horizon(settings, horizon))


@router.get("/{instrument}/{granularity}", summary="Labels of a range of time", responses=page_responses(LABELS))
async def labels(
    request: Request,
    services: Service,
    instrument: InstrumentPath,
    granularity: GranularityPath,
    query: Annotated[HorizonRangeQuery, Query()],
) -> Response:
    """Rows oldest first, page by page: follow `next`, or the header Link, until there is none."""
    section = _section(services.settings, instrument, granularity, query.horizon)
    wanted = wanted_page(request, services.settings, LABELS, query)
    rows, source, following = await services.reader.label_page(section, wanted.between, wanted.limit, wanted.columns)
    page = Page(wanted.columns, rows, source, section._asdict())
    services.metrics.rows.labels(LABELS.name).inc(len(page))
    return await page_response(request, page, wanted.format, next_page(request, "start", following))


@router.get("/{instrument}/{granularity}/latest", summary="The newest labels", responses=page_responses(LABELS))
async def latest(
    request: Request,
    services: Service,
    instrument: InstrumentPath,
    granularity: GranularityPath,
    query: Annotated[LatestQuery, Query()],
) -> Response:
    """Rows newest first. The newest are open: their future has not come yet."""
    section = _section(services.settings, instrument, granularity, query.horizon)
    columns = chosen_columns(LABELS, query.columns)
    rows, source = await services.reader.latest(section, query.count, columns)
    page = Page(columns, rows, source, section._asdict())
    services.metrics.rows.labels(LABELS.name).inc(len(page))
    return await page_response(request, page, asked_format(request, query.format), None)


_PRICE = Field(gt=0, lt=1e15, allow_inf_nan=False)


class Candle(BaseModel):
    """A finished candle."""

    model_config = ConfigDict(extra="forbid")

    ts: Annotated[Stamp, Field(description="Open time.")]
    open: Annotated[float, _PRICE]
    high: Annotated[float, _PRICE]
    low: Annotated[float, _PRICE]
    close: Annotated[float, _PRICE]
    volume: Annotated[float, Field(ge=0, lt=1e18, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _is_a_candle(self) -> "Candle":
        if not self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high:
            raise ValueError("allowed are candles with low ≤ open, close ≤ high")
        return self


class ComputeRequest(BaseModel):
    """Which candle, and which labels of it."""

    model_config = ConfigDict(extra="forbid")

    instrument: Annotated[str, Field(pattern=INSTRUMENT_PATTERN)]
    granularity: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,4}$")]
    ts: Annotated[Stamp | None, Field(description="Open time of a stored candle.")] = None
    candle: Annotated[
        Candle | None, Field(description="Or the candle itself; path and levels are those of the stored candles.")
    ] = None
    horizon: Annotated[int | None, Field(ge=1, le=LONGEST_HORIZON, description="Default: the first configured.")] = None
    families: Annotated[list[FamilyName] | None, Field(min_length=1, max_length=32, description="Default: all.")] = None
    force_recompute: Annotated[bool, Field(description="Compute even what is stored.")] = False
    timeout_s: Annotated[float | None, Field(gt=0, le=600, description="At most what this server allows.")] = None

    @model_validator(mode="after")
    def _names_one_candle(self) -> "ComputeRequest":
        if (self.ts is None) == (self.candle is None):
            raise ValueError("allowed is either ts, of a stored candle, or candle, with prices")
        return self


@router.post(
    "/compute", summary="Labels of one candle, computed if they are not stored", responses=row_responses(LABELS)
)
async def compute(services: Service, asked: ComputeRequest) -> Response:
    """The row of one candle: from the hot cache, else from ClickHouse, else computed as a run computes it."""
    settings = services.settings
    check_instrument(settings, asked.instrument)
    check_granularity(asked.granularity, settings.granularities)
    horizon = settings.horizons[0] if asked.horizon is None else asked.horizon
    section = Section(asked.instrument, asked.granularity, horizon)
    ts = asked.candle.ts if asked.candle is not None else int(asked.ts or 0)
    refuse_future("ts", ts, int(time.time()))
    families = [family.name for family in FAMILIES if asked.families is None or family.name in asked.families]
    columns = _columns_of(families)
    if asked.candle is None and not asked.force_recompute and horizon in settings.horizons:
        stored = await services.reader.row(section, ts, columns)
        if stored is not None:
            return _row_response(Page(columns, *stored, section._asdict()))
    rows = await _computed(services, section, asked, ts, families)
    return _row_response(Page(columns, rows, "computed", section._asdict()))


async def _computed(
    services: Services, section: Section, asked: ComputeRequest, ts: int, families: list[str]
) -> pa.Table:
    computer, started = services.computer, time.perf_counter()
    most_s = services.settings.serve.compute_timeout_s
    limit_s = most_s if asked.timeout_s is None else min(asked.timeout_s, most_s)
    sent = None if asked.candle is None else SentCandle(**asked.candle.model_dump())

    def rows_of_candle() -> pa.Table:
        if sent is not None:
            return computer.row_of_sent(section, sent, families)
        return computer.row(section, ts, families, anew=asked.force_recompute)

    try:
        rows = await services.computing.run(limit_s, rows_of_candle)
    except TimeoutError:
        raise RequestError(
            kind="timeout",
            asked=f"labels of {section} within {limit_s:g} s",
            found="the computation was not done; it goes on, and its result is kept for a second",
            allowed=f"at most {most_s:g} s, serve.compute_timeout_s",
            action="ask again, or for fewer families",
        ) from None
    services.metrics.computed_rows.inc()
    services.metrics.compute_seconds.observe(time.perf_counter() - started)
    return rows


def _columns_of(families: list[str]) -> list[Column]:
    chosen = [*LABEL_KEY, *PATH_WINDOWS.columns]
    for family in FAMILIES:
        if family.name in families:
            chosen += family.table.columns
    return [*chosen, *LABEL_BOOKKEEPING]


def _row_response(page: Page) -> Response:
    document: dict[str, Any] = {**page.about, "source": page.source, "row": page.dictionaries()[0]}
    headers = {"X-Source": page.source, "Cache-Control": "no-store"}
    return Response(orjson.dumps(document), media_type="application/json", headers=headers)
