"""Assets raw_candles and candles."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import dagster as dg
import numpy as np

from label_assets.assets.accounting import (
    data_version,
    month_accounts,
    revision_account,
    revision_line,
    run_account,
    stale_months,
)
from label_assets.assets.gap_check import gap_report
from label_assets.assets.metadata import Written, column_schema, report
from label_assets.assets.partitions import BACKFILL_POLICY, MonthRun, month_runs
from label_assets.assets.resources import now_ts
from label_assets.catalog.tables import CANDLES, RAW_CANDLES, REJECTED_CANDLES
from label_assets.compute.candles import candle_rows, raw_rows, rejected_rows
from label_assets.compute.inputs import MarketReader
from label_assets.compute.revisions import find_changes, read_affected_months, read_history, trace
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.batch import Source
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope


class Ingestion(NamedTuple):
    """What one ingestion did, and what follows from it.

    Attributes:
        written: What was written.
        line: A line for the log that says what changed in known candles and which months that reaches; "" for nothing.
        is_stale: Labels of months outside of the run are those of older candles until they are made again.
    """

    written: Written
    line: str
    is_stale: bool


def ingest(
    warehouse: Warehouse, source: Source, settings: Settings, calendar: SessionCalendar, months: MonthRun
) -> Ingestion:
    """Bring what the source has for a run of months into raw_candles, rejected_candles and candle_revisions."""
    started, read_at = time.perf_counter(), now_ts()
    base, instrument_id = settings.base_granularity, months.instrument_id
    batch = source.read(instrument_id, base, months.start_ts, months.end_ts, read_at)
    batch.check_accounting()
    read_ms = (time.perf_counter() - started) * 1e3
    whole = Scope(instrument_id, months.start_ts, months.end_ts)
    stored = warehouse.read(RAW_CANDLES, whole)
    rows = raw_rows(batch, stored)
    changes = find_changes(base, stored, rows, read_history(warehouse, instrument_id, base))
    affected = changes.span and read_affected_months(warehouse, settings, calendar, instrument_id, changes.span)
    # The trace comes first: a run that dies before the candles are written is repeated and finds it.
    trace(warehouse, instrument_id, base, changes.revisions, source.describe(), read_at)
    result = warehouse.upsert(RAW_CANDLES, whole, rows)
    rejected = rejected_rows(instrument_id, batch.rejected, warehouse.read(REJECTED_CANDLES, whole))
    warehouse.upsert(REJECTED_CANDLES, whole, rejected)
    extra = run_account(batch, source) | {"run_rows_stored": result.rows} | revision_account(changes, affected)
    ts = rows["ts"].to_numpy()
    return Ingestion(
        Written(
            *(months, result, ts, ts[:0], read_ms),
            read=f"{batch.rows_in} rows of {source.describe()}",
            extra=extra,
            monthly=month_accounts(batch, months, read_at),
        ),
        line=revision_line(changes, months, affected) if affected else "",
        is_stale=bool(affected and stale_months(months, affected)),
    )


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
        description=RAW_CANDLES.sentence + " Rows that break a rule are in `rejected_candles` with the reason; what a "
        "later ingestion changed in known candles is in `candle_revisions`.",
        metadata={"dagster/column_schema": column_schema(RAW_CANDLES), "dagster/table_name": "raw_candles"},
    )
    def raw_candles(
        context: dg.AssetExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        candle_source: dg.ResourceParam[Source],
        calendar: dg.ResourceParam[SessionCalendar],
    ) -> dg.MaterializeResult[Any]:
        accounts: list[Mapping[str, Any]] = []
        for months in month_runs(context.partition_keys):
            done = ingest(warehouse, candle_source, settings, calendar, months)
            report(context, done.written)
            accounts += done.written.monthly
            if done.line:
                context.log.log("WARNING" if done.is_stale else "INFO", done.line)
            if "skipped" in done.written.extra:
                context.log.warning(f"{months.instrument_id} {months.first_month}..{months.last_month}: no source rows")
        return dg.MaterializeResult(data_version=data_version(accounts))

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
            reader.expect_written(owned.scope)
            ts = owned.rows["ts"].to_numpy()
            base = ts[owned.rows["granularity"].to_numpy() == settings.base_granularity].astype(np.int64)
            inside = base[base >= months.start_ts]
            present = gap_report(warehouse, calendar, settings, months, inside).present_by_partition
            coverage = [{"coverage": present[key]} if key in present else {} for key in months.keys]
            read = f"{len(base)} raw candles"
            report(context, Written(months, result, ts, ts[:0], compute_ms, read, {}, monthly=coverage))
        return dg.MaterializeResult()

    return [raw_candles, candles]
