"""A live engine with real Redis and ClickHouse for tests: workers in threads, candles into streams, waiting."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from label_assets.cache.hot import open_cache
from label_assets.cache.sections import Section, sections
from label_assets.catalog.families import LABELS
from label_assets.errors import CacheUnavailableError
from label_assets.kernels.arrays import Candles
from label_assets.live.candle_stream import GROUP, entry_fields, open_queue, stream_key
from label_assets.live.worker import Worker
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

PATIENCE_S = 180
"""Longest wait for anything: many tests run on few cores [s]."""


def send(settings: Settings, instrument: str, candles: Candles) -> None:
    """Add candles to the stream of an instrument, in their order."""
    queue = open_queue(settings)
    pipeline = queue.pipeline(transaction=False)
    for index in range(len(candles.ts)):
        pipeline.xadd(stream_key(settings, instrument), entry_fields(candles, index))
    pipeline.execute()
    queue.close()


def is_done(settings: Settings, instruments: list[str], *, delivered_is_enough: bool = False) -> bool:
    """Whether every entry of the streams was delivered and acknowledged; or delivered, where that is enough."""
    queue = open_queue(settings)
    try:
        for name in instruments:
            key = stream_key(settings, name)
            if not queue.exists(key):
                continue
            newest = queue.xrevrange(key, count=1)
            groups = [group for group in queue.xinfo_groups(key) if group["name"] == GROUP.encode()]
            is_pending = not groups or (groups[0]["pending"] and not delivered_is_enough)
            if is_pending or (newest and groups[0]["last-delivered-id"] != newest[0][0]):
                return False
        return True
    finally:
        queue.close()


def wait_until(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds."""
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.02)


@contextmanager
def working(settings: Settings, count: int = 1) -> Iterator[list[Worker]]:
    """Workers in threads of this process; they end in order, and what they read is stored then."""
    workers = [Worker(settings, f"worker-{number}") for number in range(count)]
    errors: list[BaseException] = []

    def run(worker: Worker) -> None:
        try:
            worker.run()
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        yield workers
    finally:
        for worker in workers:
            worker.stop()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert not errors, errors


NEWEST = 20


def assert_cache_is_in_step(settings: Settings, instrument: str) -> None:
    """The newest rows in the cache are, or soon become, those that ClickHouse holds, to the bit."""
    cache, warehouse = open_cache(settings), Warehouse(settings)
    assert cache is not None

    def cached(section: Section) -> pa.Table | None:
        assert cache is not None
        with contextlib.suppress(CacheUnavailableError):
            rows = cache.latest(section, NEWEST)
            return None if rows is None else rows.table(*section).sort_by("ts").drop_columns("computed_at")
        return None

    def stored(section: Section) -> pa.Table:
        rows = warehouse.read(LABELS, Scope(instrument, 0, 2**32 - 1, section.granularity))
        rows = rows.drop_columns("computed_at").filter(np.asarray(rows["horizon"]) == section.horizon)
        return rows.slice(rows.num_rows - NEWEST)

    for section in [each for each in sections(settings) if each.instrument_id == instrument]:
        expected = stored(section)
        wait_until(lambda section=section, expected=expected: expected.equals(cached(section)))  # type: ignore[misc]
    warehouse.close()
    cache.close()
