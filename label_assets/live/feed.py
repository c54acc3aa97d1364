"""Replays candles of the configured source into the streams, at a chosen speed.

It may be repeated and goes on after an outage of Redis: candles that are known with the same values change nothing.

Belongs here: order and pace. Does not belong here: where candles come from (`sources`), what a stream's entry is
(`live.candle_stream`).
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from label_assets.errors import LiveError, SourceEmptyError
from label_assets.kernels.arrays import Candles
from label_assets.live.candle_stream import entry_fields, named_outage, open_queue, stream_key
from label_assets.settings import Settings
from label_assets.sources.batch import Source

if TYPE_CHECKING:
    from redis import Redis

LOG = logging.getLogger("label_assets.live")

BATCH = 500

REPEATED_S = 3.0
"""What was sent so long before an outage is sent again: Redis writes it to disk within two seconds [s]."""

PATIENCE_S = 60.0
"""Longest wait for Redis to come back [s]."""

_PAUSE_S = 0.2


class Fed(NamedTuple):
    """What was sent.

    Attributes:
        candles: Number of candles.
        seconds: How long it took [s].
    """

    candles: int
    seconds: float


def feed(
    settings: Settings,
    source: Source,
    instruments: Sequence[str],
    time_range: tuple[int, int],
    *,
    candles_per_second: float = 0.0,
    speed: float = 0.0,
    pause: Callable[[float], None] = time.sleep,
) -> Fed:
    """Send candles in the order in which they close, those of one time in the order of the instruments.

    Args:
        settings: The settings.
        source: Where candles come from.
        instruments: Names of the instruments.
        time_range: First open time and end of the open times [epoch s].
        candles_per_second: At most so many; 0 for as fast as Redis takes them.
        speed: So many seconds of the market in one second; 0 for no regard to the market's time.
        pause: Waits [s].

    Raises:
        SourceEmptyError: there are no candles.
        SourceError: as `Source.read`.
        LiveError: Redis does not answer, or is away for longer than `PATIENCE_S`.
    """
    base, now_ts = settings.base_granularity, int(time.time())
    found = [source.read(name, base, *time_range, now_ts).candles for name in instruments]
    if not any(len(candles.ts) for candles in found):
        raise SourceEmptyError(
            asked=f"{base} candles of {', '.join(instruments)} to replay",
            found=f"none in {source.describe()} for these times",
            allowed="a range of time with finished candles",
            action="name other dates or instruments; `label-assets sources` tells what there is",
        )
    sender = _Sender(settings)
    started = time.monotonic()
    sent, first_close = 0, min(int(candles.close_ts[0]) for candles in found if len(candles.ts))
    order = _in_order_of_closing(found)
    while batch := list(islice(order, 1 if candles_per_second or speed else BATCH)):
        due_s = sent / candles_per_second if candles_per_second else 0.0
        if speed:
            number, index = batch[0]
            due_s = max(due_s, (int(found[number].close_ts[index]) - first_close) / speed)
        wait_s = started + due_s - time.monotonic()
        if wait_s > 0:
            pause(wait_s)
        sender.send(
            [(stream_key(settings, instruments[number]), entry_fields(found[number], index)) for number, index in batch]
        )
        sent += len(batch)
    sender.close()
    return Fed(sent, time.monotonic() - started)


class _Sender:
    """Sends entries, each as often as it takes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue: Redis = open_queue(settings)
        self._recent: deque[tuple[float, _Entries]] = deque()

    def send(self, entries: "_Entries") -> None:
        """Send entries after all that were sent before."""
        now = time.monotonic()
        while self._recent and self._recent[0][0] < now - REPEATED_S:
            self._recent.popleft()
        self._recent.append((now, entries))
        try:
            self._add(entries)
        except LiveError as error:
            LOG.warning("Redis takes no candles, waiting: %s", error.found)
            self._send_again(now + PATIENCE_S)

    def close(self) -> None:
        self._queue.close()

    def _send_again(self, until: float) -> None:
        """Send what is recent once more, as soon as Redis is back."""
        recent = [entry for _, entries in self._recent for entry in entries]
        while True:
            try:
                self._queue = open_queue(self._settings)
                self._add(recent)
                LOG.warning("Redis takes candles again: %d were sent once more", len(recent))
                return
            except LiveError:
                if time.monotonic() > until:
                    raise
            time.sleep(_PAUSE_S)

    def _add(self, entries: "_Entries") -> None:
        pipeline: Any = self._queue.pipeline(transaction=False)
        for key, fields in entries:
            pipeline.xadd(key, fields)
        with named_outage():
            pipeline.execute()


_Entries = Sequence[tuple[str, dict[str, str]]]


def _in_order_of_closing(found: Sequence[Candles]) -> Iterator[tuple[int, int]]:
    """Number of the instrument and index of its candle, by close time, then instrument."""
    close_ts = np.concatenate([candles.close_ts for candles in found])
    number = np.repeat(np.arange(len(found)), [len(candles.ts) for candles in found])
    index = np.concatenate([np.arange(len(candles.ts)) for candles in found])
    for row in np.lexsort((number, close_ts)).tolist():
        yield int(number[row]), int(index[row])
