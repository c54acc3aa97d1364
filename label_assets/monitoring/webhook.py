"""Posts an alert to a webhook, and never lets its failure be that of the caller.

Belongs here: the request, attempts, what counts as delivered. Does not belong here: what an alert says
(`monitoring.alert` and who makes one).
"""

import json
import time
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from label_assets.settings import AlertSettings

PAUSES_S = (0.5, 1.0)
"""Pauses between attempts [s]; there is one attempt more than pauses."""

_TRY_LATER = {408, 425, 429}


class _NoRedirect(HTTPRedirectHandler):
    """A redirected POST would be repeated as a GET without a body, and its answer taken for delivery."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        return None


_OPENER = build_opener(_NoRedirect)


def post(settings: AlertSettings, body: Mapping[str, Any]) -> str:
    """Post JSON to the webhook of the settings, up to three times.

    Args:
        settings: With a webhook.
        body: What to post; `text` is what Slack and Mattermost show.

    Returns:
        "" once the other side has answered 2xx; otherwise why not, without the address, which is a secret.
    """
    if settings.webhook_url is None:
        return "no webhook is configured"
    url, data = settings.webhook_url.get_secret_value(), json.dumps(body).encode()
    reason = ""
    for pause in (*PAUSES_S, None):
        reason, again = _attempt(url, data, settings.timeout_s)
        if not reason or not again or pause is None:
            break
        time.sleep(pause)
    return reason


def _attempt(url: str, data: bytes, timeout_s: float) -> tuple[str, bool]:
    """Why it failed, "" if it did not; and whether another attempt may fare better."""
    try:
        request = Request(url, data, {"Content-Type": "application/json", "User-Agent": "label_assets"})
        with _OPENER.open(request, timeout=timeout_s):
            return "", False
    except HTTPError as error:
        with error:
            return f"HTTP status {error.code}", error.code >= 500 or error.code in _TRY_LATER
    except (OSError, HTTPException) as error:  # refused, reset, timed out, no such host, no HTTP
        cause = getattr(error, "reason", error)
        return type(cause).__name__ if isinstance(cause, Exception) else type(error).__name__, True
    except ValueError as error:  # an address that the settings' pattern lets through and nobody can open
        return type(error).__name__, False
