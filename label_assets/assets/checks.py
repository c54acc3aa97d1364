"""Blocking asset checks on raw candles, candles and labels.

They are unpartitioned and go through the run's partition keys: partitioned checks are a preview in Dagster 1.13 and
break in runs of several partitions.

Belongs here: what makes a check fail and what it shows. Does not belong here: counting (`market.validation`,
`warehouse.invariants`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import dagster as dg
import numpy as np

from label_assets.assets.accounting import SourceReading, month_borders, recorded_readings
from label_assets.assets.findings import Findings, counted, result
from label_assets.assets.partitions import MonthRun, month_runs
from label_assets.assets.resources import now_ts
from label_assets.catalog.families import LABELS
from label_assets.catalog.tables import CANDLES, RAW_CANDLES, REJECTED_CANDLES
from label_assets.compute.accounting import count_unaccounted, fingerprints
from label_assets.compute.rows import candles_from_rows
from label_assets.market import validation
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.batch import Source
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.invariants import count_labels_without_candle, count_out_of_range
from label_assets.warehouse.upsert import Scope

SOURCE_CHECKS = {
    "rows_are_accounted_for": "Every row of the source is stored as it is, rejected, or dropped by a named rule.",
}

CANDLE_CHECKS = {
    "ohlc_holds": "Highs are highest, lows are lowest, every price is positive and finite.",
    "stamps_are_aligned": "Every candle opens where the trading session says and closes where the next bucket opens.",
    "candles_are_in_order": "No candle opens before the one stored before it ends.",
    "keys_are_unique": "One candle for each instrument, granularity and open time.",
}

LABEL_CHECKS = {
    "values_are_in_range": "Every value lies in the range that the catalogue gives; nothing is infinite or NaN.",
    "one_row_per_candle_and_horizon": "labels = candles × horizons, no row too few, too many or twice.",
}


_ROW_FAULTS = ("missing_rows", "surplus_rows", "duplicate_rows")


class SourceFindings(NamedTuple):
    """What the source check found, and the months that could not be compared.

    Attributes:
        found: What it found.
        changed: "INSTRUMENT YYYY-MM" of months in which the source has changed since they were materialized.
    """

    found: Findings
    changed: list[str]


def _specs(checks: Mapping[str, str], asset: str) -> dict[str, dg.AssetCheckSpec]:
    return {
        name: dg.AssetCheckSpec(name, asset=asset, description=text, blocking=True) for name, text in checks.items()
    }


def find_source_violations(
    warehouse: Warehouse, source: Source, base: str, months: MonthRun, readings: Mapping[str, SourceReading]
) -> SourceFindings:
    """Violations of the source check in a run of months, by kind.

    The source is read again, as of the time at which the month was materialized. A month in which it now gives
    something else has changed since: what is stored cannot be held against it, and the next run brings the change.

    Args:
        warehouse: Where rows are.
        source: Where they came from.
        base: The base granularity.
        months: The months.
        readings: What their materializations noted; a month without a note is compared as it is now.
    """
    # Only a candle that had not closed yet depends on it, so the newest one does for all months.
    read_at = max((reading.read_at for reading in readings.values()), default=now_ts())
    batch = source.read(months.instrument_id, base, months.start_ts, months.end_ts, read_at)
    borders = month_borders(months)
    stretches, changed = {}, []
    for number, (month, fingerprint) in enumerate(zip(months.months, fingerprints(batch, borders), strict=True)):
        if month in readings and readings[month].fingerprint != fingerprint:
            changed.append(f"{months.instrument_id} {month}")
        else:
            stretches[month] = (borders[number], borders[number + 1])
    scope = Scope(months.instrument_id, months.start_ts, months.end_ts, base)
    raw, rejected = (
        warehouse.read_view(RAW_CANDLES, scope),
        warehouse.read_view(REJECTED_CANDLES, replace(scope, granularity=None)),
    )
    unaccounted = count_unaccounted(batch, raw, rejected, list(stretches.values()))
    counts: dict[str, Mapping[str, int]] = dict(zip(stretches, unaccounted.by_stretch, strict=True))
    if unaccounted.rows:  # of the whole file: no month is to blame
        counts[f"{months.first_month}..{months.last_month}"] = {"rows_without_account": unaccounted.rows}
    return SourceFindings(counted(months, batch.rows_in, counts), changed)


def find_candle_violations(
    warehouse: Warehouse, calendar: SessionCalendar, settings: Settings, months: MonthRun
) -> dict[str, Findings]:
    """Violations of each candle check in a run of months, by granularity."""
    rows = warehouse.read_view(CANDLES, Scope(months.instrument_id, months.start_ts, months.end_ts))
    names = rows["granularity"].to_numpy()
    borders = month_borders(months)
    counts: dict[str, dict[str, dict[str, int]]] = {
        name: {month: {} for month in months.months} for name in CANDLE_CHECKS
    }
    for granularity in settings.ladder:
        candles = candles_from_rows(rows.filter(names == granularity))
        is_wrong = {
            "ohlc_holds": validation.breaks_ohlc(candles),
            "stamps_are_aligned": validation.is_misaligned(candles.ts, granularity, calendar)
            | (calendar.bucket_close(candles.ts, granularity) != candles.close_ts),
            "candles_are_in_order": validation.opens_too_early(candles.ts, candles.close_ts),
            "keys_are_unique": validation.repeats_stamp(candles.ts),
        }
        for name, mask in is_wrong.items():
            for month, count in zip(months.months, np.histogram(candles.ts[mask], borders)[0].tolist(), strict=True):
                counts[name][month][granularity] = count
    return {name: counted(months, rows.num_rows, counts[name]) for name in CANDLE_CHECKS}


def find_label_violations(warehouse: Warehouse, settings: Settings, months: MonthRun) -> dict[str, Findings]:
    """Violations of each label check in a run of months, by column and by kind."""
    scope = Scope(months.instrument_id, months.start_ts, months.end_ts)
    values = count_out_of_range(warehouse, LABELS, scope, settings)
    keys = count_labels_without_candle(warehouse, scope, settings)
    rows = sum(counts["found_rows"] for counts in keys.values())
    faults = {month: {name: counts[name] for name in _ROW_FAULTS} for month, counts in keys.items()}
    return {
        "values_are_in_range": counted(months, rows, values),
        "one_row_per_candle_and_horizon": counted(months, rows, faults),
    }


def checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The blocking checks of raw candles, candles and labels."""
    source_specs = _specs(SOURCE_CHECKS, "raw_candles")
    candle_specs = _specs(CANDLE_CHECKS, "candles")
    label_specs = _specs(LABEL_CHECKS, "labels")

    @dg.multi_asset_check(name="source_checks", specs=list(source_specs.values()))
    def source_checks(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        candle_source: dg.ResourceParam[Source],
    ) -> Iterator[Any]:
        parts = []
        for months in month_runs(context.partition_keys):
            readings = recorded_readings(context.instance, months)
            parts.append(find_source_violations(warehouse, candle_source, settings.base_granularity, months, readings))
        changed = ", ".join(name for part in parts for name in part.changed)
        notes = {"changed_since": changed} if changed else {}
        for spec in source_specs.values():
            yield result(spec, [part.found for part in parts], **notes)

    @dg.multi_asset_check(name="candle_checks", specs=list(candle_specs.values()))
    def candle_checks(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        calendar: dg.ResourceParam[SessionCalendar],
    ) -> Iterator[Any]:
        runs = month_runs(context.partition_keys)
        parts = [find_candle_violations(warehouse, calendar, settings, months) for months in runs]
        for name, spec in candle_specs.items():
            yield result(spec, [part[name] for part in parts])

    @dg.multi_asset_check(name="label_checks", specs=list(label_specs.values()))
    def label_checks(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        runs = month_runs(context.partition_keys)
        parts = [find_label_violations(warehouse, settings, months) for months in runs]
        for name, spec in label_specs.items():
            yield result(spec, [part[name] for part in parts])

    return [source_checks, candle_checks, label_checks]
