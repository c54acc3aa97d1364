"""What the API tells of itself, for Prometheus.

Belongs here: names, meanings, buckets. Does not belong here: thresholds (`monitor`), where values come from.
"""

import os
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest, multiprocess
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

LATENCY_BUCKETS_S = (
    *(0.0005, 0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: a folder in which the workers of one server share their counts."""

CACHE_GAUGES = {
    "used_memory": "Memory that Redis uses [bytes].",
    "maxmemory": "Memory from which on Redis evicts; 0 means no limit [bytes].",
    "keys": "Keys in Redis.",
    "connected_clients": "Clients of Redis.",
    "sections": "Sections (instrument, granularity, horizon) that the cache covers.",
}
CACHE_COUNTERS = {
    "evicted_keys": "Keys that Redis evicted for lack of memory.",
    "expired_keys": "Keys whose time was over.",
}


class ServingMetrics:
    """Metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        """Make them, at zero."""
        self.registry = CollectorRegistry()
        self.cache_stats: Mapping[str, int | float | str] = {}
        """What Redis last said of itself, see `HotCache.stats`."""
        self.requests = self._counter("api_requests", "Requests that were answered.", "method", "route", "status")
        self.seconds = self._histogram("api_request_seconds", "Time from a request to its answer.", "route")
        self.rows = self._counter("api_rows", "Rows in answers.", "table")
        self.cache_reads = self._counter("cache_reads", "Reads of the hot cache: hit, miss or unavailable.", "outcome")
        self.cache_seconds = self._histogram("cache_read_seconds", "Time of a read of the hot cache.")
        self.computed_rows = self._counter("api_computed_rows", "Rows of labels that were computed for requests.")
        self.compute_seconds = self._histogram("api_compute_seconds", "Time of a computation, candles read included.")
        self.warmed_rows = self._counter("cache_warmed_rows", "Rows that were read from ClickHouse into the cache.")

    def exposition(self) -> bytes:
        """All of them in Prometheus' text format, over all workers."""
        shown = CollectorRegistry()
        if os.environ.get(MULTIPROCESS):
            multiprocess.MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
        else:
            shown.register(self.registry)
        ProcessCollector(registry=shown)
        shown.register(_CacheCollector(self.cache_stats))
        return generate_latest(shown)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"label_assets_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"label_assets_{name}", text, labels, buckets=LATENCY_BUCKETS_S, registry=self.registry)


class _CacheCollector:
    """What Redis says of itself, as metrics."""

    def __init__(self, stats: Mapping[str, int | float | str]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """The values that are known."""
        for names, family in ((CACHE_GAUGES, GaugeMetricFamily), (CACHE_COUNTERS, CounterMetricFamily)):
            for name, text in names.items():
                if name in self._stats:
                    yield family(f"label_assets_cache_{name}", text, value=float(self._stats[name]))
