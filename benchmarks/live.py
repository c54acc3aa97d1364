"""Part `live`: all instruments closing at once, and a sustained stream, through a real `label-assets live`.

The clock starts before XADD and stops when the rows' message comes, which Redis sends after it has stored them; that
they can be read then is looked at too.

Belongs here: one worker, one machine, histories in ClickHouse. Does not belong here: runs of Dagster.
"""

import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from benchmarks.figures import Figure, Measured, Size, figure, quantiles
from benchmarks.homes import ALL_INSTRUMENTS, land_market, market_candles, own_servers
from benchmarks.processes import watching
from label_assets.assets.candles import ingest
from label_assets.assets.partitions import month_runs, month_start, months_between, next_month, partition_key
from label_assets.cache.commands import Commands
from label_assets.cache.hot import HotCache, cache_url, message_rows
from label_assets.cache.sections import Section, sections
from label_assets.compute.source import configured_source
from label_assets.kernels.arrays import Candles
from label_assets.live.candle_stream import entry_fields, open_queue, stream_key
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse, address
from label_assets_tests.ui.development import free_port

INSTRUMENTS: dict[Size, tuple[str, ...]] = {
    "tiny": ALL_INSTRUMENTS[:2],
    "bench": ALL_INSTRUMENTS,
    "full": ALL_INSTRUMENTS,
}
MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-01", "2024-02"),
    "bench": ("2022-01", "2024-12"),
    "full": ("2015-01", "2024-12"),
}
ROUNDS: dict[Size, int] = {"tiny": 5, "bench": 100, "full": 400}
WARM_UP_ROUNDS = 4
SUSTAINED_S: dict[Size, float] = {"tiny": 0.5, "bench": 5, "full": 20}
RATE = 1000
"""Candles a second, over all instruments."""

HOUR_S = 3_600
WEEK_S = 7 * 86_400
CANDLES_AN_HOUR = 4
QUIET_S = 0.15
PATIENCE_S = 240.0
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Message(NamedTuple):
    """Rows that were published.

    Attributes:
        at: When the message came [s, perf_counter].
        section: Whose rows.
        rows: Number of rows.
        last_ts: Open time of the newest of them [epoch s].
    """

    at: float
    section: Section
    rows: int
    last_ts: int


class Ear(threading.Thread):
    """Listens to the channels of all sections; messages are read when they are asked for, only their time is taken."""

    def __init__(self, settings: Settings) -> None:
        """Subscribe."""
        super().__init__(daemon=True)
        commands = Commands(settings)
        self._sections = {commands.channel(section).encode(): section for section in sections(settings)}
        connect: Any = Redis.from_url  # its types know no pubsub
        self._redis = connect(str(cache_url(settings)))
        self._channels = self._redis.pubsub(ignore_subscribe_messages=True)
        self._channels.subscribe(*self._sections)
        self._heard: list[tuple[float, Any]] = []
        self._is_over = threading.Event()

    def run(self) -> None:
        """Listen until `end`."""
        while not self._is_over.is_set():
            message = self._channels.get_message(timeout=0.2)
            if message is not None:
                self._heard.append((time.perf_counter(), message))

    def end(self) -> None:
        """Stop listening."""
        self._is_over.set()
        self.join()
        self._channels.close()
        self._redis.close()

    @property
    def last_at(self) -> float:
        """When the last message came; 0 where none did."""
        return self._heard[-1][0] if self._heard else 0.0

    def instruments(self) -> set[str]:
        """Instruments of which something was heard."""
        return {self._sections[message["channel"]].instrument_id for _, message in list(self._heard)}

    def taken(self) -> list[Message]:
        """What was heard since the last time."""
        heard, self._heard = self._heard, []
        found = []
        for at, message in heard:
            stamps = message_rows(message["data"]).records["ts"]
            found.append(Message(at, self._sections[message["channel"]], len(stamps), int(stamps.max())))
        return found


def measure(size: Size, home: Path) -> Measured:
    """Rounds in which every instrument closes, then a sustained stream."""
    names, months, port = INSTRUMENTS[size], MONTHS[size], free_port()
    live = {"metrics_port": port}
    with (
        own_servers(home, instruments=list(names), first_month=months[0], live=live) as settings,
        watching(home) as watch,
    ):
        land_market(home / "landing", names, months)
        _store_history(settings, names, months)
        start_ts = month_start(next_month(months[1]))
        hours = 2 * ROUNDS[size] + WARM_UP_ROUNDS + SUSTAINED_S[size] * RATE / len(names) / CANDLES_AN_HOUR
        end_ts = start_ts + int(hours / 80 + 2) * WEEK_S  # a week has some 110 hours that every market trades
        coming = _whole_hours([market_candles(name, start_ts, end_ts) for name in names])
        queue, cache = open_queue(settings), HotCache(settings, str(cache_url(settings)))
        with _worker(settings, port):
            ear = Ear(settings)
            ear.start()
            stream = Stream(settings, queue, port, names, coming)
            rounds = [_round(stream, cache, ear, names) for _ in range(ROUNDS[size] + WARM_UP_ROUNDS)][WARM_UP_ROUNDS:]
            alone = [_round(stream, cache, ear, [names[turn % len(names)]]) for turn in range(ROUNDS[size])]
            sustained, notes = _sustained(stream, SUSTAINED_S[size])
            ear.end()
        queue.close()
        cache.close()
    latencies = [value for each in rounds for value in each.milliseconds]
    slowest = [max(each.milliseconds) for each in rounds]
    count = len(names)
    return Measured(
        figures=[
            *quantiles("all at once", "ms", latencies, SHARES, "candle in stream → all its labels in Redis"),
            *quantiles(
                "one alone",
                "ms",
                [value for each in alone for value in each.milliseconds],
                SHARES,
                "candle in stream → all its labels in Redis, of one instrument while the others are quiet",
            ),
            figure("all at once, the last of a round", "ms", "wall", slowest),
            figure("rows a candle changes", "rows", "none", [each.rows / count for each in rounds]),
            *sustained,
        ],
        notes=[
            f"{count} instruments with history since {months[0]}, {len(rounds)} rounds, one worker. In a round every "
            "instrument's candle closes an hour at once (and H4, D or W with it): a new row of each, and the open ones "
            "that it changes. Of each candle the time until the last of its rows is told by Redis, which has stored it "
            f"before. Alone: {len(alone)} rounds in which one instrument's candle closes, one after the other.",
            *notes,
        ],
        peak_rss=watch.peak_rss,
    )


class Round(NamedTuple):
    """One round.

    Attributes:
        milliseconds: Of each instrument, from before XADD to its last message [ms].
        rows: Rows of all instruments.
    """

    milliseconds: list[float]
    rows: int


def _store_history(settings: Settings, names: Sequence[str], months: tuple[str, str]) -> None:
    """Raw candles into ClickHouse: what a worker starts from."""
    warehouse, source = Warehouse(settings), configured_source(settings)
    calendar = SessionCalendar(settings.session_open)
    try:
        for name in names:
            (run,) = month_runs([partition_key(name, month) for month in months_between(*months)])
            ingest(warehouse, source, settings, calendar, run)
    finally:
        warehouse.close()


def _whole_hours(found: Sequence[Candles]) -> list[Candles]:
    """Only candles of hours that every instrument has as a whole: each fourth one closes an hour of all of them."""
    common = found[0].ts
    for candles in found[1:]:
        common = np.intersect1d(common, candles.ts)
    hour, count = np.unique(common // HOUR_S, return_counts=True)
    common = common[np.isin(common // HOUR_S, hour[count == CANDLES_AN_HOUR])]
    return [Candles._make(column[np.isin(candles.ts, common)] for column in candles) for candles in found]


@contextmanager
def _worker(settings: Settings, port: int) -> Iterator[None]:
    """A `label-assets live` that serves all instruments."""
    variables = {
        "LABEL_ASSETS_HOME": str(settings.home),
        "LABEL_ASSETS_SOURCE": settings.source,
        "LABEL_ASSETS_LANDING_FOLDER": str(settings.landing_folder),
        "LABEL_ASSETS_INSTRUMENTS": ",".join(item.name for item in settings.instruments),
        "LABEL_ASSETS_FIRST_MONTH": settings.first_month,
        "LABEL_ASSETS_LIVE__METRICS_PORT": str(port),
    }
    address(settings)
    process = subprocess.Popen([sys.executable, "-m", "label_assets.cli", "live"], env=os.environ | variables)
    try:
        _wait("the worker answers", lambda: process.poll() is not None or _counter(port, "instruments") is not None)
        if process.poll() is not None:
            raise RuntimeError(f"label-assets live ended with exit code {process.returncode}")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


class Stream:
    """Candles that come, in order, to all instruments."""

    def __init__(
        self, settings: Settings, queue: Any, port: int, names: Sequence[str], coming: Sequence[Candles]
    ) -> None:
        """Nothing is sent yet.

        Args:
            settings: The settings.
            queue: Redis of the streams.
            port: Port of the worker's metrics.
            names: The instruments.
            coming: Their candles, as many of each.
        """
        self.names, self.port = names, port
        self._settings, self._queue = settings, queue
        self._coming = dict(zip(names, coming, strict=True))
        self._sent = dict.fromkeys(names, 0)

    def send(self, names: Sequence[str]) -> None:
        """The next candle of some instruments, in one round trip."""
        pipeline = self._queue.pipeline(transaction=False)
        for name in names:
            pipeline.xadd(stream_key(self._settings, name), entry_fields(self._coming[name], self._sent[name]))
            self._sent[name] += 1
        pipeline.execute()

    def wait_until_taken(self) -> None:
        """Wait until the worker has counted all that was sent."""
        count = sum(self._sent.values())
        _wait("the worker takes all candles", lambda: (_counter(self.port, "candles_total") or 0.0) >= count)


def _round(stream: Stream, cache: HotCache, ear: Ear, names: Sequence[str]) -> Round:
    """An hour of some instruments; what is measured is its last candle."""
    for _ in range(CANDLES_AN_HOUR - 1):
        stream.send(names)
    stream.wait_until_taken()
    time.sleep(QUIET_S)
    ear.taken()
    started = time.perf_counter()
    stream.send(names)
    _wait(
        "labels of all instruments",
        lambda: len(ear.instruments()) == len(names) and time.perf_counter() - ear.last_at > QUIET_S,
    )
    heard = ear.taken()
    last = [max(each.at for each in heard if each.section.instrument_id == name) for name in names]
    _check_readable(cache, heard)
    return Round([(at - started) * 1e3 for at in last], sum(each.rows for each in heard))


def _check_readable(cache: HotCache, heard: Sequence[Message]) -> None:
    """What was told can be read."""
    for told in heard:
        if told.last_ts not in cache.rows(told.section, [told.last_ts]):
            raise RuntimeError(f"{told.section}: a row of {told.last_ts} was published and cannot be read")


def _sustained(stream: Stream, seconds: float) -> tuple[list[Figure], list[str]]:
    """A stream of many candles a second; latencies by the worker's histogram, which begins at a candle's entry id."""
    before = _histogram(stream.port)
    rounds = max(2, int(seconds * RATE / len(stream.names)))
    started = time.perf_counter()
    for number in range(rounds):
        pause = started + number * len(stream.names) / RATE - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        stream.send(stream.names)
    sent_s = time.perf_counter() - started
    stream.wait_until_taken()
    done_s = time.perf_counter() - started
    after, count = _histogram(stream.port), rounds * len(stream.names)
    group = "sustained stream, bound of the histogram's bucket"
    figures = [
        figure("candles a second that were sent", "candles/s", "wall", [count / sent_s]),
        figure("candles a second that were labelled", "candles/s", "wall", [count / done_s]),
        *(
            figure(f"sustained, {name}", "ms", "wall", [_bucket(before, after, share) * 1e3], group)
            for name, share in SHARES.items()
        ),
    ]
    return figures, [
        f"The sustained stream is {count:,} candles in {sent_s:.1f} s; the worker had taken the last one "
        f"{(done_s - sent_s) * 1e3:,.0f} ms after it was sent, at most, for its count is looked at every 20 ms."
    ]


def _wait(what: str, holds: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > until:
            raise RuntimeError(f"waited {PATIENCE_S:.0f} s for: {what}")
        time.sleep(0.02)


def _samples(port: int) -> Iterator[Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    for family in text_string_to_metric_families(text):
        yield from family.samples


def _counter(port: int, name: str) -> float | None:
    """Value of a metric of the worker; None while it does not answer."""
    try:
        return next(float(each.value) for each in _samples(port) if each.name == f"label_assets_live_{name}")
    except (OSError, StopIteration):
        return None


def _histogram(port: int) -> dict[float, float]:
    """Candles by the bound of their latency, added up [s]."""
    name = "label_assets_live_latency_seconds_bucket"
    return {float(each.labels["le"]): float(each.value) for each in _samples(port) if each.name == name}


def _bucket(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Smallest bound that this share of the candles since `before` does not exceed [s]."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    total = counts[float("inf")]
    found = next(bound for bound, count in counts.items() if count >= share * total)
    if found == float("inf"):
        raise RuntimeError("a candle took longer than the last bound of the worker's histogram")
    return found
