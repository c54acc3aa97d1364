"""What stands before every request: trusted hosts, API keys, rates, sizes, times, metrics.

Belongs here: what is decided without knowing what is asked. Does not belong here: parameters (`serving.parameters`).
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from label_assets.errors import RequestError
from label_assets.serving.keys import is_loopback, owner
from label_assets.serving.metrics import ServingMetrics
from label_assets.serving.problems import answer, quoted, unexpected
from label_assets.serving.store import ClientGoneError, client_gone
from label_assets.settings import ServeSettings

OPEN_PATHS = frozenset({"/", "/v1/health", "/v1/ready", "/metrics"})
"""Answered without a key: probes, scrapers and browsers that open a page have none, and none of these shows a label."""

EXPLORER_FILES = "/explorer/"
"""What the addresses of the page's own files begin with; they are as open as the page. No data is below it."""

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
CLIENT_GONE = 499
"""What is counted as the status of a request whose client left, as nginx does."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SLICE_BYTES = 262_144
"""Larger answers go out in slices, so that a client that takes some is told from one that takes nothing."""


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: ServingMetrics) -> None:
        """Wrap an application."""
        self._app = app
        self._settings = settings
        self._metrics = metrics
        hosts = settings.trusted_hosts or (LOOPBACK_HOSTS if is_loopback(settings.host) else ("*",))
        self._is_trusted = _host_check(hosts)
        self._limit = RateLimitItemPerMinute(settings.requests_per_minute) if settings.requests_per_minute else None
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def timed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Process-Time"] = f"{time.perf_counter() - started:.6f}"
                headers["X-Content-Type-Options"] = "nosniff"
            await _send(message, send)

        try:
            self._admit(scope)
            body = await self._body(scope, receive)
        except RequestError as error:
            await answer(error, scope["path"])(scope, receive, timed)
        else:
            client_gone.set(partial(_gone, body))
            try:
                await self._app(scope, body, timed)
            except ClientGoneError:
                status = CLIENT_GONE
            except Exception as error:
                if status:
                    raise
                await answer(unexpected(scope["path"], error), scope["path"])(scope, receive, timed)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _admit(self, scope: Scope) -> None:
        """Refuse a request by what its first line and headers say."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_trusted(host):
            raise RequestError(
                kind="untrusted-host",
                asked=f"host {quoted(host)}",
                found="it is not one of this server's names",
                allowed="the names in the setting serve.trusted_hosts",
                action="use one of these names, or add this one to the setting",
            )
        client = scope["client"][0] if scope.get("client") else "unknown"
        is_open = scope["path"] in OPEN_PATHS or scope["path"].startswith(EXPLORER_FILES)
        if self._settings.api_keys and not is_open:
            client = self._owner(headers)
        if self._limit is not None and not self._limiter.hit(self._limit, client):
            window = self._limiter.get_window_stats(self._limit, client)
            raise RequestError(
                kind="too-many-requests",
                asked=quoted(scope["path"]),
                found=f"more than {self._limit.amount} requests of this client in a minute",
                allowed=f"{self._limit.amount} requests a minute",
                action=f"wait {max(1, round(window.reset_time - time.time()))} s and ask for more rows at once",
            )

    def _owner(self, headers: Headers) -> str:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        found = owner(self._settings.api_keys, key) if key else None
        if found is None:
            raise RequestError(
                kind="key-needed",
                asked="an address that needs an API key",
                found="a key that is not known" if key else "no key",
                allowed="the header `Authorization: Bearer KEY` or `X-API-Key: KEY` with a known key",
                action="send a key; whoever runs this server makes one with `label-assets api-key NAME`",
            )
        return f"key {found}"

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        """The whole request body, read here, where its size and the time it may take are bounded."""
        most = self._settings.request_bytes
        announced = Headers(scope=scope).get("content-length", "0")
        size = 0 if not announced.isdigit() else int(announced)
        messages: list[Message] = []
        more = size <= most and scope["method"] not in {"GET", "HEAD", "OPTIONS"}
        deadline = time.monotonic() + self._settings.send_timeout_s
        while more:
            try:
                message = await asyncio.wait_for(receive(), max(0.001, deadline - time.monotonic()))
            except TimeoutError:
                raise RequestError(
                    kind="timeout",
                    asked=quoted(scope["path"]),
                    found=f"a request body that was not there after {self._settings.send_timeout_s:g} s",
                    allowed="bodies that are sent at once",
                    action="send it faster",
                ) from None
            messages.append(message)
            size = sum(len(each.get("body", b"")) for each in messages)
            more = message["type"] == "http.request" and message.get("more_body", False) and size <= most
        if size > most:
            raise RequestError(
                kind="body-too-large",
                asked=quoted(scope["path"]),
                found=f"a body of {size} bytes or more",
                allowed=f"at most {most} bytes",
                action="send one candle at a time",
            )
        waiting = iter(messages)

        async def replayed() -> Message:
            return next(waiting, None) or await receive()

        return replayed if messages else receive


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(message: Message, send: Send) -> None:
    body = message.get("body", b"")
    if len(body) <= SLICE_BYTES:
        await send(message)
        return
    for start in range(0, len(body), SLICE_BYTES):
        more = message.get("more_body", False) or start + SLICE_BYTES < len(body)
        await send({"type": message["type"], "body": body[start : start + SLICE_BYTES], "more_body": more})


def _host_check(trusted: Iterable[str]) -> Callable[[str], bool]:
    names = {name.lower() for name in trusted}
    suffixes = tuple(name[1:] for name in names if name.startswith("*."))

    def is_trusted(host: str) -> bool:
        name = host.lower()
        if (not name.endswith("]") and name.count(":") <= 1) or "]:" in name:
            name = name.rpartition(":")[0] or name
        return "*" in names or name in names or (bool(suffixes) and name.endswith(suffixes))

    return is_trusted
