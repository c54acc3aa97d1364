"""What breaks under load, and that in the end no candle is lost and none is there twice.

Killed are real processes with SIGKILL: Redis, the owner of the embedded ClickHouse, a worker in the middle of a batch.
Each test ends with a Dagster run over the same candles that has nothing to write, so everything is as it should be.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import Counter

from label_assets.cache.hot import open_cache
from label_assets.cache.warming import sync
from label_assets.compute.source import configured_source
from label_assets.live.feed import feed
from label_assets.live.worker import Worker
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.embedded import clickhouse, redis
from label_assets_tests.assets.landing import as_environment
from label_assets_tests.live.conftest import FAST
from label_assets_tests.live.engine import PATIENCE_S, assert_cache_is_in_step, is_done, send, wait_until, working
from label_assets_tests.live.history import land, run_whole
from label_assets_tests.live.markets import at, base_candles, cut

pytestmark = pytest.mark.slow

INSTRUMENT = "EURUSD"
TIMES = (at("2024-01-02"), at("2024-01-13"))
CANDLES_PER_SECOND = 120.0
LIVE = FAST | {"lease_s": 10.0}
"""A worker that waits for its turn on a busy machine is not to lose what it serves to itself."""

WORKER = """
import logging, os, signal, sys
from label_assets.compute.compilation import compile_kernels
from label_assets.live.worker import Worker
from label_assets.settings import load_settings
from label_assets.warehouse import upsert as upsert_module

moment, batches = sys.argv[1], int(sys.argv[2])
insert = upsert_module._insert

def insert_and_die(client, table, *rest):
    global batches
    if table.name == moment.split()[1]:
        batches -= 1
    if batches == 0 and moment == "before " + table.name:
        os.kill(os.getpid(), signal.SIGKILL)
    insert(client, table, *rest)
    if batches == 0 and moment == "after " + table.name:
        os.kill(os.getpid(), signal.SIGKILL)

upsert_module._insert = insert_and_die
logging.basicConfig(level=logging.INFO)
compile_kernels()
Worker(load_settings()).run()
"""


def kill(pid: int | None, is_gone: Callable[[], bool]) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(is_gone)


def kill_redis(settings: Settings, purpose: redis.Purpose) -> None:
    kill(redis.status(settings.home, purpose).pid, lambda: not redis.status(settings.home, purpose).running)


def count(counter: Counter) -> float:
    return float(counter._value.get())


def fill_cache(settings: Settings) -> bool:
    """What `serve` does every `cache.sync_s`: whoever began with an empty ClickHouse could fill nothing."""
    cache, warehouse = open_cache(settings), Warehouse(settings)
    assert cache is not None
    filled = sync(cache, warehouse).sections > 0
    warehouse.close()
    cache.close()
    return filled


@contextmanager
def feeding(settings: Settings, worker: Worker) -> Iterator[Callable[[int], None]]:
    """The landed candles into the stream, while the body does its harm; gives how to wait until so many were taken."""
    problems: list[BaseException] = []

    def run() -> None:
        try:
            feed(settings, configured_source(settings), [INSTRUMENT], TIMES, candles_per_second=CANDLES_PER_SECOND)
        except BaseException as error:  # noqa: BLE001 - told below
            problems.append(error)

    def wait_for(candles: int) -> None:
        wait_until(lambda: count(worker.metrics.candles) >= candles)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield wait_for
    finally:
        thread.join(120)
    assert not problems, problems


def assert_all_is_there_once(settings: Settings) -> None:
    """Every candle and what a run makes of it; no candle came as a change of one that was known."""
    assert {asset: count for asset, count in run_whole(settings, INSTRUMENT).items() if count} == {}
    warehouse = Warehouse(settings)
    expected = base_candles(settings, INSTRUMENT, *TIMES)
    assert warehouse.query_text("SELECT ts FROM raw_candles ORDER BY ts")["ts"].to_pylist() == expected.ts.tolist()
    assert warehouse.query_text("SELECT count() AS found FROM candle_revisions")["found"].to_pylist() == [0]
    warehouse.close()


def made_ready(live_settings: Callable[..., Settings], **overrides: object) -> Settings:
    settings = live_settings(granularities=["H1"], live=LIVE, **overrides)
    land(settings, INSTRUMENT, base_candles(settings, INSTRUMENT, *TIMES))
    return settings


def test_redis_is_killed_and_comes_back(live_settings: Callable[..., Settings]) -> None:
    """The queue keeps its entries; the cache is empty, and holds what ClickHouse does soon after."""
    settings = made_ready(live_settings, cache={"sync_s": 0.5})
    with working(settings) as (worker,):
        with feeding(settings, worker) as wait_for:
            wait_for(100)
            while not count(worker.metrics.cache_failures):  # it may be back before anything was to be written
                kill_redis(settings, redis.CACHE)
                wait_until(lambda: redis.status(settings.home, redis.CACHE).running)
            wait_for(600)
            kill_redis(settings, redis.QUEUE)  # feed and worker start it again
        wait_until(lambda: is_done(settings, [INSTRUMENT]))
        assert_cache_is_in_step(settings, INSTRUMENT)
        # Emptied while nothing is written, which no write can notice.
        kill_redis(settings, redis.CACHE)
        assert_cache_is_in_step(settings, INSTRUMENT)
    assert_all_is_there_once(settings)


def test_clickhouse_is_killed_again_and_again(live_settings: Callable[..., Settings]) -> None:
    """What it did not acknowledge is repeated; it is started again by whoever needs it."""
    settings = made_ready(live_settings).model_copy(update={"clickhouse_url": None})
    try:
        with working(settings) as (worker,):
            with feeding(settings, worker) as wait_for:
                wait_for(50)
                wait_until(lambda: fill_cache(settings))
                for candles in (100, 600):
                    wait_for(candles)
                    wait_until(lambda: clickhouse.status(settings.home).running)
                    pid = clickhouse.status(settings.home).pid
                    kill(pid, lambda pid=pid: clickhouse.status(settings.home).pid != pid)  # type: ignore[misc]
            wait_until(lambda: is_done(settings, [INSTRUMENT]))
            assert count(worker.metrics.store_failures)
            assert_cache_is_in_step(settings, INSTRUMENT)
        assert_all_is_there_once(settings)
    finally:
        clickhouse.stop(settings.home)


def test_workers_are_killed_in_the_middle_of_a_batch(live_settings: Callable[..., Settings]) -> None:
    """Each at another moment, with half a batch in ClickHouse and nothing acknowledged; the successor finishes."""
    settings = made_ready(live_settings)
    base = base_candles(settings, INSTRUMENT, *TIMES)
    fast = {f"LABEL_ASSETS_LIVE__{name.upper()}": str(value) for name, value in LIVE.items()}
    environment = {**os.environ, **as_environment(settings), **fast}
    first = 0
    for moment, batches in (("before raw_candles", 2), ("after raw_candles", 1)):
        child = subprocess.Popen([sys.executable, "-c", WORKER, moment, str(batches)], env=environment)
        while child.poll() is None and first < len(base.ts) - 100:
            if is_done(settings, [INSTRUMENT], delivered_is_enough=True):
                send(settings, INSTRUMENT, cut(base, first, first + 24))
                first += 24
            time.sleep(0.1)
        assert child.wait(PATIENCE_S) == -signal.SIGKILL, moment
        assert not is_done(settings, [INSTRUMENT]), moment
    send(settings, INSTRUMENT, cut(base, first, len(base.ts)))
    with working(settings):
        wait_until(lambda: is_done(settings, [INSTRUMENT]))
        assert_cache_is_in_step(settings, INSTRUMENT)
    assert_all_is_there_once(settings)
