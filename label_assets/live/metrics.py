"""What a live worker tells of itself, for Prometheus.

Belongs here: names, meanings, buckets. Does not belong here: thresholds (`settings`).
"""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

LATENCY_BUCKETS_S = (
    *(0.001, 0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


class LiveMetrics:
    """Metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        """Make them, at zero."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.latency = Histogram(
            "label_assets_live_latency_seconds",
            "From a candle in its stream until the labels that it changes are readable in Redis.",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.store_latency = Histogram(
            "label_assets_live_store_latency_seconds",
            "From a candle in its stream until ClickHouse holds it and what it changes.",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.candles = self._counter("candles", "Candles that came to the end of an instrument's history.")
        self.corrections = self._counter("corrections", "Candles that changed what was known.")
        self.repeated = self._counter("repeated", "Candles that were known with the same values.")
        self.rejected = self._counter("rejected", "Entries that broke a rule.", "reason")
        self.dropped = self._counter("dropped", "Entries that were left out on purpose.", "rule")
        self.rows = self._counter("label_rows", "Rows of labels that were computed for the cache.")
        self.compute_seconds = self._counter("compute_seconds", "Time spent computing and encoding them.")
        self.stored_rows = self._counter("stored_rows", "Rows of all tables that were new to ClickHouse.")
        self.cache_failures = self._counter("cache_failures", "Writes that the cache did not take.")
        self.store_failures = self._counter(
            "store_failures", "Batches that ClickHouse did not take; they are repeated."
        )
        self.unstored = self._gauge("unstored_candles", "Candles that ClickHouse has not taken yet.")
        self.instruments = self._gauge("instruments", "Instruments that this worker serves.")

    def observe(self, latency: Histogram, entry_ids: Iterable[str]) -> None:
        """Note for entries the time since Redis gave them their ids, the clock of which is taken to be ours."""
        now = time.time()
        for entry_id in entry_ids:
            latency.observe(max(0.0, now - int(entry_id.split("-")[0]) / 1000))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"label_assets_live_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"label_assets_live_{name}", text, registry=self.registry)
