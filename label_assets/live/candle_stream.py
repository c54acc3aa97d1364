"""Candles as entries of Redis streams: one stream an instrument, one entry a finished base candle.

Belongs here: keys, fields, opening the queue. Does not belong here: which entries become candles (`live.intake`), who
reads them (`live.worker`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from label_assets.errors import LiveError
from label_assets.kernels.arrays import Candles
from label_assets.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

GROUP = "live"
"""Consumer group of the live engine. What is acknowledged in it is in ClickHouse."""

FIELDS = ("ts", "open", "high", "low", "close", "volume")
"""Fields of an entry: open time [epoch s], prices, volume; numbers as text. A volume that is absent is 0."""


class Entry(NamedTuple):
    """One entry of a stream.

    Attributes:
        instrument_id: The instrument, from the key of the stream.
        entry_id: What Redis calls it, "milliseconds-number".
        fields: Its fields as they stand.
    """

    instrument_id: str
    entry_id: str
    fields: Mapping[bytes, bytes]


def stream_key(settings: Settings, instrument_id: str) -> str:
    """Key of an instrument's stream."""
    return f"{settings.live.prefix}:candles:{instrument_id}"


def entry_fields(candles: Candles, index: int) -> dict[str, str]:
    """Fields of the entry of one candle; `repr` of a float is read back to the same bits."""
    numbers = (getattr(candles, name)[index].item() for name in FIELDS)
    return {name: repr(number) for name, number in zip(FIELDS, numbers, strict=True)}


def entries_of(instrument_id: str, answer: list[tuple[bytes, Mapping[bytes, bytes] | None]]) -> Iterator[Entry]:
    """Entries of Redis' answer; one that was trimmed while it was pending has no fields and is left out."""
    return (Entry(instrument_id, entry_id.decode(), fields) for entry_id, fields in answer if fields is not None)


def queue_url(settings: Settings) -> str:
    """Address of the Redis that holds the streams, starting the embedded one where none is configured.

    Raises:
        EmbeddedServerError: if the embedded server does not start.
    """
    if settings.live.queue_url is not None:
        return settings.live.queue_url.get_secret_value()
    if settings.redis_url is not None:
        return settings.redis_url
    from label_assets.warehouse.embedded import redis  # noqa: PLC0415 - only where it is used

    return redis.ensure_running(settings.home, redis.QUEUE)


def open_queue(settings: Settings) -> "Redis":
    """A connection to the Redis that holds the streams.

    Raises:
        LiveError: the address cannot be used or nobody answers there.
        EmbeddedServerError: if the embedded server does not start.
    """
    from redis import Redis, RedisError  # noqa: PLC0415 - a tenth of a second that `--help` need not pay

    try:
        queue: Redis = Redis.from_url(queue_url(settings), socket_timeout=10, socket_connect_timeout=5)
        queue.ping()
    except (RedisError, ValueError) as error:
        raise LiveError(
            asked="the Redis that holds the candle streams",
            found=type(error).__name__,
            allowed="a server of version 6.2 or newer that answers",
            action="check LABEL_ASSETS_LIVE__QUEUE_URL or REDIS_URL, or unset both to use the embedded server",
        ) from error
    return queue


@contextmanager
def named_outage() -> Iterator[None]:
    """Turn what Redis' client raises into our own error."""
    from redis import RedisError  # noqa: PLC0415

    try:
        yield
    except (RedisError, OSError) as error:
        raise LiveError(
            asked="the Redis that holds the candle streams",
            found=f"{type(error).__name__}: {error}",
            allowed="a server of version 6.2 or newer that answers",
            action="check LABEL_ASSETS_LIVE__QUEUE_URL or REDIS_URL; entries wait in their streams meanwhile",
        ) from error
