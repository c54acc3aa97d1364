"""Pages of metrics for tests: from the real registries of `serve` and `live`, and served over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import generate_latest

from label_assets.cache.hot import SERVER_STATS
from label_assets.live.metrics import LiveMetrics
from label_assets.serving.metrics import ServingMetrics


class Server:
    """One process with metrics of both kinds, as `serve` and `live` would show them."""

    def __init__(self) -> None:
        self.serving, self.live = ServingMetrics(), LiveMetrics()
        self.serving.cache_stats = dict.fromkeys([*SERVER_STATS, "keys", "sections"], 1)
        self.requests(0, 0.01)

    @property
    def text(self) -> str:
        return self.serving.exposition().decode() + generate_latest(self.live.registry).decode()

    def requests(self, count: int, seconds: float, status: int = 200, route: str = "/v1/catalog") -> None:
        self.serving.requests.labels("GET", route, status).inc(count)
        for _ in range(count):
            self.serving.seconds.labels(route).observe(seconds)

    def reads(self, **outcomes: int) -> None:
        for outcome, count in outcomes.items():
            self.serving.cache_reads.labels(outcome).inc(count)

    def candles(self, count: int, seconds: float, rows: int = 7, compute_seconds: float = 0.001) -> None:
        for _ in range(count):
            self.live.latency.observe(seconds)
        self.live.rows.inc(count * rows)
        self.live.compute_seconds.inc(count * compute_seconds)


@contextmanager
def shown(server: Server) -> Iterator[str]:
    """Address at which the metrics of a server are shown."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = server.text.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}/metrics"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
