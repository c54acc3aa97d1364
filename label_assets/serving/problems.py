"""Every error of the API as an RFC 9457 problem: what was asked, found, allowed, what to do next.

Belongs here: which error has which status, and the document. Does not belong here: what makes an error.
"""

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from label_assets.errors import (
    CacheUnavailableError,
    CatalogError,
    LabelAssetsError,
    RequestError,
    SettingsError,
    WarehouseError,
)

LOG = logging.getLogger("label_assets.serving")
MEDIA_TYPE = "application/problem+json"
INTERNAL = "internal-error"

KINDS: dict[str, tuple[int, str]] = {
    "untrusted-host": (400, "The request is addressed to another host"),
    "unreadable-request": (400, "The request cannot be read"),
    "key-needed": (401, "An API key is needed"),
    "unknown-address": (404, "There is no such address"),
    "unknown-instrument": (404, "There is no such instrument"),
    "unknown-granularity": (404, "There is no such granularity"),
    "unknown-candle": (404, "There is no such candle"),
    "method-not-allowed": (405, "The address takes other methods"),
    "timeout": (408, "It took too long"),
    "body-too-large": (413, "The request is too large"),
    "invalid-request": (422, "A parameter cannot be used"),
    "too-many-requests": (429, "Too many requests"),
    INTERNAL: (500, "A fault of ours"),
    "warehouse-unavailable": (503, "ClickHouse does not answer as it should"),
    "cache-unavailable": (503, "The hot cache does not answer"),
    "overloaded": (503, "Too much is being asked at once"),
}
"""Status and title of each kind of problem."""

_OF_ERRORS: tuple[tuple[type[LabelAssetsError], str], ...] = (
    (WarehouseError, "warehouse-unavailable"),
    (CacheUnavailableError, "cache-unavailable"),
    (CatalogError, "invalid-request"),
    (SettingsError, "invalid-request"),
)
_OF_STATUS = {404: "unknown-address", 405: "method-not-allowed", 400: "unreadable-request"}
_RETRY_AFTER_S = {"overloaded": "1", "warehouse-unavailable": "2", "cache-unavailable": "2", "too-many-requests": "10"}
_LONGEST_QUOTE = 200

MEMBERS = ("type", "title", "status", "detail", "instance", "asked", "found", "allowed", "next")
"""What every problem says."""


def problem(error: LabelAssetsError, kind: str, path: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that failed."""
    status, title = KINDS[kind]
    where = (f"urn:label-assets:problem:{kind}", title, status, str(error), path[:_LONGEST_QUOTE])
    document = dict(zip(MEMBERS, (*where, error.asked, error.found, error.allowed, error.action), strict=True))
    added = dict(headers or {})
    if kind in _RETRY_AFTER_S:
        added.setdefault("Retry-After", _RETRY_AFTER_S[kind])
    if kind == "key-needed":
        added["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(document), status, added, MEDIA_TYPE)


def kind_of(error: LabelAssetsError) -> str:
    """Kind of an error of ours."""
    if isinstance(error, RequestError):
        return error.kind
    return next((kind for cls, kind in _OF_ERRORS if isinstance(error, cls)), INTERNAL)


def quoted(value: Any) -> str:
    """What a client sent, short enough to repeat."""
    return shortened(repr(value))


def shortened(text: str) -> str:
    """The beginning of a text."""
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}… ({len(text)} characters)"


def validation_error(request: Request, error: RequestValidationError) -> RequestError:
    """Our own error of one that FastAPI found."""
    found = [
        f"{shortened('.'.join(map(str, each['loc'][1:])) or str(each['loc'][0]))}: {each['msg']} "
        f"(found {quoted(each.get('input'))})"
        for each in error.errors()[:5]
    ]
    return RequestError(
        kind="invalid-request",
        asked=f"{request.method} {quoted(request.url.path)}",
        found="; ".join(found),
        allowed="what /openapi.json says of this address",
        action="mend the parameter that is named and ask again",
    )


def install(app: FastAPI) -> None:
    """Let every error of an application end as a problem."""

    @app.exception_handler(LabelAssetsError)
    async def _ours(request: Request, error: LabelAssetsError) -> Response:
        return answer(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        return answer(validation_error(request, error), request.url.path)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        kind = _OF_STATUS.get(error.status_code, "unreadable-request")
        refused = RequestError(
            kind=kind,
            asked=f"{quoted(request.method)} {quoted(request.url.path)}",
            found=str(error.detail),
            allowed="the addresses and methods of /openapi.json",
            action="check the address and the method",
        )
        return problem(refused, kind, request.url.path, error.headers)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        return answer(unexpected(request.url.path, error), request.url.path)


def answer(error: LabelAssetsError, path: str) -> Response:
    """The problem of an error of ours; faults of ours are logged and not described."""
    kind = kind_of(error)
    if isinstance(error, RequestError):
        return problem(error, kind, path)
    if KINDS[kind][0] == 500:
        return problem(unexpected(path, error), kind, path)
    if KINDS[kind][0] == 503:
        return problem(_outage(kind, path), kind, path)
    return problem(error, kind, path)


def _outage(kind: str, path: str) -> RequestError:
    """What is told of a server behind this one: not its address, nor what it said. The log has both."""
    return RequestError(
        kind=kind,
        asked=quoted(path),
        found=KINDS[kind][1],
        allowed="the same request, once it answers again",
        action="ask again in some seconds; /v1/ready says when it answers",
    )


def unexpected(path: str, error: Exception) -> RequestError:
    """What is told of an error that nobody foresaw; the log has the rest."""
    LOG.error("no answer to %s", quoted(path), exc_info=error)
    return RequestError(
        kind=INTERNAL,
        asked=quoted(path),
        found="an error that nobody foresaw",
        allowed="none of these",
        action="report it with the time; the log of the server says more",
    )
