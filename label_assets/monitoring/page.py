"""Pages of metrics as `label-assets serve` and `label-assets live` show them.

Belongs here: getting and reading one. Does not belong here: what the numbers mean (`monitoring.figures`).
"""

import math
import time
from collections.abc import Mapping
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 5.0
MOST_BYTES = 16 * 2**20

Labels = tuple[tuple[str, str], ...]
"""Labels of a sample with their values, in the order of their names."""

_OPENER = build_opener(ProxyHandler({}))  # targets are neighbours


class Page(NamedTuple):
    """What one target showed at one time.

    Attributes:
        read_s: When it was asked [epoch s].
        samples: Values by name of the sample and labels; empty where there is none.
        problem: Why there is none; "" where there is one.
    """

    read_s: float
    samples: Mapping[str, Mapping[Labels, float]]
    problem: str = ""


def read_page(url: str, timeout_s: float = TIMEOUT_S) -> Page:
    """Ask a target; one that does not answer gives a page with a problem."""
    now = time.time()
    try:
        with _OPENER.open(url, timeout=timeout_s) as answer:
            text = answer.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            return Page(now, {}, f"more than {MOST_BYTES} bytes")
        return Page(now, parsed(text.decode()))
    except HTTPError as error:
        with error:
            return Page(now, {}, f"HTTP status {error.code}")
    except (OSError, HTTPException) as error:
        cause = getattr(error, "reason", error)
        return Page(now, {}, f"{type(cause).__name__}: {cause}")
    except ValueError as error:  # no text, no metrics, or an address that nobody can open
        return Page(now, {}, f"no page of metrics: {error}"[:200])


def parsed(text: str) -> dict[str, dict[Labels, float]]:
    """Samples of Prometheus' text format.

    Raises:
        ValueError: for text that is none.
    """
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if math.isfinite(sample.value):
                found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found
