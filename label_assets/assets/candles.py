"""Assets raw_candles and candles."""

import time
from typing import Any

import dagster as dg

from label_assets.assets.metadata import Written, column_schema, report
from label_assets.assets.partitions import BACKFILL_POLICY, MonthRun, month_runs
from label_assets.assets.resources import now_ts
from label_assets.catalog.tables import CANDLES, RAW_CANDLES, REJECTED_CANDLES
from label_assets.compute.candles import candle_rows, raw_rows, rejected_rows
from label_assets.compute.inputs import MarketReader
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.batch import Source
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope


def ingest(warehouse: Warehouse, source: Source, base: str, months: MonthRun) -> Written:
    """Bring what the source has for a run of months into raw_candles and rejected_candles."""
    started = time.perf_counter()
    batch = source.read(months.instrument_id, base, months.start_ts, months.end_ts, now_ts())
    batch.check_accounting()
    read_ms = (time.perf_counter() - started) * 1e3
    whole = Scope(months.instrument_id, months.start_ts, months.end_ts)
    rows = raw_rows(batch, warehouse.read(RAW_CANDLES, whole))
    result = warehouse.upsert(RAW_CANDLES, whole, rows)
    warehouse.upsert(REJECTED_CANDLES, whole, rejected_rows(months.instrument_id, batch.rejected))
    extra: dict[str, Any] = {
        "run_source_rows": batch.rows_in,
        "run_rows_rejected": len(batch.rejected),
        "run_rows_dropped": dict(batch.dropped),
        "run_source": source.describe(),
        "run_files": ", ".join(batch.files),
        **{f"run_{name}": count for name, count in batch.notes.items()},
    }
    if not batch.rows_in:
        extra["skipped"] = "the source has no row in these months; what it does not cover stays stored"
    ts = rows["ts"].to_numpy()
    return Written(months, result, ts, ts[:0], read_ms, extra)


def candle_assets(
    settings: Settings, partitions_def: dg.PartitionsDefinition, versions: dict[str, str]
) -> list[dg.AssetsDefinition]:
    """The assets raw_candles and candles."""

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=versions["raw_candles"],
        group_name="candles",
        kinds={"clickhouse"},
        description=RAW_CANDLES.sentence + " Rows that break a rule are in `rejected_candles` with the reason.",
        metadata={"dagster/column_schema": column_schema(RAW_CANDLES), "dagster/table_name": "raw_candles"},
    )
    def raw_candles(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        candle_source: dg.ResourceParam[Source],
    ) -> dg.MaterializeResult[Any]:
        for months in month_runs(context.partition_keys):
            written = ingest(warehouse, candle_source, settings.base_granularity, months)
            report(context, written)
            if "skipped" in written.extra:
                context.log.warning(f"{months.instrument_id} {months.first_month}..{months.last_month}: no source rows")
        return dg.MaterializeResult()

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=versions["candles"],
        deps=["raw_candles"],
        group_name="candles",
        kinds={"clickhouse"},
        description=CANDLES.sentence,
        metadata={"dagster/column_schema": column_schema(CANDLES), "dagster/table_name": "candles"},
    )
    def candles(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        reader: dg.ResourceParam[MarketReader],
        calendar: dg.ResourceParam[SessionCalendar],
    ) -> dg.MaterializeResult[Any]:
        for months in month_runs(context.partition_keys):
            started = time.perf_counter()
            owned = candle_rows(
                warehouse, calendar, months.instrument_id, settings.ladder, (months.start_ts, months.end_ts)
            )
            compute_ms = (time.perf_counter() - started) * 1e3
            result = warehouse.upsert(CANDLES, owned.scope, owned.rows)
            reader.forget()
            ts = owned.rows["ts"].to_numpy()
            report(context, Written(months, result, ts, ts[:0], compute_ms, {}))
        return dg.MaterializeResult()

    return [raw_candles, candles]
