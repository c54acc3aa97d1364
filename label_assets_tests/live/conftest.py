"""Settings of a live engine: the session's ClickHouse, a Redis for the queue and one for the cache of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from label_assets.settings import Settings
from label_assets.warehouse.embedded import redis

FAST = {"flush_s": 0.1, "lease_s": 2.0, "statistics_s": 0.0, "recheck_s": 0.5}


@pytest.fixture
def live_settings(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    made: list[Settings] = []

    def make(**overrides: Any) -> Settings:
        defaults = {
            "instruments": ["EURUSD"],
            "granularities": ["H1", "D"],
            "first_month": "2024-01",
            "source": "landing",
            "landing_folder": tmp_path / "landing",
            "live": FAST,
        }
        made.append(make_settings(**(defaults | overrides)))
        return made[-1]

    yield make
    for settings in made:
        redis.stop(settings.home)
        redis.stop(settings.home, redis.QUEUE)
