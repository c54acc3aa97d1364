"""Replays candles of the configured source into the streams, at a chosen speed.

Belongs here: order and pace. Does not belong here: where candles come from (`sources`), what a stream's entry is
(`live.candle_stream`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from label_assets.errors import SourceEmptyError
from label_assets.kernels.arrays import Candles
from label_assets.live.candle_stream import entry_fields, stream_key
from label_assets.settings import Settings
from label_assets.sources.batch import Source

BATCH = 500


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
    queue: Any,
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
        queue: Connection to the Redis of the streams.
        source: Where candles come from.
        instruments: Names of the instruments.
        time_range: First open time and end of the open times [epoch s].
        candles_per_second: At most so many; 0 for as fast as Redis takes them.
        speed: So many seconds of the market in one second; 0 for no regard to the market's time.
        pause: Waits [s].

    Raises:
        SourceEmptyError: there are no candles.
        SourceError: as `Source.read`.
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
        pipeline = queue.pipeline(transaction=False)
        for number, index in batch:
            pipeline.xadd(stream_key(settings, instruments[number]), entry_fields(found[number], index))
        pipeline.execute()
        sent += len(batch)
    return Fed(sent, time.monotonic() - started)


def _in_order_of_closing(found: Sequence[Candles]) -> Iterator[tuple[int, int]]:
    """Number of the instrument and index of its candle, by close time, then instrument."""
    close_ts = np.concatenate([candles.close_ts for candles in found])
    number = np.repeat(np.arange(len(found)), [len(candles.ts) for candles in found])
    index = np.concatenate([np.arange(len(candles.ts)) for candles in found])
    for row in np.lexsort((number, close_ts)).tolist():
        yield int(number[row]), int(index[row])
