"""A Redis of its own for the tests of the cache, and caches of a namespace of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from label_assets.cache.hot import HotCache
from label_assets.settings import Settings
from label_assets.warehouse.embedded import redis


@pytest.fixture(scope="session")
def redis_url(home: Path) -> Iterator[str]:
    """Address of this session's Redis; databases of the tests differ, and so do their keys."""
    yield redis.ensure_running(home)
    redis.stop(home)


@pytest.fixture
def settings(make_settings: Callable[..., Settings], new_database: str, redis_url: str) -> Settings:
    """Two instruments, one horizon more than the default."""
    return make_settings(database=new_database, redis_url=redis_url, instruments=["EURUSD", "GBPUSD"], horizons=[6, 24])


@pytest.fixture
def cache(settings: Settings) -> Iterator[HotCache]:
    """An empty cache."""
    opened = HotCache(settings, str(settings.redis_url))
    yield opened
    opened.close()
