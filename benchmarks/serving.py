"""Part `serving`: a real `label-assets serve` under a real load: cached reads, misses, computed labels, Arrow ranges.

Two kinds of load. Paced: so many requests a second are due whatever comes back, and each is timed from when it was due.
Full tilt: every client asks again as soon as it has its answer, which tells how much the server can carry; how long
an answer takes then is the number of clients divided by that.

Belongs here: one worker, one machine, rows as runs leave them. Does not belong here: sending and timing (`load`).
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Figure, Measured, Size, figure, quantiles
from benchmarks.homes import ALL_INSTRUMENTS, land_market, own_servers
from benchmarks.load import Plan, Seen, run_load
from benchmarks.processes import watching
from label_assets.cache.hot import cache_url
from label_assets.cache.sections import span_s
from label_assets.materialize import dagster_instance, materialize_range
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse, address
from label_assets_tests.ui.development import free_port

INSTRUMENTS: dict[Size, tuple[str, ...]] = {
    "tiny": ALL_INSTRUMENTS[:1],
    "bench": ALL_INSTRUMENTS[:4],
    "full": ALL_INSTRUMENTS[:8],
}
MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-01", "2024-02"),
    "bench": ("2023-01", "2024-12"),
    "full": ("2020-01", "2024-12"),
}
SECONDS: dict[Size, float] = {"tiny": 1, "bench": 8, "full": 30}
CLIENTS: dict[Size, tuple[int, ...]] = {"tiny": (1, 4), "bench": (1, 10, 50, 100), "full": (1, 10, 50, 100)}
PACED_CLIENTS = 50

CACHED_PER_SECOND = 200.0
MISSES_PER_SECOND = 20.0
COMPUTED_PER_SECOND = 10.0
ARROW_PER_SECOND = 5.0
MIXED_PER_SECOND = 100.0

ZIPF = 1.1
"""Exponent of the popularity of instruments, granularities and ages in the mix."""

AGES = (3, 10, 30, 300, 3000)
"""How many rows before the newest the rows of the mix lie; those of the last ones are in ClickHouse alone."""

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
OVERLOADED = ("408", "503")
"""Statuses of requests that a server refuses because it cannot do all that is asked."""

PATIENCE_S = 120.0
WARM_UP_S = 2.0
HEADERS = "Host: 127.0.0.1\r\nAccept-Encoding: identity\r\n"


class Kind(NamedTuple):
    """One kind of request.

    Attributes:
        name: Its name in the figures.
        requests: Requests to draw from.
        per_second: Pace of the load.
        sources: Where the answers may come from; any other is an error of the measurement.
        weights: How often each is drawn.
    """

    name: str
    requests: list[str]
    per_second: float
    sources: frozenset[str]
    weights: Sequence[float] = ()


def measure(size: Size, home: Path) -> Measured:
    """Each kind at its pace, then cached reads at full tilt."""
    names, months = INSTRUMENTS[size], MONTHS[size]
    with (
        own_servers(home, instruments=list(names), first_month=months[0]) as settings,
        watching(home) as watch,
    ):
        land_market(home / "landing", names, months)
        with dagster_instance(settings) as instance:
            materialize_range(settings, instance, names, months)
        opens = _opens(settings, names)
        with _server(settings) as port:
            figures, notes = _paced(port, settings, opens, size, home)
            figures += _full_tilt(port, settings, size, home)
    return Measured(figures=figures, notes=[_setting(names, months), *notes], peak_rss=watch.peak_rss)


def _setting(names: Sequence[str], months: tuple[str, str]) -> str:
    return (
        f"{len(names)} instruments, {months[0]} to {months[1]}, one worker; generator, server, ClickHouse and Redis "
        f"share the machine. Paced figures: {PACED_CLIENTS} clients on open connections, together "
        f"{CACHED_PER_SECOND:g} cached reads, {MISSES_PER_SECOND:g} misses, {COMPUTED_PER_SECOND:g} computed labels or "
        f"{ARROW_PER_SECOND:g} Arrow ranges a second, timed from when each was due. JSON: all columns, uncompressed."
    )


def _paced(
    port: int, settings: Settings, opens: dict[tuple[str, str], list[int]], size: Size, folder: Path
) -> tuple[list[Figure], list[str]]:
    figures: list[Figure] = []
    notes: list[str] = []
    for kind in _kinds(settings, opens):
        plan = Plan(port, kind.requests, PACED_CLIENTS, SECONDS[size], kind.per_second, list(kind.weights))
        run_load(
            replace(plan, seconds=WARM_UP_S, seed=plan.seed + 1), folder
        )  # kernels load with the first computation
        seen = _checked(run_load(plan, folder), kind.sources)
        figures += quantiles(kind.name, "ms", seen.milliseconds, SHARES, "paced, 50 clients")
        refused = sum(seen.statuses.get(status, 0) for status in OVERLOADED)
        figures.append(figure(f"{kind.name}, refused", "%", "none", [100 * refused / len(seen.milliseconds)]))
        notes.append(
            f"{kind.name}: {len(seen.milliseconds)} answers by status {seen.statuses}, by source {seen.sources}."
        )
        if len(kind.sources) > 1:
            share = 100 * seen.sources.get("cache", 0) / len(seen.milliseconds)
            figures.append(figure("hit rate of a Zipf mix", "%", "none", [share]))
    return figures, notes


def _full_tilt(port: int, settings: Settings, size: Size, folder: Path) -> list[Figure]:
    """Cached reads of the newest row, by number of clients."""
    figures = []
    requests = [_latest(name, granularity) for name, granularity in _pairs(settings)]
    for clients in CLIENTS[size]:
        seen = _checked(run_load(Plan(port, requests, clients, SECONDS[size] / 2), folder), frozenset({"cache"}))
        group = "full tilt, cached reads"
        rate = len(seen.milliseconds) / seen.seconds
        figures.append(figure(f"{clients} clients, answers a second", "1/s", "wall", [rate], group))
        figures += quantiles(f"{clients} clients at full tilt", "ms", seen.milliseconds, {"p50": 0.5, "p99": 0.99})
    return figures


def _kinds(settings: Settings, opens: dict[tuple[str, str], list[int]]) -> list[Kind]:
    horizon = settings.horizons[0] + 1  # not stored, so it must be computed
    old = {pair: [ts for ts in stamps if ts < stamps[-1] - span_s(settings, pair[1])] for pair, stamps in opens.items()}
    old = {pair: stamps for pair, stamps in old.items() if stamps}  # of weeks the cache may hold all there are
    computed = [
        _post("/v1/labels/compute", {"instrument": name, "granularity": granularity, "ts": ts, "horizon": horizon})
        for (name, granularity), stamps in opens.items()
        for ts in stamps[:: max(1, len(stamps) // 500)]
    ]
    misses = [_range(pair, ts, 1) for pair, stamps in old.items() for ts in stamps[:: max(1, len(stamps) // 200)]]
    arrow = [_range(pair, stamps[0], 1000, "&format=arrow") for pair, stamps in old.items()]
    mix = [_latest(*pair) for pair in opens] + [
        _range(pair, stamps[-min(back, len(stamps))], 1) for back in AGES for pair, stamps in opens.items()
    ]
    weights = [1 / (rank + 1) ** ZIPF for rank in range(len(mix))]
    return [
        Kind("cached read", [_latest(*pair) for pair in opens], CACHED_PER_SECOND, frozenset({"cache"})),
        Kind("miss", misses, MISSES_PER_SECOND, frozenset({"store"})),
        Kind("computed on miss", computed, COMPUTED_PER_SECOND, frozenset({"computed"})),
        Kind("1,000 rows as Arrow", arrow, ARROW_PER_SECOND, frozenset({"store"})),
        Kind("Zipf mix", mix, MIXED_PER_SECOND, frozenset({"cache", "store"}), weights),
    ]


def _pairs(settings: Settings) -> list[tuple[str, str]]:
    return [(item.name, granularity) for item in settings.instruments for granularity in settings.granularities]


def _latest(name: str, granularity: str) -> str:
    return _get(f"/v1/labels/{name}/{granularity}/latest")


def _range(pair: tuple[str, str], start_ts: int, limit: int, more: str = "") -> str:
    return _get(f"/v1/labels/{pair[0]}/{pair[1]}?start={start_ts}&limit={limit}{more}")


def _get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\n{HEADERS}\r\n"


def _post(path: str, document: dict[str, object]) -> str:
    body = json.dumps(document)
    head = f"POST {path} HTTP/1.1\r\n{HEADERS}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head + body


def _checked(seen: Seen, sources: frozenset[str]) -> Seen:
    """The answers, if they are what was to be measured; refusals of an overloaded server count with their time."""
    answered = seen.statuses.get("200", 0)
    if not answered or not set(seen.statuses) <= {"200", *OVERLOADED} or not set(seen.sources) <= sources | {""}:
        raise RuntimeError(f"asked: answers from {set(sources)}; found: {seen.statuses}, from {seen.sources}")
    return seen


def _opens(settings: Settings, names: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """Open times of the stored rows of each instrument and granularity."""
    warehouse = Warehouse(settings)
    try:
        rows = warehouse.query_text(
            "SELECT CAST(instrument_id AS String) AS name, CAST(granularity AS String) AS granularity, "
            "groupArray(toUnixTimestamp(ts)) AS opens FROM (SELECT instrument_id, granularity, ts FROM labels "
            "WHERE horizon = {horizon:UInt16} AND instrument_id IN {names:Array(String)} ORDER BY ts) "
            "GROUP BY instrument_id, granularity ORDER BY instrument_id, granularity",
            horizon=settings.horizons[0],
            names=list(names),
        )
    finally:
        warehouse.close()
    return {(row["name"], row["granularity"]): row["opens"] for row in rows.to_pylist()}


@contextmanager
def _server(settings: Settings) -> Iterator[int]:
    """A `label-assets serve` with a warm cache; gives its port."""
    port = free_port()
    variables = {
        "LABEL_ASSETS_HOME": str(settings.home),
        "LABEL_ASSETS_INSTRUMENTS": ",".join(item.name for item in settings.instruments),
        "LABEL_ASSETS_FIRST_MONTH": settings.first_month,
        "LABEL_ASSETS_SERVE__REQUESTS_PER_MINUTE": "0",
        "CLICKHOUSE_URL": address(settings),
        "REDIS_URL": str(cache_url(settings)),
    }
    command = [sys.executable, "-m", "label_assets.cli", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | variables)
    try:
        until = time.monotonic() + PATIENCE_S
        while not _is_ready(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"label-assets serve does not answer; exit code {process.poll()}")
            time.sleep(0.05)
        _ask(port, "/v1/cache/warm", b"{}")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _is_ready(port: int) -> bool:
    try:
        return _ask(port, "/v1/ready") == 200
    except (urllib.error.URLError, OSError):
        return False


def _ask(port: int, path: str, body: bytes | None = None) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return int(answer.status)
