"""The application: addresses, what stands before them, what opens and closes with it.

Belongs here: putting together. Does not belong here: everything else. Pages for a browser are one more router in
`ROUTERS`; their paths join `guard.OPEN_PATHS` if they are to be seen without a key.
"""

import gc
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from label_assets.serving import problems
from label_assets.serving.documents import PROBLEMS, name_keys
from label_assets.serving.formats import GZIP_LEVEL
from label_assets.serving.guard import OPEN_PATHS, Guard
from label_assets.serving.keys import check_exposure
from label_assets.serving.metrics import ServingMetrics
from label_assets.serving.protocol import SEND_TIMEOUT_S
from label_assets.serving.routes import explorer, labels, market, service, summaries
from label_assets.serving.services import Services
from label_assets.settings import Settings, load_settings

SWITCH_S = 0.0005
"""A thread that makes a long page would otherwise hold the interpreter for 5 ms while a short request waits."""

ROUTERS = (labels.router, market.router, summaries.router, service.router, explorer.router)
"""`/v1/labels/compute` comes before what takes any granularity: routes are tried in order."""


class _Application(FastAPI):
    """An application whose document says how keys are sent, where it needs one."""

    needs_key = False

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new and self.needs_key:
            name_keys(document, OPEN_PATHS)
        return document


def build_app(settings: Settings) -> FastAPI:
    """An application for some settings. Opens nothing until it is started.

    Raises:
        SettingsError: it would be open to everybody.
    """
    check_exposure(settings.serve)
    metrics = ServingMetrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        sys.setswitchinterval(SWITCH_S)
        app.state.services = Services(settings, metrics)
        async with app.state.services.opened():
            gc.freeze()  # what lives as long as the server need not be looked through while a request waits
            yield {SEND_TIMEOUT_S: settings.serve.send_timeout_s}

    app = _Application(
        title="label_assets",
        description="Forward-looking labels of market candles. Every error is a problem (RFC 9457).",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        responses=PROBLEMS,
    )
    app.needs_key = bool(settings.serve.api_keys)
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(GZipMiddleware, minimum_size=settings.serve.gzip_bytes, compresslevel=GZIP_LEVEL)
    app.add_middleware(Guard, settings=settings.serve, metrics=metrics)
    if settings.serve.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.serve.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type", "If-None-Match"],
            expose_headers=["ETag", "Link", "X-Process-Time", "X-Source"],
        )
    return app


def create_app() -> FastAPI:
    """The application for the settings of the environment; what workers load."""
    return build_app(load_settings())
