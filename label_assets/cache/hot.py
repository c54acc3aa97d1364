"""The hot cache: write, read, publish. Redis may vanish at any time: ClickHouse holds everything.

    cache = open_cache(settings)
    cache.write(Section("EURUSD", "H1", 6), rows, time.time_ns() // 1000)
    cache.latest(Section("EURUSD", "H1", 6))          # None: ask ClickHouse

Belongs here: the client that waits. Does not belong here: commands (`cache.commands`), values (`cache.record`), what is
read from ClickHouse to fill it (`cache.warming`).
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgpack
import numpy as np
import pyarrow as pa

from label_assets.cache.commands import Call, Commands
from label_assets.cache.record import Rows, decode, encode
from label_assets.cache.sections import Section
from label_assets.errors import CacheUnavailableError
from label_assets.settings import Settings

ROWS_PER_CALL = 500
"""A script holds up every other client, so it gets so many rows at most: 2 ms."""

END_OF_TIME = 2**32
LOG = logging.getLogger("label_assets.cache")


class Write(NamedTuple):
    """Rows of one section to write.

    Attributes:
        section: Instrument, granularity and horizon.
        columns: Rows in time order, as `cache.record.encode` takes them.
        versions: Version of each row, or one for all [microseconds since 1970]; the newest wins.
        first_ts: The rows are all that there are from this time on [epoch s]; −1 where they are not.
    """

    section: Section
    columns: pa.Table | Mapping[str, Any]
    versions: int | Sequence[int]
    first_ts: int = -1


class EncodedWrite(NamedTuple):
    """As `Write`, with open times and values of `cache.record.encode` in place of columns and versions."""

    section: Section
    epochs: Sequence[int]
    values: Sequence[bytes]
    first_ts: int = -1


def _encoded(write: Write) -> EncodedWrite:
    epochs = np.asarray(write.columns["ts"]).tolist()
    versions = [write.versions] * len(epochs) if isinstance(write.versions, int) else write.versions
    return EncodedWrite(write.section, epochs, encode(write.columns, versions), write.first_ts)


def cache_url(settings: Settings, *, start: bool = True) -> str | None:
    """Address of the Redis in use.

    Args:
        settings: The settings.
        start: Start the embedded server where none is configured; otherwise it is used only if it runs.

    Returns:
        The address, or None where no Redis is configured and none runs.

    Raises:
        EmbeddedServerError: if the embedded server does not start.
    """
    if settings.redis_url:
        return settings.redis_url
    from label_assets.warehouse.embedded import redis  # noqa: PLC0415 - only where it is used

    if start or redis.status(settings.home).running:
        return redis.ensure_running(settings.home)
    return None


def connection_options(settings: Settings) -> dict[str, Any]:
    """Arguments of every client: short waits, and one more attempt at once, for a server that was restarted."""
    from redis.backoff import NoBackoff  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

    return {
        "socket_timeout": settings.cache.timeout_s,
        "socket_connect_timeout": settings.cache.timeout_s,
        "backoff": NoBackoff(),
    }


class HotCache:
    """The cache of one deployment. Safe to share between threads. Opens nothing before its first use.

    Every method raises CacheUnavailableError where Redis does not answer, if it says nothing else.
    """

    def __init__(self, settings: Settings, url: str) -> None:
        """Keep where Redis is."""
        self.settings = settings
        self.commands = Commands(settings)
        self._url = url
        self.redis: Any = self._client()

    def _client(self) -> Any:
        from redis import Redis  # noqa: PLC0415 - a tenth of a second that `--help` need not pay
        from redis.retry import Retry  # noqa: PLC0415

        options = connection_options(self.settings)
        return Redis.from_url(self._url, retry=Retry(options.pop("backoff"), 1), **options)

    def move_to(self, url: str) -> None:
        """Use another address: an embedded server whose port was taken while it was down has another one."""
        if url != self._url:
            before, self._url = self.redis, url
            self.redis = self._client()
            before.close()

    def close(self) -> None:
        """Close the connections."""
        self.redis.close()

    def write(self, section: Section, columns: pa.Table | Mapping[str, Any], versions: int | Sequence[int]) -> int:
        """Write rows of one section; see `write_all`."""
        return self.write_all([Write(section, columns, versions)])

    def write_all(self, writes: Iterable[Write], *, publish: bool = False) -> int:
        """Write rows of any sections in one round trip.

        A row of which a newer version is there stays as it is.

        Args:
            writes: The rows.
            publish: Tell the subscribers of each section's channel; the message is MessagePack of the list of values.

        Returns:
            Number of rows whose content is new.
        """
        return self.write_values([_encoded(write) for write in writes], publish=publish)

    def write_values(self, writes: Iterable[EncodedWrite], *, publish: bool = False) -> int:
        """As `write_all`, of rows that are encoded already: one `encode` of many sections' rows costs as one of few."""
        calls: list[tuple[Any, ...]] = []
        for section, epochs, values, first_ts in writes:
            for start in range(0, max(1, len(values)), ROWS_PER_CALL):
                part = slice(start, start + ROWS_PER_CALL)
                is_last = start + ROWS_PER_CALL >= len(values)
                calls.append(
                    self.commands.write_rows(section, epochs[part], values[part], first_ts if is_last else -1).command
                )
            if publish:
                calls.append(("PUBLISH", self.commands.channel(section), msgpack.packb(values)))
        return sum(count for count, call in zip(self._pipelined(calls), calls, strict=True) if call[0] == "EVAL")

    def try_write_all(self, writes: Iterable[Write], *, publish: bool = False) -> bool:
        """As `write_all`, but an outage is logged: `warming.sync` brings what was not written, from ClickHouse.

        Returns:
            Whether the rows were written.
        """
        writes = list(writes)
        try:
            self.write_all(writes, publish=publish)
        except CacheUnavailableError as error:
            LOG.warning(
                "%d rows of %d sections are not in the hot cache: %s. They will be, from ClickHouse, when it is back",
                sum(len(np.asarray(write.columns["ts"])) for write in writes),
                len(writes),
                error.found,
            )
            return False
        return True

    def remove(self, section: Section, epochs: Sequence[int], before_version: int) -> int:
        """Remove rows whose version is smaller; returns their number."""
        parts = [epochs[start : start + ROWS_PER_CALL] for start in range(0, len(epochs), ROWS_PER_CALL)]
        return sum(
            self._pipelined([self.commands.remove_rows(section, part, before_version).command for part in parts])
        )

    def rows(self, section: Section, epochs: Sequence[int]) -> dict[int, Rows]:
        """Rows of one section by open time [epoch s]; those that the cache does not hold are absent."""
        values = self.run("MGET", *(self.commands.row_key(section, epoch) for epoch in epochs)) if epochs else []
        return {epoch: decode([value]) for epoch, value in zip(epochs, values, strict=True) if value is not None}

    def range(self, section: Section, start_ts: int, end_ts: int = END_OF_TIME, most: int = 10_000) -> Rows | None:
        """Rows that open in [start, end), oldest first; None where the cache does not hold all of them."""
        return found_rows(self._call(self.commands.read_range(section, start_ts, end_ts, most)))

    def latest(self, section: Section, count: int = 1, before_ts: int = END_OF_TIME) -> Rows | None:
        """The newest rows that open before a time, newest first; None where the cache does not hold all of them."""
        return found_rows(self._call(self.commands.read_latest(section, count, before_ts)))

    def ranges(self, asked: Sequence[tuple[Section, int, int]], most: int = 10_000) -> list[Rows | None]:
        """As `range`, for any number of sections in one round trip."""
        calls = [
            self.commands.read_range(section, start_ts, end_ts, most).command for section, start_ts, end_ts in asked
        ]
        return [found_rows(values) for values in self._pipelined(calls)]

    def epochs(self, section: Section, start_ts: int = 0) -> list[int]:
        """Open times of the rows that the index of a section lists from a time on [epoch s]."""
        return [int(epoch) for epoch in self.run("ZRANGEBYSCORE", self.commands.index_key(section), start_ts, "+inf")]

    def stats(self) -> dict[str, int | float | str]:
        """What Redis says of itself, and how many sections the cache covers."""
        with named_outage():
            told: dict[str, Any] = self.redis.info()
            covered = int(self.redis.hlen(self.commands.watermark_key()))
        return server_stats(told) | {"namespace": self.commands.namespace, "sections": covered}

    def covered(self, asked: Sequence[Section]) -> list[bool]:
        """Whether the cache knows from when on it holds all rows of a section, for each."""
        calls = [("ZSCORE", self.commands.index_key(section), "span") for section in asked]
        return [score is not None for score in self._pipelined(calls)]

    def run(self, *command: Any) -> Any:
        """One command."""
        with named_outage():
            return self.redis.execute_command(*command)

    def _call(self, call: Call) -> Any:
        return self.run(*call.command)

    def _pipelined(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if not commands:
            return []
        with named_outage():
            pipeline = self.redis.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = pipeline.execute()
        return answers


def open_cache(settings: Settings, *, start: bool = True) -> HotCache | None:
    """The cache at `cache_url`, which see; None where there is no Redis."""
    url = cache_url(settings, start=start)
    return HotCache(settings, url) if url else None


def found_rows(values: Sequence[bytes | None] | None) -> Rows | None:
    """Rows of an answer; None where Redis said that it lacks some or one was evicted."""
    return None if values is None or None in values else decode([value for value in values if value is not None])


def message_rows(message: bytes) -> Rows:
    """Rows of a published message."""
    return decode(msgpack.unpackb(message))


SERVER_STATS = (
    "redis_version",
    "uptime_in_seconds",
    "connected_clients",
    "used_memory",
    "used_memory_peak",
    "maxmemory",
    "maxmemory_policy",
    "evicted_keys",
    "expired_keys",
    "keyspace_hits",
    "keyspace_misses",
    "instantaneous_ops_per_sec",
)


def server_stats(told: Mapping[str, Any]) -> dict[str, int | float | str]:
    """The part of INFO that says how the cache does."""
    return {name: told[name] for name in SERVER_STATS if name in told} | {"keys": told.get("db0", {}).get("keys", 0)}


@contextmanager
def named_outage() -> Iterator[None]:
    """Turn what Redis' client raises into our own error."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

    try:
        yield
    except (RedisError, OSError) as error:
        raise outage(f"{type(error).__name__}: {error}") from error


def outage(found: str) -> CacheUnavailableError:
    """The error of a Redis that does not answer."""
    return CacheUnavailableError(
        asked="the hot cache in Redis",
        found=found,
        allowed="a Redis of version 6.2 or newer that answers in time",
        action="check REDIS_URL and the server; meanwhile everything is answered from ClickHouse, only slower",
    )
