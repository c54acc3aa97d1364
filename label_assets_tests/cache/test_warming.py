"""Whatever happened to Redis, to ClickHouse or to a writer: the next look makes the cache hold what ClickHouse does."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from label_assets.cache import warming
from label_assets.cache.hot import HotCache, Write
from label_assets.cache.sections import Section, sections, span_s
from label_assets.cache.warming import Warmed, sync, sync_alone
from label_assets.errors import CacheUnavailableError
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.embedded import redis
from label_assets_tests.cache.labels import START, label_rows, store, store_all

SECTION = Section("EURUSD", "H1", 6)


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    opened = Warehouse(settings)
    store_all(opened, settings)
    return opened


def assert_holds_all(cache: HotCache, settings: Settings) -> None:
    """Every section holds exactly its newest rows, to the bit."""
    for section in sections(settings):
        rows = label_rows(*section)
        ts = rows["ts"].to_pylist()
        first = sum(1 for each in ts if each < ts[-1] - span_s(settings, section.granularity))
        found = cache.range(section, ts[first])
        assert found is not None, section
        assert found.table(*section).equals(rows.slice(first).combine_chunks()), section


def test_a_cold_cache_is_filled_once(cache: HotCache, settings: Settings, warehouse: Warehouse) -> None:
    first = sync(cache, warehouse)
    assert first.sections == 16
    assert first.changed == first.rows > 500
    assert_holds_all(cache, settings)
    assert sync(cache, warehouse) == Warmed()
    again = sync(cache, warehouse, ["GBPUSD"], force=True)
    assert (again.sections, again.changed, again.removed) == (8, 0, 0)


def test_only_what_changed_is_read(cache: HotCache, settings: Settings, warehouse: Warehouse) -> None:
    sync(cache, warehouse)
    rows = label_rows("EURUSD", "H4", 6)
    price = rows["entry_price"].to_pylist()
    changed = rows.set_column(
        rows.schema.get_field_index("entry_price"), rows.schema.field("entry_price"), [[*price[:-1], 9.0]]
    ).slice(0, rows.num_rows)
    vanished = changed.slice(0, rows.num_rows - 3).combine_chunks()
    other = label_rows("EURUSD", "H4", 24)
    store(warehouse, pa.concat_tables([changed, other]))
    assert sync(cache, warehouse) == Warmed(1, len(cache.epochs(Section("EURUSD", "H4", 6))), 1, 0)
    store(warehouse, pa.concat_tables([vanished, other]))
    kept = sync(cache, warehouse)  # they are as young as if they were on their way to ClickHouse
    assert kept.removed == 0
    warming_s, warming.UNSTORED_S = warming.UNSTORED_S, -1
    try:
        assert sync(cache, warehouse).removed == 3
    finally:
        warming.UNSTORED_S = warming_s
    latest = cache.latest(Section("EURUSD", "H4", 6))
    assert latest is not None
    assert latest.records["ts"].tolist() == vanished["ts"].to_pylist()[-1:]


def test_a_live_row_survives_what_clickhouse_held_before(
    cache: HotCache, settings: Settings, warehouse: Warehouse
) -> None:
    """The live engine writes Redis first; a look in between must not bring the old row back."""
    rows = label_rows(*SECTION)
    newest = rows.slice(rows.num_rows - 1)
    changed = newest.set_column(rows.schema.get_field_index("entry_price"), rows.schema.field("entry_price"), [[9.0]])
    cache.write(SECTION, changed, time.time_ns() // 1000)
    sync(cache, warehouse)
    latest = cache.latest(SECTION)
    assert latest is not None
    assert latest.records["entry_price"].tolist() == [9.0]


def test_sections_that_clickhouse_lost_are_forgotten(
    cache: HotCache, settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "UNSTORED_S", -1)
    sync(cache, warehouse)
    warehouse.client.command("TRUNCATE TABLE labels_storage")
    gone = sync(cache, warehouse)
    assert gone.removed > 500
    assert cache.latest(SECTION) is None
    assert sync(cache, warehouse) == Warmed()
    store_all(warehouse, settings)
    sync(cache, warehouse)
    assert_holds_all(cache, settings)


def test_one_process_at_a_time(cache: HotCache, warehouse: Warehouse) -> None:
    cache.run("SET", cache.commands.warming_key(), "another", "PX", 60_000)
    assert sync_alone(cache, warehouse) is None
    cache.run("DEL", cache.commands.warming_key())
    done = sync_alone(cache, warehouse)
    assert done is not None
    assert done.sections == 16
    assert cache.run("EXISTS", cache.commands.warming_key()) == 0


def test_redis_is_killed_again_and_again_while_it_is_written_to(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """Writers go on, reads are right or nothing, and one look after the last kill everything is there."""
    url = redis.ensure_running(tmp_path)
    settings = make_settings(redis_url=url, instruments=["EURUSD"], horizons=[6])
    warehouse, cache = Warehouse(settings), HotCache(settings, url)
    store_all(warehouse, settings)
    rows = label_rows(*SECTION)
    stop, failures = threading.Event(), []
    newest = rows["ts"].to_pylist()[:-51:-1]

    def write() -> None:
        while not stop.is_set():
            failures.append(not cache.try_write_all([Write(SECTION, rows, 10, START)]))

    def read() -> int:
        answered = 0
        while not stop.is_set():
            with suppress(CacheUnavailableError):
                found = cache.latest(SECTION, 50)
                assert found is None or found.records["ts"].tolist() == newest
                answered += found is not None
        return answered

    with ThreadPoolExecutor() as pool:
        writing, reading = pool.submit(write), pool.submit(read)
        try:
            for _ in range(4):
                time.sleep(0.2)
                pid = redis.status(tmp_path).pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                time.sleep(0.1)
                assert redis.ensure_running(tmp_path) == url
        finally:
            stop.set()
    writing.result()
    assert reading.result() > 0
    assert any(failures)
    assert not all(failures)
    cache.redis.flushall()
    sync(cache, warehouse)
    assert_holds_all(cache, settings)
    cache.close()
    warehouse.close()
    redis.stop(tmp_path)
