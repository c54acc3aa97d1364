"""What the service is and how it does: catalogue, cache, health, metrics."""

import hashlib
from functools import cache
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field

from label_assets.catalog.columns import Column, Table
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.granularities import granularity
from label_assets.catalog.index import TABLES
from label_assets.compute.versions import code_versions
from label_assets.errors import CacheUnavailableError, LabelAssetsError
from label_assets.serving.parameters import check_instrument
from label_assets.serving.services import Service
from label_assets.settings import LabelSettings, Settings, parse_width

router = APIRouter(tags=["service"])


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": str(column.type.arrow),
        "sentence": column.sentence,
        "unit": column.unit,
        "low": column.low,
        "high": column.high,
        "null": column.null,
        "number": column.number,
        "values": column.values,
        "known_at_entry": column.known_at_entry,
        "reference": column.reference,
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "sentence": table.sentence,
        "key": table.key_names,
        "columns": [_column(column) for column in table.all_columns],
    }


@cache
def _tables_and_families() -> dict[str, Any]:
    return {
        "tables": [_table(table) for table in TABLES],
        "families": [
            {
                "name": family.name,
                "title": family.title,
                "summary": family.summary,
                "version": family.version,
                "columns": [column.name for column in family.table.columns],
            }
            for family in FAMILIES
        ],
    }


def _barriers(settings: LabelSettings) -> dict[str, float]:
    """Distances of barriers from the entry: of the plain ones, and of the level-adjusted ones without a level ahead."""
    atr_multiple, price_share = parse_width(settings.barrier_width)
    return {"atr_multiple": atr_multiple, "price_share": price_share, "level_atr_multiple": settings.level_barrier_atr}


def catalog_document(settings: Settings) -> dict[str, Any]:
    """What exists here: instruments, granularities, horizons, tables and columns with all that is known of them."""
    return {
        "instruments": [
            instrument.model_dump(include={"name", "kind", "decimals"}) for instrument in settings.instruments
        ],
        "granularities": settings.granularities,
        "candle_granularities": settings.ladder,
        "candle_seconds": {name: granularity(name).seconds for name in settings.ladder},
        "path_granularities": {name: granularity(name).path for name in settings.granularities},
        "horizons": settings.horizons,
        "barriers": _barriers(settings.labels),
        "session_open": settings.session_open,
        "first_month": settings.first_month,
        "label_version": code_versions(settings)["labels"],
        "page_rows": settings.serve.page_rows,
        **_tables_and_families(),
    }


@router.get("/v1/catalog", summary="Instruments, granularities, horizons, and every column")
async def catalog(request: Request, services: Service) -> Response:
    """What may be asked for, and what each column says."""
    body = orjson.dumps(catalog_document(services.settings))
    etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "private, max-age=60"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get("/v1/cache/stats", summary="The hot cache in figures")
async def cache_stats(services: Service) -> dict[str, Any]:
    """What Redis says of itself, and what this worker read from it."""
    redis = await run_in_threadpool(services.needed_cache().stats)
    reads = {
        sample.labels["outcome"]: int(sample.value)
        for metric in services.metrics.cache_reads.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    asked = sum(reads.values())
    return {"redis": redis, "reads": reads, "hit_rate": reads.get("hit", 0) / asked if asked else None}


class WarmRequest(BaseModel):
    """What to warm."""

    model_config = ConfigDict(extra="forbid")

    instruments: Annotated[
        list[Annotated[str, Field(max_length=20)]] | None, Field(max_length=10_000, description="Default: all.")
    ] = None
    force: Annotated[bool, Field(description="Read even what is in step.")] = False


@router.post("/v1/cache/warm", summary="Bring the hot cache to what ClickHouse holds")
async def warm_cache(services: Service, asked: WarmRequest | None = None) -> dict[str, int]:
    """Done when it answers. It happens by itself too: at start, after every run, after an outage."""
    asked = asked or WarmRequest()
    for name in asked.instruments or []:
        check_instrument(services.settings, name)
    done = await services.warm(asked.instruments, force=asked.force)
    return done._asdict()


@router.get("/v1/health", summary="Whether this process lives")
async def health() -> dict[str, str]:
    """It lives if it answers."""
    return {"status": "alive"}


@router.get("/v1/ready", summary="Whether requests can be answered")
async def ready(services: Service) -> dict[str, str]:
    """503 where ClickHouse does not answer. Without the hot cache all works, only slower."""
    await services.store.query("SELECT 1 AS one")
    cache = "none"
    if services.cache is not None:
        try:
            await run_in_threadpool(services.cache.run, "PING")
            cache = "answers"
        except (CacheUnavailableError, LabelAssetsError):
            cache = "does not answer"
    return {"status": "ready", "clickhouse": "answers", "cache": cache}


@router.get("/metrics", include_in_schema=False)
async def metrics(services: Service) -> Response:
    """Prometheus' text format."""
    return Response(services.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
