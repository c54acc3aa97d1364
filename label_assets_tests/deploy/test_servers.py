"""nginx and Redis with the deployed configuration, where their programs are installed."""

import os
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import redis

from label_assets.warehouse.embedded.lifecycle import free_port
from label_assets.warehouse.embedded.redis import _binary

DEPLOY = Path(__file__).parents[2] / "deploy"


@contextmanager
def running(arguments: list[str], ready: Callable[[], bool], **variables: str) -> Iterator[None]:
    child = subprocess.Popen(arguments, env={**os.environ, **variables})
    try:
        deadline = time.monotonic() + 20
        while not ready():
            assert child.poll() is None, "it ended"
            assert time.monotonic() < deadline, "it does not answer"
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait(10)


class Upstream(ThreadingHTTPServer):
    """Counts connections and requests, and says what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.connections = self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    """Answers with its path and the name that was asked for."""

    protocol_version = "HTTP/1.1"
    server: Upstream

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self.server.requests += 1
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def test_nginx_spreads_requests_over_kept_connections_and_hides_metrics(tmp_path: Path) -> None:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    port, first, second = free_port(None), Upstream(), Upstream()
    text = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    # Names and their repeated look-up are Docker's; `resolve` came with nginx 1.27, which Debian does not have.
    for old, new in (
        (
            "server serve:8000 resolve max",
            f"server 127.0.0.1:{second.server_port}; server 127.0.0.1:{first.server_port} max",
        ),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ("/tmp/", f"{tmp_path}/"),
        ("worker_processes auto", "daemon off; worker_processes 1"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "nginx.conf").write_text(text)
    address = f"http://127.0.0.1:{port}"
    with running([program, "-c", str(tmp_path / "nginx.conf")], lambda: get(address)[0] == 200):
        for number in range(40):
            assert get(f"{address}/v1/labels/{number}") == (200, f"/v1/labels/{number} 127.0.0.1")
        assert get(f"{address}/metrics")[0] == 404
        assert min(first.requests, second.requests) >= 10
        assert first.connections + second.connections <= 10, "connections to `serve` are kept"
        first.shutdown()
        first.server_close()
        assert all(get(f"{address}/{number}")[0] == 200 for number in range(10)), "one that is gone is left out"
    second.shutdown()
    second.server_close()


@contextmanager
def redis_server(name: str, folder: Path) -> Iterator[redis.Redis]:
    binary, port = _binary(), free_port(None)
    client = redis.Redis(port=port, username="label_assets", password="secret")

    def ready() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    with running(
        [
            "sh",
            str(DEPLOY / "redis" / "start.sh"),
            name,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
        ],
        ready,
        PATH=f"{binary.parent}:{os.environ['PATH']}",
        REDIS_PASSWORD="secret",
        REDIS_RUN=str(folder),
    ):
        yield client
        client.close()


def test_redis_lets_nobody_in_without_password_and_the_product_do_its_work(tmp_path: Path) -> None:
    with redis_server("cache.conf", tmp_path) as client:
        port = client.connection_pool.connection_kwargs["port"]
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        assert client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, "key", "value") == b"OK"
        client.zadd("set", {"a": 1})
        client.publish("channel", "message")
        assert client.info("memory")["maxmemory_policy"] == "allkeys-lru"
        for forbidden in (("CONFIG", "SET", "dir", "/"), ("FLUSHALL",), ("DEBUG", "SLEEP", "0"), ("ACL", "LIST")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*forbidden)
    assert (tmp_path / "users.acl").stat().st_mode & 0o077 == 0


def test_the_queue_survives_its_server(tmp_path: Path) -> None:
    with redis_server("queue.conf", tmp_path) as client:
        client.xadd("stream", {"candle": "1"})
        assert client.info("memory")["maxmemory_policy"] == "noeviction"
    with redis_server("queue.conf", tmp_path) as client:
        assert client.xlen("stream") == 1
