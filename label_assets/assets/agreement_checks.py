"""The checks no_overdue_open_rows, no_outdated_rows and columns_agree of labels.

Belongs here: what makes them fail and what they show. Does not belong here: rules and counting
(`warehouse.agreement`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from label_assets.assets.findings import Findings, placed, result
from label_assets.assets.partitions import month_runs, partition_key
from label_assets.catalog.families import LABELS
from label_assets.compute.versions import code_versions
from label_assets.settings import Settings
from label_assets.warehouse.agreement import (
    OverdueRows,
    count_disagreements,
    count_outdated_rows,
    count_overdue_open_rows,
)
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

OVERDUE = dg.AssetCheckSpec(
    "no_overdue_open_rows",
    asset="labels",
    description="No row of the run's instruments, whatever its month, is open although its horizon end has come.",
)
OUTDATED = dg.AssetCheckSpec(
    "no_outdated_rows",
    asset="labels",
    description="No row of the run's instruments, whatever its month, was made by other definitions or settings.",
)
AGREE = dg.AssetCheckSpec(
    "columns_agree",
    asset="labels",
    blocking=True,
    description="Columns of a row do not contradict each other: times, signs, bounds, counts, NULLs.",
)


def overdue_result(found: Mapping[str, OverdueRows]) -> dg.AssetCheckResult:
    """Result of no_overdue_open_rows from the overdue rows of each instrument.

    The rows are not wrong, but old: whoever trains on complete rows misses them. So nothing is blocked.
    """
    by_partition = {partition_key(name, month): n for name, rows in found.items() for month, n in rows.by_month.items()}
    where = {f"{name} {place}": n for name, rows in found.items() for place, n in rows.where.items()}
    late = {name: sorted(rows.by_month) for name, rows in found.items() if rows.by_month}
    todo = "; ".join(f"{name} {months[0]}..{months[-1]}" for name, months in sorted(late.items()))
    return dg.AssetCheckResult(
        asset_key=OVERDUE.asset_key,
        check_name=OVERDUE.name,
        passed=not late,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"Materialize path_windows and everything after it of {todo}." if late else None,
        metadata={"checked": f"all months of {', '.join(found)}", **placed(by_partition, where)}
        | ({"materialize": todo} if late else {}),
    )


def outdated_result(found: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dg.AssetCheckResult:
    """Result of no_outdated_rows from the outdated rows of each instrument, by month and version.

    A warning, because each row is right by the definitions that made it, and a backfill in several runs ends the state.
    """
    by_partition: Counter[str] = Counter()
    where: Counter[str] = Counter()
    for name, months in found.items():
        for month, versions in months.items():
            by_partition[partition_key(name, month)] = sum(versions.values())
            where.update({f"{name} {version}": rows for version, rows in versions.items()})
    todo = "; ".join(f"{name} {min(months)}..{max(months)}" for name, months in sorted(found.items()) if months)
    return dg.AssetCheckResult(
        asset_key=OUTDATED.asset_key,
        check_name=OUTDATED.name,
        passed=not by_partition,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Materialize the assets with a new code version, up to labels, of {todo}." if todo else None,
        metadata={"checked": f"all months of {', '.join(found)}", **placed(by_partition, where)}
        | ({"materialize": todo} if todo else {}),
    )


def agreement_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """The checks no_overdue_open_rows, no_outdated_rows and columns_agree."""
    label_version = code_versions(settings)[LABELS.name]

    @dg.multi_asset_check(name="agreement_checks", specs=[OVERDUE, OUTDATED, AGREE])
    def check(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        runs = month_runs(context.partition_keys)
        names = sorted({months.instrument_id for months in runs})
        yield overdue_result({name: count_overdue_open_rows(warehouse, name, settings) for name in names})
        yield outdated_result({name: count_outdated_rows(warehouse, name, label_version) for name in names})
        scopes = [(months, Scope(months.instrument_id, months.start_ts, months.end_ts)) for months in runs]
        yield result(
            AGREE, [Findings(months, *count_disagreements(warehouse, scope, settings)) for months, scope in scopes]
        )

    return check
