"""The local Redis answers with its password only, on the loopback interface only, and is found again."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis as client

from label_assets.warehouse.embedded import redis


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    redis.stop(tmp_path)


def test_life_of_a_server(home: Path) -> None:
    assert not redis.status(home).running
    url = redis.ensure_running(home)
    assert redis.ensure_running(home) == url
    with client.Redis.from_url(url) as connection:
        connection.set("key", "value")
        assert connection.config_get("maxmemory") == {"maxmemory": str(512 * 1024 * 1024)}
        assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
        assert connection.config_get("appendonly") == {"appendonly": "no"}
    status = redis.status(home)
    assert status.running
    assert status.pid is not None
    listening = [c.laddr.ip for c in psutil.Process(status.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    password = url.split(":")[2].split("@")[0]
    assert password not in str(status.url)
    assert password not in " ".join(psutil.Process(status.pid).cmdline())
    with pytest.raises(client.AuthenticationError):
        client.Redis.from_url(url.replace(password, "wrong")).ping()
    process = psutil.Process(status.pid)
    process.kill()
    process.wait(10)  # until then it may still hold its port
    assert redis.ensure_running(home) == url  # same port, same password
    assert redis.stop(home) is True
    assert redis.stop(home) is False
    assert not redis.status(home).running


def test_the_queue_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    """Killed in the middle: every command that was answered is there again, and nothing was evicted for others."""
    try:
        url = redis.ensure_running(tmp_path, redis.QUEUE)
        with client.Redis.from_url(url) as connection:
            assert connection.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            sent = [connection.xadd("stream", {"number": number}) for number in range(500)]
            process = psutil.Process(redis.status(tmp_path, redis.QUEUE).pid)
            process.kill()
            process.wait(10)
        assert redis.ensure_running(tmp_path, redis.QUEUE) == url
        with client.Redis.from_url(url) as connection:
            assert [entry for entry, _ in connection.xrange("stream")] == sent
        assert not redis.status(tmp_path).running  # the cache is another server
    finally:
        redis.stop(tmp_path, redis.QUEUE)
