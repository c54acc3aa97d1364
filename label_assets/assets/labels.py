"""Assets path_windows, one for each family of labels, and labels."""

import time
from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from label_assets.assets.metadata import OPEN, Written, column_schema, coverage_by_month, report
from label_assets.assets.partitions import BACKFILL_POLICY, MonthRun, forward_mapping, month_runs
from label_assets.assets.pictures import class_balance, levels_picture
from label_assets.assets.resources import now_ts
from label_assets.catalog.columns import Table
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.families.barriers import BARRIERS
from label_assets.catalog.tables import PATH_WINDOWS
from label_assets.compute.inputs import MarketReader
from label_assets.compute.labels import label_rows
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

FAMILY_DEPS = {
    "barriers": ["path_windows", "levels"],
    "level_touches": ["path_windows", "levels"],
    "level_breaks": ["path_windows", "levels"],
    "sample_weights": ["barriers"],
}
"""What a family is made from, where it is not path_windows alone."""


def write_computed(
    settings: Settings, warehouse: Warehouse, reader: MarketReader, table: Table, months: MonthRun
) -> Written:
    """Compute one table for a run of months, every configured granularity and horizon, and upsert it."""
    from label_assets.compute.families import compute_rows  # noqa: PLC0415 - numba: a second no other process needs

    started = time.perf_counter()
    slices = [
        reader.slice(months.instrument_id, granularity, months.start_ts, months.end_ts)
        for granularity in settings.granularities
    ]
    computed = [
        compute_rows(table, piece, horizon, settings.labels) for piece in slices for horizon in settings.horizons
    ]
    rows = pa.concat_tables([part.rows for part in computed])
    is_open = np.concatenate([part.is_open for part in computed])
    compute_ms = (time.perf_counter() - started) * 1e3
    result = warehouse.upsert(table, Scope(months.instrument_id, months.start_ts, months.end_ts), rows)
    ts = rows["ts"].to_numpy()
    read = f"{sum(len(piece.candles.ts) for piece in slices)} candles"
    monthly = coverage_by_month(months, rows) if table is PATH_WINDOWS else ()
    return Written(months, result, ts, ts[is_open], compute_ms, read, {}, monthly=monthly, unit="labels")


def write_labels(warehouse: Warehouse, label_version: str, months: MonthRun) -> Written:
    """Join path windows and families for a run of months and upsert the wide table."""
    started = time.perf_counter()
    scope = Scope(months.instrument_id, months.start_ts, months.end_ts)
    rows = label_rows(warehouse, scope, label_version, now_ts())
    compute_ms = (time.perf_counter() - started) * 1e3
    result = warehouse.upsert(LABELS, scope, rows)
    ts = rows["ts"].to_numpy()
    open_ts = ts[rows["window_status"].to_numpy() == OPEN]
    read = f"path windows and {len(FAMILIES)} families"
    monthly = coverage_by_month(months, rows)
    return Written(months, result, ts, open_ts, compute_ms, read, {}, monthly=monthly, unit="labels")


def _computed_asset(
    settings: Settings,
    partitions_def: dg.PartitionsDefinition,
    table: Table,
    code_version: str,
    deps: Sequence[str | dg.AssetDep],
    group: str,
    description: str,
) -> dg.AssetsDefinition:
    @dg.asset(
        name=table.name,
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=code_version,
        kinds={"clickhouse", "numba"},
        metadata={"dagster/column_schema": column_schema(table), "dagster/table_name": table.name},
        deps=deps,
        group_name=group,
        description=description,
    )
    def computed(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        reader: dg.ResourceParam[MarketReader],
    ) -> dg.MaterializeResult[Any]:
        for months in month_runs(context.partition_keys):
            written = write_computed(settings, warehouse, reader, table, months)
            picture = levels_picture(settings, warehouse, months) if table is BARRIERS.table else {}
            report(context, written._replace(picture=picture))
        return dg.MaterializeResult()

    return computed


def label_assets(
    settings: Settings, partitions_def: dg.PartitionsDefinition, versions: dict[str, str]
) -> Sequence[dg.AssetsDefinition]:
    """The assets path_windows, one for each family, and labels."""
    forward = dg.AssetDep("candles", partition_mapping=forward_mapping(settings))
    windows = _computed_asset(
        settings,
        partitions_def,
        PATH_WINDOWS,
        versions["path_windows"],
        deps=[forward],
        group="windows_and_levels",
        description=PATH_WINDOWS.sentence,
    )
    families = [
        _computed_asset(
            settings,
            partitions_def,
            family.table,
            versions[family.name],
            deps=FAMILY_DEPS.get(family.name, ["path_windows"]),
            group="families",
            description=family.summary,
        )
        for family in FAMILIES
    ]

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=versions["labels"],
        deps=["path_windows", *(family.name for family in FAMILIES)],
        group_name="labels",
        kinds={"clickhouse"},
        description=LABELS.sentence + " The table to query and to train on.",
        metadata={"dagster/column_schema": column_schema(LABELS), "dagster/table_name": "labels"},
    )
    def labels(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[Any]:
        for months in month_runs(context.partition_keys):
            written = write_labels(warehouse, versions["labels"], months)
            report(context, written._replace(picture=class_balance(settings, warehouse, months)))
        return dg.MaterializeResult()

    return [windows, *families, labels]
