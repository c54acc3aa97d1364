"""A stored market, a Redis, the application in this process."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from label_assets.serving.app import build_app
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import connect
from label_assets.warehouse.embedded import redis
from label_assets_tests.serving.market import store_market, store_statistics

SERVE = {"port": 0, "requests_per_minute": 0}


@pytest.fixture(scope="session")
def redis_url(home: Path) -> Iterator[str]:
    yield redis.ensure_running(home)
    redis.stop(home)


@pytest.fixture(scope="session")
def stored(home: Path, clickhouse_url: str, redis_url: str) -> Iterator[Settings]:
    """Two instruments in a database that no test changes."""
    settings = load_settings(
        home=home / "serving",
        clickhouse_url=clickhouse_url,
        redis_url=redis_url,
        database=f"t_{uuid.uuid4().hex[:12]}",
        instruments=["EURUSD", "GBPUSD"],
        granularities=["H1", "H4", "D"],
        horizons=[6, 24],
        first_month="2024-01",
        serve=SERVE,
    )
    store_market(settings)
    yield settings
    client = connect(clickhouse_url, settings.database)
    client.command(f"DROP DATABASE IF EXISTS `{settings.database}` SYNC")
    client.close()


@pytest.fixture(scope="session")
def api(stored: Settings) -> Iterator[TestClient]:
    """The application with a warm cache."""
    with TestClient(build_app(stored), base_url="http://127.0.0.1") as client:
        assert client.post("/v1/cache/warm").status_code == 200
        yield client


@pytest.fixture(scope="session")
def summarized(api: TestClient, stored: Settings) -> TestClient:
    """The same with statistics of its labels, which only some tests need."""
    store_statistics(stored)
    return api


@pytest.fixture
def other_api(stored: Settings) -> Iterator[Callable[..., TestClient]]:
    """Makes applications with other settings over the same market."""
    opened: list[TestClient] = []

    def make(headers: dict[str, str] | None = None, **overrides: Any) -> TestClient:
        settings = stored.model_copy(update=overrides)
        opened.append(TestClient(build_app(settings), base_url="http://127.0.0.1", headers=headers))
        return opened[-1].__enter__()

    yield make
    for client in opened:
        client.__exit__(None, None, None)
