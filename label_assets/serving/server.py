"""`label-assets serve`: uvicorn with one worker or several.

Belongs here: how the server runs. Does not belong here: the application (`serving.app`).
"""

import os
import tempfile
from typing import Any

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from label_assets.serving.app import build_app
from label_assets.serving.keys import check_exposure
from label_assets.serving.metrics import MULTIPROCESS
from label_assets.serving.protocol import BoundedProtocol
from label_assets.settings import Settings

KEEP_ALIVE_S = 30
GRACE_S = 10

_OURS = {"label_assets": {"handlers": ["default"], "level": "INFO", "propagate": False}}


def run_server(settings: Settings) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Raises:
        SettingsError: it would be open to everybody.
    """
    check_exposure(settings.serve)
    options: dict[str, Any] = {
        "host": settings.serve.host,
        "port": settings.serve.port,
        "http": BoundedProtocol,
        "ws": "none",
        "timeout_keep_alive": KEEP_ALIVE_S,
        "timeout_graceful_shutdown": GRACE_S,
        "access_log": False,
        "server_header": False,
        "log_config": {**LOGGING_CONFIG, "loggers": {**LOGGING_CONFIG["loggers"], **_OURS}},
    }
    if settings.serve.workers == 1:
        uvicorn.run(build_app(settings), **options)
        return
    with tempfile.TemporaryDirectory(prefix="label_assets_metrics_") as folder:
        # Workers read the settings again: pass on what came from options of the command.
        os.environ[MULTIPROCESS] = folder
        os.environ["LABEL_ASSETS_SERVE__HOST"] = settings.serve.host
        os.environ["LABEL_ASSETS_SERVE__PORT"] = str(settings.serve.port)
        os.environ["LABEL_ASSETS_SERVE__WORKERS"] = str(settings.serve.workers)
        uvicorn.run("label_assets.serving.app:create_app", factory=True, workers=settings.serve.workers, **options)
