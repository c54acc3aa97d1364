"""What somebody should know, and telling it: to the log, and to a webhook if there is one.

Belongs here: the shape of an alert. Does not belong here: what is told and when (`assets.alerts`,
`monitoring.monitor`), posting (`monitoring.webhook`).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from label_assets.monitoring.webhook import post
from label_assets.settings import AlertSettings

_ERRORS = {"run_failed", "sla_critical"}


@dataclass(frozen=True)
class Alert:
    """What somebody should know.

    Attributes:
        kind: `run_failed`, `checks_failed`, `asset_overdue`, `sla_warning`, `sla_critical` or `sla_resolved`.
        title: One line.
        lines: What else there is to read.
        details: The same for programs.
    """

    kind: str
    title: str
    lines: tuple[str, ...]
    details: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Title and lines as Markdown that Slack and Mattermost show alike."""
        return "\n".join([self.title, *(f"• {line}" for line in self.lines)])

    def body(self) -> dict[str, Any]:
        """JSON of the webhook: `text` for chats, everything else for programs."""
        return {"text": self.text, "kind": self.kind, "title": self.title, **self.details}


def tell(alert: Alert, settings: AlertSettings, log: logging.Logger) -> None:
    """Log an alert, and post it if a webhook is configured. Never raises for a webhook that does not answer."""
    log.log(logging.ERROR if alert.kind in _ERRORS else logging.WARNING, alert.text)
    if settings.webhook_url is None:
        return
    reason = post(settings, alert.body())
    if reason:
        log.error(f"The webhook did not take the alert {alert.title!r}: {reason}. It is not posted again.")
