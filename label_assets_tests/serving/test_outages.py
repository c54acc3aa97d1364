"""Redis and ClickHouse are killed under load and come back: every answer is right or a named outage."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from label_assets.serving.problems import MEDIA_TYPE
from label_assets.settings import Settings
from label_assets.warehouse.embedded import clickhouse, redis
from label_assets_tests.live.engine import wait_until
from label_assets_tests.serving.market import store_market
from label_assets_tests.serving.server import Answer, Running, ask, serving

CACHED = "/v1/labels/{}/H4/latest?count=3"
STORED = "/v1/labels/{}/H4?start=2024-01-10&end=2024-02-10"
COMPUTE = {"granularity": "H4", "ts": "2024-02-01T02:00:00Z", "horizon": 11}


class Load:
    """What clients were answered since the last look."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        self._seen: Counter[tuple[str, int, str]] = Counter()

    def note(self, kind: str, instrument: str, answer: Answer) -> None:
        with self._lock:
            self._seen[kind, answer.status, answer.headers.get("X-Source", "")] += 1
            if answer.status == 200:
                document = answer.json()
                rows = document["rows"] if "rows" in document else [document["row"]]
                if not rows or any(row["instrument_id"] != instrument for row in rows):
                    self.wrong.append(f"{kind} of {instrument}: {answer.body[:300]!r}")
            elif answer.status != 503 or answer.headers["Content-Type"] != MEDIA_TYPE:
                self.wrong.append(f"{kind}: {answer.status} {answer.body[:300]!r}")
            elif answer.json()["type"].rpartition(":")[2] not in {"warehouse-unavailable", "overloaded"}:
                self.wrong.append(f"{kind}: {answer.body[:300]!r}")

    def seen(self, kind: str, status: int, source: str = "") -> Callable[[], bool]:
        """Whether there will be such an answer from now on."""
        with self._lock:
            self._seen.clear()
        return lambda: self._seen[kind, status, source] > 2


@contextmanager
def load(running: Running) -> Iterator[Load]:
    """Six clients that ask without pause."""
    under = Load()

    def client(number: int) -> None:
        instrument = ("EURUSD", "GBPUSD")[number % 2]
        while not under.stopping.is_set():
            try:
                under.note("cached", instrument, ask(running, CACHED.format(instrument)))
                under.note("stored", instrument, ask(running, STORED.format(instrument)))
                body = {"instrument": instrument, **COMPUTE}
                under.note("computed", instrument, ask(running, "/v1/labels/compute", body))
            except OSError as error:
                under.wrong.append(f"no answer: {error!r}")
                return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield under
    finally:
        under.stopping.set()
        for thread in threads:
            thread.join()
    assert under.wrong == []


@pytest.fixture
def market(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Settings]:
    """A market on a ClickHouse and a Redis of its own."""
    home = tmp_path / "home"
    url = clickhouse.ensure_running(home).url
    settings = make_settings(
        home=home,
        clickhouse_url=url,
        redis_url=redis.ensure_running(home),
        instruments=["EURUSD", "GBPUSD"],
        granularities=["H4"],
        first_month="2024-01",
    )
    store_market(settings)
    yield settings
    clickhouse.ensure_running(home)  # the fixture of the settings drops the database
    redis.stop(home)


@pytest.fixture(autouse=True)
def _stopped(market: Settings) -> Iterator[None]:
    yield
    redis.stop(market.home)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_redis_killed_and_restarted_under_load(market: Settings) -> None:
    with serving(market) as running, load(running) as under:
        wait_until(under.seen("cached", 200, "cache"))
        kill(redis.status(market.home).pid)
        wait_until(under.seen("cached", 200, "store"))
        wait_until(under.seen("computed", 200))
        assert ask(running, "/v1/ready").json()["cache"] == "does not answer"
        assert ask(running, "/v1/cache/stats").status == 503
        assert redis.ensure_running(market.home) == market.redis_url
        # It is empty, and filled again without a word from anybody.
        wait_until(under.seen("cached", 200, "cache"))
        assert ask(running, "/v1/ready").json()["cache"] == "answers"


@pytest.mark.slow
def test_clickhouse_killed_and_restarted_under_load(market: Settings) -> None:
    with serving(market) as running, load(running) as under:
        wait_until(under.seen("stored", 200, "store"))
        wait_until(under.seen("cached", 200, "cache"))
        kill(clickhouse.status(market.home).pid)
        wait_until(under.seen("stored", 503))
        wait_until(under.seen("computed", 503))
        wait_until(under.seen("cached", 200, "cache"))
        refused = ask(running, "/v1/ready")
        assert (refused.status, refused.json()["type"]) == (503, "urn:label-assets:problem:warehouse-unavailable")
        assert "password" not in refused.body.decode().replace("user:password@host", "")
        assert ask(running, "/v1/health").status == 200
        assert clickhouse.ensure_running(market.home).url == market.clickhouse_url
        wait_until(under.seen("stored", 200, "store"))
        wait_until(under.seen("computed", 200))
        assert ask(running, "/v1/ready").status == 200
