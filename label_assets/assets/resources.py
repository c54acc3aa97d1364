"""What the assets are handed at run start. Nothing is opened before a run uses it.

Belongs here: construction and closing. Does not belong here: what the things do (`warehouse`, `sources`, `compute`).
"""

import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from label_assets.compute.inputs import MarketReader
from label_assets.compute.source import configured_source
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.batch import Source
from label_assets.warehouse.client import Warehouse

KEPT_BYTES = 192 * 2**20
"""Memory in which a run keeps what it wrote: `labels` are made of nine families, statistics of `labels` [bytes]."""


def resources(settings: Settings, source: Source | None = None) -> dict[str, Any]:
    """Resources by the names that assets ask for.

    Args:
        settings: The settings.
        source: Source to use instead of the configured one.
    """

    @dg.resource(description="The ClickHouse database; an embedded server is started on demand.")
    def warehouse(_: dg.InitResourceContext) -> Iterator[Warehouse]:
        opened = Warehouse(settings, KEPT_BYTES)
        try:
            yield opened
        finally:
            opened.close()

    @dg.resource(required_resource_keys={"warehouse"}, description="Candles with look-back and look-ahead.")
    def reader(context: dg.InitResourceContext) -> MarketReader:
        return MarketReader(context.resources.warehouse, settings)

    @dg.resource(description="Where raw candles come from.")
    def candle_source(_: dg.InitResourceContext) -> Source:
        return source or configured_source(settings)

    @dg.resource(description="The trading session that H4, D and W follow.")
    def calendar(_: dg.InitResourceContext) -> SessionCalendar:
        return SessionCalendar(settings.session_open)

    return {"warehouse": warehouse, "reader": reader, "candle_source": candle_source, "calendar": calendar}


def now_ts() -> int:
    """The present [epoch s]: candles that close later are refused."""
    return int(time.time())
