"""An embedded Redis that comes back at another address is found again."""

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import psutil
import pytest

from label_assets.cache.hot import cache_url, open_cache
from label_assets.errors import CacheUnavailableError
from label_assets.live.mending import CacheMending
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.embedded import redis


def test_a_port_that_was_taken_meanwhile(live_settings: Callable[..., Settings]) -> None:
    settings = live_settings(cache={"sync_s": 1e-6})
    cache = open_cache(settings)
    assert cache is not None
    mending = CacheMending(cache, Warehouse(settings))
    mending.look()
    before = cache_url(settings)
    port = urlsplit(before).port
    assert isinstance(port, int)
    status = redis.status(settings.home)
    assert status.pid is not None
    process = psutil.Process(status.pid)
    process.kill()
    process.wait(30)
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(CacheUnavailableError):
            cache.stats()
        mending.look()
        assert cache_url(settings) != before
        assert cache.stats()["keys"] == 0
    cache.close()
