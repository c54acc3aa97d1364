"""The last evaluation, where other processes find it: in the Redis of the hot cache.

Belongs here: writing and reading it back. Does not belong here: making it (`monitoring.monitor`).
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from label_assets.cache.hot import HotCache, open_cache
from label_assets.settings import Settings


@dataclass(frozen=True)
class Evaluation:
    """What was found in one window.

    Attributes:
        at_s: End of the window [epoch s].
        interval_s: Pause between two evaluations [s].
        figures: By name and what it is of, values of those that were judged.
        violations: What is missed, as `Violation` has it, with its `text`.
    """

    at_s: float
    interval_s: float
    figures: dict[str, float] = field(default_factory=dict)
    violations: list[dict[str, Any]] = field(default_factory=list)


def record_key(settings: Settings) -> str:
    """Key of the last evaluation."""
    return f"{settings.live.prefix}:sla"


def write_evaluation(cache: HotCache, evaluation: Evaluation) -> None:
    """Leave an evaluation for others.

    Raises:
        CacheUnavailableError: Redis does not answer.
    """
    cache.run("SET", record_key(cache.settings), json.dumps(asdict(evaluation)))


def last_evaluation(settings: Settings) -> Evaluation | None:
    """The last evaluation that any monitor of this deployment left; None where there is none.

    Raises:
        CacheUnavailableError: Redis does not answer.
    """
    cache = open_cache(settings, start=False)
    if cache is None:
        return None
    try:
        text = cache.run("GET", record_key(settings))
    finally:
        cache.close()
    return None if text is None else Evaluation(**json.loads(text))
