"""The figures that service levels are about, from what targets showed at the two ends of a window of time.

Counters are compared between the ends; one that is smaller at the end began anew with its process, so it counts from 0.

Belongs here: which metrics are read and how they are put together. Does not belong here: thresholds
(`monitoring.evaluation`), where metrics come from (`serving.metrics`, `live.metrics`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from label_assets.catalog.families import LABELS
from label_assets.monitoring.page import Labels, Page

REQUESTS = "label_assets_api_requests_total"
REQUEST_SECONDS = "label_assets_api_request_seconds_bucket"
CACHE_READS = "label_assets_cache_reads_total"
LIVE_LATENCY = "label_assets_live_latency_seconds_bucket"
LIVE_ROWS = "label_assets_live_label_rows_total"
LIVE_SECONDS = "label_assets_live_compute_seconds_total"
PROCESS_MEMORY = "process_resident_memory_bytes"
REDIS_MEMORY = "label_assets_cache_used_memory"

NAMES = (
    *(REQUESTS, REQUEST_SECONDS, CACHE_READS, LIVE_LATENCY, LIVE_ROWS, LIVE_SECONDS, PROCESS_MEMORY, REDIS_MEMORY),
)
"""Every name that is read."""

UNWATCHED_ROUTES = frozenset({"/v1/cache/warm", "/metrics"})
"""Requests of operators: warming takes as long as there are rows, and its answer means that it is done."""

TIMED_OUT = "408"
"""Fails by our fault, as 5xx do: it was not computed in time."""

LABELS_PER_ROW = len({column.number for column in LABELS.all_columns if column.number})
_MINUTE_S = 60.0


class Window(NamedTuple):
    """What targets showed before and after some time.

    Attributes:
        start_s: Its start [epoch s].
        end_s: Its end [epoch s].
        pages: By target, the page at the start (None for one that was not read then) and at the end.
    """

    start_s: float
    end_s: float
    pages: Mapping[str, tuple[Page | None, Page]]


class Figure(NamedTuple):
    """One figure of a window.

    Attributes:
        name: As in `monitoring.evaluation.LEVELS`.
        value: Its value; None where nothing happened that it could be of.
        events: Number of what it is made of: requests, reads, candles, rows; 1 for a state.
        where: What it is of, where that is not everything: a target.
    """

    name: str
    value: float | None
    events: float
    where: str = ""


def figures(window: Window) -> list[Figure]:
    """Every figure of a window; one that no target knows has 0 events."""
    requests, failed = 0.0, 0.0
    for labels, count in _grown(window, REQUESTS):
        told = dict(labels)
        requests += count
        failed += count if told["status"].startswith("5") or told["status"] == TIMED_OUT else 0.0
    asked, hits = 0.0, 0.0
    for labels, count in _grown(window, CACHE_READS):
        asked += count
        hits += count if dict(labels)["outcome"] == "hit" else 0.0
    rows, seconds = _sum(window, LIVE_ROWS), _sum(window, LIVE_SECONDS)
    watched = _buckets(window, REQUEST_SECONDS, lambda labels: labels["route"] not in UNWATCHED_ROUTES)
    candles = _buckets(window, LIVE_LATENCY, lambda _: True)
    return [
        Figure("api_latency_ms", _quantile_ms(watched), _total(watched)),
        Figure("live_latency_ms", _quantile_ms(candles), _total(candles)),
        Figure("labels_per_minute", rows * LABELS_PER_ROW / seconds * _MINUTE_S if seconds else None, rows),
        Figure("hit_rate", hits / asked if asked else None, asked),
        Figure("error_rate", failed / requests if requests else None, requests),
        *_states(window),
    ]


def _states(window: Window) -> Iterator[Figure]:
    """Memory of each process, and whether each target answers."""
    for target, (_, page) in window.pages.items():
        yield Figure(
            "answers", 0.0 if page.problem else 1.0, 1, f"{target} ({page.problem})" if page.problem else target
        )
        for name, what in ((PROCESS_MEMORY, target), (REDIS_MEMORY, f"Redis, told by {target}")):
            for value in page.samples.get(name, {}).values():
                yield Figure("memory_bytes", value, 1, what)


def _grown(window: Window, name: str) -> Iterator[tuple[Labels, float]]:
    """By how much each counter of a name grew, over all targets; a target that was not read before tells nothing."""
    for before, after in window.pages.values():
        if before is None or before.problem:
            continue
        earlier = before.samples.get(name, {})
        for labels, value in after.samples.get(name, {}).items():
            start = earlier.get(labels, 0.0)
            yield labels, value if value < start else value - start


def _sum(window: Window, name: str) -> float:
    return sum(count for _, count in _grown(window, name))


def _buckets(window: Window, name: str, is_meant: Callable[[Mapping[str, str]], bool]) -> dict[float, float]:
    """Observations up to each bound [s] of a histogram, over all targets and labels that are meant."""
    found: dict[float, float] = {}
    for labels, count in _grown(window, name):
        told = dict(labels)
        if is_meant(told):
            bound = float(told["le"])
            found[bound] = found.get(bound, 0.0) + count
    return dict(sorted(found.items()))


def _total(buckets: Mapping[float, float]) -> float:
    return max(buckets.values(), default=0.0)


def _quantile_ms(buckets: Mapping[float, float], share: float = 0.99) -> float | None:
    """A quantile as Prometheus estimates it: linear within its bucket, the last finite bound beyond that [ms]."""
    wanted = share * _total(buckets)
    if not wanted:
        return None
    low, below = 0.0, 0.0
    for bound, count in buckets.items():
        if bound == float("inf"):
            break
        if count >= wanted:
            return 1000 * (low + (bound - low) * (wanted - below) / (count - below))
        low, below = bound, count
    return 1000 * low
