"""Redis and ClickHouse are killed under load and come back: every answer is right or a named outage."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from label_assets.serving.problems import MEDIA_TYPE
from label_assets.settings import Settings
from label_assets.warehouse.embedded import clickhouse, redis
from label_assets_tests.serving.market import store_market
from label_assets_tests.serving.server import Answer, Running, ask, serving

CACHED = "/v1/labels/{}/H4/latest?count=3"
STORED = "/v1/labels/{}/H4?start=2024-01-10&end=2024-02-10"
PATIENCE_S = 90
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

    def wait_for(self, kind: str, status: int, source: str = "") -> None:
        """Wait until there are such answers from now on."""
        with self._lock:
            self._seen.clear()
        until = time.monotonic() + PATIENCE_S
        while self._seen[kind, status, source] < 3 and not self.wrong:
            assert time.monotonic() < until, f"no {kind} {status} {source}, only {self._seen}"
            time.sleep(0.05)


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
def own_home(tmp_path: Path) -> Iterator[Path]:
    """Folder of servers of its own; they end after the settings' fixture has dropped the database."""
    home = tmp_path / "home"
    yield home
    clickhouse.stop(home)
    redis.stop(home)


@pytest.fixture
def market(own_home: Path, make_settings: Callable[..., Settings]) -> Iterator[Settings]:
    """A market on a ClickHouse and a Redis of its own."""
    home = own_home
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


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_redis_killed_and_restarted_under_load(market: Settings) -> None:
    with serving(market, compute_timeout_s=PATIENCE_S) as running, load(running) as under:
        under.wait_for("cached", 200, "cache")
        kill(redis.status(market.home).pid)
        under.wait_for("cached", 200, "store")
        under.wait_for("computed", 200, "computed")
        assert ask(running, "/v1/ready").json()["cache"] == "does not answer"
        stats = ask(running, "/v1/cache/stats")
        assert (stats.status, stats.json()["type"]) == (503, "urn:label-assets:problem:cache-unavailable")
        assert "127.0.0.1" not in stats.body.decode()
        assert redis.ensure_running(market.home) == market.redis_url
        # It is empty, and filled again without a word from anybody.
        under.wait_for("cached", 200, "cache")
        assert ask(running, "/v1/ready").json()["cache"] == "answers"


@pytest.mark.slow
def test_clickhouse_killed_and_restarted_under_load(market: Settings) -> None:
    with serving(market, compute_timeout_s=PATIENCE_S) as running, load(running) as under:
        under.wait_for("stored", 200, "store")
        under.wait_for("cached", 200, "cache")
        kill(clickhouse.status(market.home).pid)
        under.wait_for("stored", 503)
        under.wait_for("computed", 503)
        under.wait_for("cached", 200, "cache")
        refused = ask(running, "/v1/ready")
        assert (refused.status, refused.json()["type"]) == (503, "urn:label-assets:problem:warehouse-unavailable")
        assert "127.0.0.1" not in refused.body.decode()
        assert ask(running, "/v1/health").status == 200
        assert clickhouse.ensure_running(market.home).url == market.clickhouse_url
        under.wait_for("stored", 200, "store")
        under.wait_for("computed", 200, "computed")
        assert ask(running, "/v1/ready").status == 200
