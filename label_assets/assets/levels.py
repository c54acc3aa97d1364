"""Asset levels: the tables level_intervals and level_events."""

import time
from typing import Any

import dagster as dg
import numpy as np

from label_assets.assets.metadata import Written, column_schema, report
from label_assets.assets.partitions import BACKFILL_POLICY, MonthRun, forward_mapping, month_runs
from label_assets.assets.pictures import levels_picture
from label_assets.catalog.families.levels import LEVEL_EVENTS, LEVEL_INTERVALS
from label_assets.compute.inputs import MarketReader
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import ScopeRows


def write_levels(settings: Settings, warehouse: Warehouse, reader: MarketReader, months: MonthRun) -> Written:
    """Find the levels of a run of months on every labelled granularity and upsert both tables.

    The counts are those of `level_events`, each event in the month in which it happens; intervals are told as extras.
    """
    from label_assets.compute.levels import owned_levels  # noqa: PLC0415 - numba: a second no other process needs

    started = time.perf_counter()
    owned = [
        part
        for granularity in settings.granularities
        for part in owned_levels(reader, settings, months.instrument_id, granularity, (months.start_ts, months.end_ts))
    ]
    compute_ms = (time.perf_counter() - started) * 1e3
    parts = {
        table.name: [ScopeRows(part.scope, part.rows) for part in owned if part.table is table]
        for table in (LEVEL_EVENTS, LEVEL_INTERVALS)
    }
    events = warehouse.upsert_all(LEVEL_EVENTS, parts[LEVEL_EVENTS.name])
    intervals = warehouse.upsert_all(LEVEL_INTERVALS, parts[LEVEL_INTERVALS.name])
    extra = {"run_intervals": intervals.rows, "run_intervals_written": intervals.rows_written + intervals.rows_removed}
    starts = np.concatenate(
        [rows["ts"].filter(rows["valid_to"].is_null()).to_numpy() for _, rows in parts[LEVEL_INTERVALS.name]]
    )
    return Written(
        months,
        events,
        np.concatenate([rows["ts"].to_numpy() for _, rows in parts[LEVEL_EVENTS.name]]),
        starts[starts >= months.start_ts],
        compute_ms,
        read=f"candles of {', '.join(settings.granularities)}",
        extra=extra,
    )


def level_asset(
    settings: Settings, partitions_def: dg.PartitionsDefinition, versions: dict[str, str]
) -> dg.AssetsDefinition:
    """The asset levels."""

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=versions["levels"],
        # Levels are closed by later candles. And a backfill of more instruments than months is one run a month, in any
        # order: with this mapping it waits until all candles are there.
        deps=[dg.AssetDep("candles", partition_mapping=forward_mapping(settings))],
        group_name="windows_and_levels",
        kinds={"clickhouse", "numba"},
        description=(
            "Support and resistance levels. `level_intervals`: when each was active in which role; `level_events`: "
            "what happened to it. A partition holds levels whose pivot lies in the month and events that happen "
            "in it, and closes intervals of older levels."
        ),
        metadata={"dagster/column_schema": column_schema(LEVEL_INTERVALS), "dagster/table_name": "level_intervals"},
    )
    def levels(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        reader: dg.ResourceParam[MarketReader],
    ) -> dg.MaterializeResult[Any]:
        for months in month_runs(context.partition_keys):
            written = write_levels(settings, warehouse, reader, months)
            report(context, written._replace(picture=levels_picture(settings, warehouse, months)))
        return dg.MaterializeResult()

    return levels
