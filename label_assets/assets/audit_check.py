"""The check look_ahead_audit: sampled labels, recomputed from raw candles without their future.

Belongs here: which rows are drawn, what the check shows. Does not belong here: recomputing (`compute.audit`).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from label_assets.assets.findings import checked, worst
from label_assets.assets.partitions import MONTH_FORMAT, MonthRun, month_runs, partition_key
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

if TYPE_CHECKING:
    from label_assets.compute.audit import Difference, RowKey

ROWS_EACH = 3
"""Rows audited of each granularity and horizon of a run of months."""

MOST_ROWS = 120
"""Rows audited by one check, whatever the run: about 40 ms a row."""

MOST_DIFFERENCES = 50

AUDIT = dg.AssetCheckSpec(
    "look_ahead_audit",
    asset="labels",
    blocking=True,
    description=(
        "Sampled rows come out to the bit from raw candles with every candle replaced that opens at or after their "
        "horizon end; what is known at entry, with every one replaced that opens at or after the entry."
    ),
)


def sampled_rows(warehouse: Warehouse, settings: Settings, runs: Sequence[MonthRun]) -> list["RowKey"]:
    """Rows that a run audits: the same each time for the same partitions and the same complete rows."""
    from label_assets.compute.audit import RowKey  # noqa: PLC0415 - numba: a second no other process needs

    drawn = []
    for months in runs:
        rows = warehouse.query(
            "read_sampled_labels",
            instrument=months.instrument_id,
            granularities=list(settings.granularities),
            horizons=list(settings.horizons),
            start=months.start_ts,
            end=months.end_ts,
            salt=f"{months.instrument_id} {months.first_month} {months.last_month}",
            each=ROWS_EACH,
        ).to_pylist()
        drawn += [
            (row["draw"], RowKey(months.instrument_id, row["granularity"], row["horizon"], row["ts"])) for row in rows
        ]
    return [key for _, key in sorted(drawn)[:MOST_ROWS]]


def _partition(key: "RowKey") -> str:
    return partition_key(key.instrument_id, datetime.fromtimestamp(key.ts, UTC).strftime(MONTH_FORMAT))


def _shown(difference: "Difference") -> dict[str, str]:
    key = difference.key
    return {
        "row": f"{key.instrument_id} {key.granularity} {key.horizon} {datetime.fromtimestamp(key.ts, UTC):%F %H:%M}",
        "column": difference.column or "the row is gone",
        "stored": str(difference.stored),
        "recomputed": str(difference.recomputed),
        "cause": "looks ahead" if difference.looks_ahead else "not what the raw candles give",
    }


def audit_result(
    runs: Sequence[MonthRun], keys: Sequence["RowKey"], differences: Sequence["Difference"]
) -> dg.AssetCheckResult:
    """Result of look_ahead_audit from the differences that were found in the audited rows."""
    ahead = {difference.column for difference in differences if difference.looks_ahead}
    bad = {difference.key for difference in differences}
    description = None
    if ahead:
        description = f"The future enters {', '.join(sorted(ahead))}: do not train on them; mend the computation."
    elif bad:
        description = "Stored rows are not what raw candles give: materialize from candles to labels again."
    table = dg.MetadataValue.table(
        [dg.TableRecord(dict(_shown(item))) for item in differences[:MOST_DIFFERENCES]],
        dg.TableSchema([dg.TableColumn(name) for name in ("row", "column", "stored", "recomputed", "cause")]),
    )
    return dg.AssetCheckResult(
        asset_key=AUDIT.asset_key,
        check_name=AUDIT.name,
        passed=not differences,
        severity=dg.AssetCheckSeverity.ERROR,
        description=description,
        metadata={
            "checked": checked(runs),
            "rows_audited": len(keys),
            "rows_differing": len(bad),
            "audited_by_partition": worst(Counter(_partition(key) for key in keys)),
            **({"by_partition": worst(Counter(_partition(key) for key in bad)), "differences": table} if bad else {}),
        },
    )


def audit_check(settings: Settings) -> dg.AssetChecksDefinition:
    """The check look_ahead_audit; it blocks, for labels that know the future are wrong."""

    @dg.multi_asset_check(name="look_ahead_audit", specs=[AUDIT])
    def check(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        calendar: dg.ResourceParam[SessionCalendar],
    ) -> Iterator[Any]:
        from label_assets.compute.audit import audit_rows  # noqa: PLC0415 - see sampled_rows

        runs = month_runs(context.partition_keys)
        keys = sampled_rows(warehouse, settings, runs)
        yield audit_result(runs, keys, audit_rows(warehouse, calendar, settings, keys))

    return check
