"""The check class_balance_is_stable: classes of labels, month by month, against the year before.

It belongs to `label_statistics`, which holds the counts: labels are not read again.

Belongs here: what the check shows. Does not belong here: the index and its limits (`compute.drift`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from label_assets.assets.findings import checked, placed
from label_assets.assets.partitions import MONTH_FORMAT, MonthRun, month_runs, month_start, partition_key
from label_assets.catalog.granularities import DAY_S
from label_assets.compute.drift import CLASS_STATISTICS, MAJOR_PSI, MODERATE_PSI, ClassDrift, DriftReport, class_drifts
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

MOST_SHOWN = 20
LONGEST_YEAR_S = 366 * DAY_S

STABLE = dg.AssetCheckSpec(
    "class_balance_is_stable",
    asset="label_statistics",
    description=(
        "The population stability index of every class label's shares in complete rows, each month against the year "
        f"before, is at most {MAJOR_PSI}, or what chance explains where a month has few rows."
    ),
)

_COLUMNS = [
    dg.TableColumn(name, kind)
    for name, kind in (
        ("where", "string"),
        ("month", "string"),
        ("label", "string"),
        ("psi", "float"),
        ("limit", "float"),
        ("rows", "int"),
        ("reference_rows", "int"),
    )
]


def drift_report(warehouse: Warehouse, months: MonthRun) -> DriftReport:
    """Drifts of the months of a run, from `label_statistics_monthly`."""
    before = datetime.fromtimestamp(months.start_ts - LONGEST_YEAR_S, UTC).strftime(MONTH_FORMAT)
    scope = Scope(months.instrument_id, month_start(before), months.end_ts)
    return class_drifts(warehouse.read(CLASS_STATISTICS, scope), months.start_ts)


def _month(drift: ClassDrift) -> str:
    return datetime.fromtimestamp(drift.ts, UTC).strftime(MONTH_FORMAT)


def _table(found: Sequence[tuple[str, ClassDrift]]) -> dg.TableMetadataValue:
    """The highest indices, highest first."""
    highest = sorted(found, key=lambda item: -item[1].psi)[:MOST_SHOWN]
    records = [
        dg.TableRecord(
            {
                "where": f"{name} {drift.granularity} {drift.horizon}",
                "month": _month(drift),
                "label": drift.label,
                "psi": round(drift.psi, 4),
                "limit": round(drift.limit, 4),
                "rows": drift.rows,
                "reference_rows": drift.reference_rows,
            }
        )
        for name, drift in highest
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(_COLUMNS))


def drift_result(reports: Sequence[tuple[MonthRun, DriftReport]]) -> dg.AssetCheckResult:
    """Result of class_balance_is_stable from the drifts of each run of months."""
    compared = [(months.instrument_id, drift) for months, report in reports for drift in report.drifts]
    major = [(name, drift) for name, drift in compared if drift.is_major]
    moderate = [(name, drift) for name, drift in compared if drift.psi > MODERATE_PSI and not drift.is_major]
    by_partition = Counter(partition_key(name, _month(drift)) for name, drift in major)
    where = Counter(f"{name} {drift.granularity} {drift.horizon} {drift.label}" for name, drift in major)
    return dg.AssetCheckResult(
        asset_key=STABLE.asset_key,
        check_name=STABLE.name,
        passed=not major,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "checked": checked(months for months, _ in reports),
            "comparisons": len(compared),
            "too_few_rows": sum(report.too_thin for _, report in reports),
            f"psi_above_{MODERATE_PSI}": len(moderate),
            "highest_psi": round(max((drift.psi for _, drift in compared), default=0.0), 4),
            **placed(by_partition, where),
            **({"drifts": _table(major)} if major else {}),
        },
    )


def drift_check() -> dg.AssetChecksDefinition:
    """The check class_balance_is_stable: a warning, because markets do change."""

    @dg.multi_asset_check(name="drift_check", specs=[STABLE])
    def check(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        runs = month_runs(context.partition_keys)
        yield drift_result([(months, drift_report(warehouse, months)) for months in runs])

    return check
