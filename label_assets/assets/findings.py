"""What a check shows beyond its verdict: what was looked at, and where in the partitions its findings lie.

Belongs here: names and shapes of check metadata. Does not belong here: what is wrong (each check's own module).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from label_assets.assets.partitions import MonthRun

MOST_SHOWN = 50
"""Places and partitions shown in a check's metadata: the worst ones. A page of them says what is wrong."""


def checked(runs: Iterable[MonthRun]) -> str:
    """Names of what a check looked at: instruments and months."""
    return ", ".join(f"{months.instrument_id} {months.first_month}..{months.last_month}" for months in runs)


def placed(by_partition: Mapping[str, int], where: Mapping[str, int]) -> dict[str, Any]:
    """Metadata of violations: their number, and the worst partitions and places.

    Args:
        by_partition: Violations by partition key.
        where: The same violations by place: instrument, granularity, horizon, rule.
    """
    found: dict[str, Any] = {"violations": sum(by_partition.values())}
    if found["violations"]:
        found["by_partition"] = worst(by_partition)
        found["where"] = worst(where)
    return found


def worst(counts: Mapping[str, int]) -> dict[str, int]:
    """The highest counts above 0, at most `MOST_SHOWN`, highest first."""
    return {name: count for name, count in Counter(counts).most_common(MOST_SHOWN) if count}
