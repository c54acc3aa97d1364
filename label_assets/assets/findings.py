"""What a check shows beyond its verdict: what was looked at, and where in the partitions its findings lie.

Belongs here: names and shapes of check metadata. Does not belong here: what is wrong (each check's own module).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg

from label_assets.assets.partitions import MonthRun, partition_key

MOST_SHOWN = 50
"""Places and partitions shown in a check's metadata: the worst ones. A page of them says what is wrong."""


class Findings(NamedTuple):
    """What one check found in one run of months.

    Attributes:
        months: The months.
        rows: Rows looked at.
        by_month: Violations by month `YYYY-MM`.
        where: The same violations by place: granularity, horizon, rule.
    """

    months: MonthRun
    rows: int
    by_month: Counter[str]
    where: Counter[str]


def counted(months: MonthRun, rows: int, counts: Mapping[str, Mapping[str, int]]) -> Findings:
    """Findings of a check from the violations of each month, by place."""
    found = Findings(months, rows, Counter(), Counter())
    for month, places in counts.items():
        found.by_month[month] += sum(places.values())
        found.where.update(places)
    return found


def result(spec: dg.AssetCheckSpec, found: Sequence[Findings], **notes: Any) -> dg.AssetCheckResult:
    """Result of a check whose violations are errors: one is enough to fail it.

    Args:
        spec: The check.
        found: What it found in each run of months.
        **notes: Further metadata.
    """
    by_partition: Counter[str] = Counter()
    where: Counter[str] = Counter()
    for months, _, by_month, places in found:
        by_partition.update({partition_key(months.instrument_id, month): n for month, n in by_month.items()})
        where.update({f"{months.instrument_id} {place}": n for place, n in places.items()})
    return dg.AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=not by_partition.total(),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "checked": checked(item.months for item in found),
            "rows_checked": sum(item.rows for item in found),
            **placed(by_partition, where),
            **notes,
        },
    )


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
