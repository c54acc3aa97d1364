"""What the parts of one worker share.

Belongs here: what is made once and handed to all. Does not belong here: connections of one part (`live.storing`).
"""

import threading
from typing import NamedTuple

from label_assets.cache.hot import HotCache
from label_assets.live.metrics import LiveMetrics
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings


class Shared(NamedTuple):
    """Made by the worker, used by hot path and store.

    Attributes:
        settings: The settings.
        calendar: Trading session.
        cache: The hot cache; None for none.
        label_version: Version to write into rows of `labels`.
        metrics: Where to count.
        idle: Set while the hot path has no entries: what can wait lets those that come pass.
    """

    settings: Settings
    calendar: SessionCalendar
    cache: HotCache | None
    label_version: str
    metrics: LiveMetrics
    idle: threading.Event
