"""The hot cache for an event loop: reads of many requests go to Redis as one pipeline.

Belongs here: the client that does not block. Does not belong here: commands (`cache.commands`), writing (`cache.hot`).
"""

import asyncio
import time
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry

from label_assets.cache.commands import Call, Commands
from label_assets.cache.hot import END_OF_TIME, connection_options, found_rows, named_outage, outage
from label_assets.cache.record import Rows, decode
from label_assets.cache.sections import Section
from label_assets.errors import CacheUnavailableError
from label_assets.settings import Settings

PAUSE_S = 1.0
"""After an outage Redis is not asked for so long: each attempt may take as long as its timeout."""


class AsyncHotCache:
    """Reads of one deployment's cache. For one event loop. Opens nothing before its first use.

    Every method raises CacheUnavailableError where Redis does not answer.
    """

    def __init__(self, settings: Settings, url: str) -> None:
        """Keep where Redis is."""
        self._settings = settings
        self.commands = Commands(settings)
        self._url = url
        self._redis: Any = self._client()
        self._waiting: list[tuple[tuple[Any, ...], asyncio.Future[Any]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._down_until = 0.0
        self._outage = ""

    def _client(self) -> Any:
        options = connection_options(self._settings)
        return Redis.from_url(self._url, retry=Retry(options.pop("backoff"), 1), **options)

    async def move_to(self, url: str) -> None:
        """As `HotCache.move_to`."""
        if url != self._url:
            before, self._url = self._redis, url
            self._redis = self._client()
            await before.aclose()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def range(self, section: Section, start_ts: int, end_ts: int, most: int) -> Rows | None:
        """Rows that open in [start, end), oldest first; None where the cache does not hold all of them."""
        return found_rows(await self._call(self.commands.read_range(section, start_ts, end_ts, most)))

    async def latest(self, section: Section, count: int = 1, before_ts: int = END_OF_TIME) -> Rows | None:
        """The newest rows that open before a time, newest first; None where the cache does not hold all of them."""
        return found_rows(await self._call(self.commands.read_latest(section, count, before_ts)))

    async def row(self, section: Section, epoch: int) -> Rows | None:
        """The row that opens at a time; None where the cache does not hold it."""
        value = await self._run(("GET", self.commands.row_key(section, epoch)))
        return None if value is None else decode([value])

    async def _call(self, call: Call) -> Any:
        return await self._run(call.command)

    async def _run(self, command: tuple[Any, ...]) -> Any:
        """Send a command with all others that are asked for until the loop comes around."""
        if self._outage and time.monotonic() < self._down_until:
            raise outage(self._outage)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((command, answer))
        return await answer

    def _begin(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._send(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, batch: list[tuple[tuple[Any, ...], asyncio.Future[Any]]]) -> None:
        try:
            with named_outage():
                if len(batch) == 1:
                    answers: list[Any] = [await self._redis.execute_command(*batch[0][0])]
                else:
                    pipeline = self._redis.pipeline(transaction=False)
                    for command, _ in batch:
                        pipeline.execute_command(*command)
                    answers = await pipeline.execute()
        except CacheUnavailableError as error:
            self._outage, self._down_until = error.found, time.monotonic() + PAUSE_S
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(outage(error.found))
            return
        self._outage = ""
        for (_, answer), value in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(value)
