"""Reads rows: from the hot cache if it holds all of them, else from ClickHouse.

Belongs here: which of the two answers, statements by the catalogue, where a page ends. Does not belong here: formats.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pyarrow as pa

from label_assets.cache.asynchronous import AsyncHotCache
from label_assets.cache.record import Rows
from label_assets.cache.sections import Section
from label_assets.catalog.columns import Column, Table
from label_assets.catalog.families import LABELS
from label_assets.catalog.families.levels import LEVEL_INTERVALS
from label_assets.errors import CacheUnavailableError
from label_assets.serving.metrics import ServingMetrics
from label_assets.serving.store import Store
from label_assets.warehouse.client import select_list
from label_assets.warehouse.schema import storage_name

_OF_SECTION = (
    "t.instrument_id = {instrument:String} AND t.granularity = {granularity:String} AND t.horizon = {horizon:UInt16}"
)
_OF_GRANULARITY = "t.instrument_id = {instrument:String} AND t.granularity = {granularity:String}"
_BETWEEN = "t.ts >= toDateTime({start:UInt32}, 'UTC') AND t.ts < toDateTime({end:UInt32}, 'UTC')"
_ALIVE = (
    "t.valid_from < toDateTime({end:UInt32}, 'UTC') "
    "AND (t.valid_to IS NULL OR t.valid_to > toDateTime({start:UInt32}, 'UTC')) "
    "AND t.ts > toDateTime({after:UInt32}, 'UTC') AND t.ts < toDateTime({end:UInt32}, 'UTC')"
)


class Reader:
    """Rows of one deployment."""

    def __init__(self, store: Store, cache: AsyncHotCache | None, metrics: ServingMetrics) -> None:
        """Keep where to read."""
        self._store = store
        self._cache = cache
        self._metrics = metrics

    async def label_page(
        self, section: Section, between: tuple[int, int], limit: int, columns: Sequence[Column]
    ) -> tuple[Rows | pa.Table, str, int | None]:
        """Rows of labels that open in [start, end), oldest first.

        Returns:
            The rows, where they came from, and the start of the next page if there is one.
        """
        found = await self._cached(lambda cache: cache.range(section, *between, limit + 1))
        if found is not None:
            if len(found.texts) <= limit:
                return found, "cache", None
            cut = Rows(found.records[:limit], found.texts[:limit])
            return cut, "cache", int(found.records["ts"][limit])
        page, start = await self.section_page(LABELS, section, between, limit, columns)
        return page, "store", start

    async def section_page(
        self, table: Table, section: Section, between: tuple[int, int], limit: int, columns: Sequence[Column]
    ) -> tuple[pa.Table, int | None]:
        """Rows of labels or of their statistics that begin in [start, end), and the start of the next page."""
        rows = await self._store.query(
            _statement(table, columns, f"{_OF_SECTION} AND {_BETWEEN}", "t.ts"),
            **_named(section),
            start=between[0],
            end=between[1],
            limit=limit + 1,
        )
        return cut_page(rows, limit)

    async def latest(self, section: Section, count: int, columns: Sequence[Column]) -> tuple[Rows | pa.Table, str]:
        """The newest rows of labels, newest first."""
        found = await self._cached(lambda cache: cache.latest(section, count))
        if found is not None:
            return found, "cache"
        statement = _statement(LABELS, columns, _OF_SECTION, "t.ts DESC")
        return await self._store.query(statement, **_named(section), limit=count), "store"

    async def row(self, section: Section, ts: int, columns: Sequence[Column]) -> tuple[Rows | pa.Table, str] | None:
        """The row of labels of one candle; None where it is not stored."""
        found = await self._cached(lambda cache: cache.row(section, ts))
        if found is not None:
            return found, "cache"
        statement = _statement(LABELS, columns, f"{_OF_SECTION} AND {_BETWEEN}", "t.ts")
        rows = await self._store.query(statement, **_named(section), start=ts, end=ts + 1, limit=1)
        return (rows, "store") if rows.num_rows else None

    async def page(
        self, table: Table, key: tuple[str, str], between: tuple[int, int], limit: int, columns: Sequence[Column]
    ) -> tuple[pa.Table, int | None]:
        """Rows of candles or of level events that open in [start, end), and the start of the next page."""
        rows = await self._store.query(
            _whole_groups(table, columns, f"{_OF_GRANULARITY} AND {_BETWEEN}"),
            instrument=key[0],
            granularity=key[1],
            start=between[0],
            end=between[1],
            limit=limit + 1,
        )
        return cut_page(rows, limit)

    async def levels(
        self, key: tuple[str, str], times: tuple[int, int, int], limit: int, columns: Sequence[Column]
    ) -> tuple[pa.Table, int | None]:
        """Intervals of levels with later pivots than a time that live in [start, end), and that of the next page."""
        start, end, after = times
        rows = await self._store.query(
            _whole_groups(LEVEL_INTERVALS, columns, f"{_OF_GRANULARITY} AND {_ALIVE}"),
            instrument=key[0],
            granularity=key[1],
            start=start,
            end=end,
            after=after,
            limit=limit + 1,
        )
        page, following = cut_page(rows, limit)
        return page, None if following is None else int(page["ts"][-1].as_py())

    async def _cached(self, read: Callable[[AsyncHotCache], Awaitable[Rows | None]]) -> Rows | None:
        if self._cache is None:
            return None
        started = time.perf_counter()
        try:
            found = await read(self._cache)
        except CacheUnavailableError:
            self._metrics.cache_reads.labels("unavailable").inc()
            return None
        self._metrics.cache_seconds.observe(time.perf_counter() - started)
        self._metrics.cache_reads.labels("miss" if found is None else "hit").inc()
        return found


def _named(section: Section) -> dict[str, Any]:
    return {"instrument": section.instrument_id, "granularity": section.granularity, "horizon": section.horizon}


def _statement(table: Table, columns: Sequence[Column], condition: str, order: str) -> str:
    """Text from names of the catalogue; everything that a client sent is a parameter.

    The storage table is read as its view reads it, without the view: a row of all columns takes 47 ms instead of 70.
    """
    return (
        f"SELECT {select_list(tuple(columns))} FROM `{storage_name(table)}` AS t FINAL WHERE {condition} "
        f"ORDER BY {order} LIMIT {{limit:UInt32}}"
    )


def _whole_groups(table: Table, columns: Sequence[Column], condition: str) -> str:
    """As `_statement`, of a table with several rows of one `ts`: all rows of the last one are there."""
    order = ", ".join(f"t.{name}" for name in table.key_names[2:])
    return (
        f"SELECT {select_list(tuple(columns))} FROM (SELECT * FROM `{table.name}` AS t WHERE {condition} "
        f"ORDER BY t.ts LIMIT {{limit:UInt32}} WITH TIES) AS t ORDER BY t.ts, {order}"
    )


def cut_page(rows: pa.Table, limit: int) -> tuple[pa.Table, int | None]:
    """Of limit + 1 rows, and all others of the last one's `ts`, those of a page, and where the next one begins.

    Rows of one `ts` stay together.
    """
    if rows.num_rows <= limit:
        return rows, None
    ts = rows["ts"].to_pylist()
    end = ts.index(ts[-1])
    return (rows.slice(0, end), ts[-1]) if end else (rows, ts[-1] + 1)
