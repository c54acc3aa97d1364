"""Asset label_statistics: the tables label_statistics (by day) and label_statistics_monthly."""

import time
from typing import Any

import dagster as dg
import numpy as np

from label_assets.assets.metadata import Written, column_schema, report
from label_assets.assets.partitions import BACKFILL_POLICY, MonthRun, month_runs
from label_assets.catalog.families import LABELS
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.compute.statistics import day_starts, month_starts, statistics_rows
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope


def write_statistics(warehouse: Warehouse, months: MonthRun) -> Written:
    """Count and sum the labels of a run of months and upsert both tables; counts are those of the daily one."""
    started = time.perf_counter()
    scope = Scope(months.instrument_id, months.start_ts, months.end_ts)
    labels = warehouse.read_written(LABELS, scope, exact=False)
    ts = labels["ts"].to_numpy().astype(np.int64)
    daily = statistics_rows(LABEL_STATISTICS, labels, day_starts(ts))
    monthly = statistics_rows(LABEL_STATISTICS_MONTHLY, labels, month_starts(ts))
    compute_ms = (time.perf_counter() - started) * 1e3
    result = warehouse.upsert(LABEL_STATISTICS, scope, daily)
    by_month = warehouse.upsert(LABEL_STATISTICS_MONTHLY, scope, monthly)
    extra = {"run_months": by_month.rows, "run_months_written": by_month.rows_written + by_month.rows_removed}
    day_ts = daily["ts"].to_numpy()
    return Written(months, result, day_ts, day_ts[:0], compute_ms, f"{labels.num_rows} labels", extra)


def statistics_asset(partitions_def: dg.PartitionsDefinition, versions: dict[str, str]) -> dg.AssetsDefinition:
    """The asset label_statistics."""

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=versions["label_statistics"],
        deps=["labels"],
        group_name="labels",
        kinds={"clickhouse"},
        description=LABEL_STATISTICS.sentence + " `label_statistics_monthly` adds deciles. For dashboards and drift.",
        metadata={"dagster/column_schema": column_schema(LABEL_STATISTICS), "dagster/table_name": "label_statistics"},
    )
    def label_statistics(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        for months in month_runs(context.partition_keys):
            report(context, write_statistics(warehouse, months))
        return dg.MaterializeResult()

    return label_statistics
