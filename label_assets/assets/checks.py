"""Blocking asset checks on raw candles, candles and labels.

They are unpartitioned and go through the run's partition keys: partitioned checks are a preview in Dagster 1.13 and
break in runs of several partitions.

Belongs here: what makes a check fail and what it shows. Does not belong here: counting (`market.validation`,
`warehouse.invariants`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import dagster as dg

from label_assets.assets.accounting import SourceReading, month_borders, recorded_readings
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


class SourceViolations(NamedTuple):
    """Violations of the source check, and the months that could not be compared.

    Attributes:
        found: By check and place, with rows checked under `rows`.
        changed: "INSTRUMENT YYYY-MM" of months in which the source has changed since they were materialized.
    """

    found: dict[str, Counter[str]]
    changed: list[str]


def _specs(checks: Mapping[str, str], asset: str) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset=asset, description=text, blocking=True) for name, text in checks.items()]


def _results(
    checks: Mapping[str, str],
    asset: str,
    found: dict[str, Counter[str]],
    runs: list[MonthRun],
    notes: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[dg.AssetCheckResult]:
    checked = ", ".join(f"{months.instrument_id} {months.first_month}..{months.last_month}" for months in runs)
    for name in checks:
        violations = {where: count for where, count in found[name].items() if count}
        yield dg.AssetCheckResult(
            asset_key=asset,
            check_name=name,
            passed=not violations,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={
                "checked": checked,
                "violations": sum(violations.values()),
                "rows_checked": found["rows"][name],
                **({"where": violations} if violations else {}),
                **notes,
            },
        )


def count_source_violations(
    warehouse: Warehouse, source: Source, base: str, months: MonthRun, readings: Mapping[str, SourceReading]
) -> SourceViolations:
    """Violations of the source check in a run of months, by "INSTRUMENT kind"; rows checked under `rows`.

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
    stretches, changed = [], []
    for number, (month, fingerprint) in enumerate(zip(months.months, fingerprints(batch, borders), strict=True)):
        if month in readings and readings[month].fingerprint != fingerprint:
            changed.append(f"{months.instrument_id} {month}")
        else:
            stretches.append((borders[number], borders[number + 1]))
    scope = Scope(months.instrument_id, months.start_ts, months.end_ts, base)
    raw, rejected = (
        warehouse.read(RAW_CANDLES, scope),
        warehouse.read(REJECTED_CANDLES, replace(scope, granularity=None)),
    )
    counts = count_unaccounted(batch, raw, rejected, stretches)
    return SourceViolations(
        {
            "rows_are_accounted_for": Counter({f"{months.instrument_id} {kind}": n for kind, n in counts.items()}),
            "rows": Counter({"rows_are_accounted_for": batch.rows_in}),
        },
        changed,
    )


def count_candle_violations(
    warehouse: Warehouse, calendar: SessionCalendar, settings: Settings, months: MonthRun
) -> dict[str, Counter[str]]:
    """Violations of each candle check in a run of months, by "INSTRUMENT GRANULARITY"; rows checked under `rows`."""
    found: dict[str, Counter[str]] = {name: Counter() for name in (*CANDLE_CHECKS, "rows")}
    rows = warehouse.read(CANDLES, Scope(months.instrument_id, months.start_ts, months.end_ts))
    names = rows["granularity"].to_numpy()
    for granularity in settings.ladder:
        candles = candles_from_rows(rows.filter(names == granularity))
        where = f"{months.instrument_id} {granularity}"
        found["ohlc_holds"][where] = validation.count_ohlc_violations(candles)
        found["stamps_are_aligned"][where] = validation.count_misaligned(candles.ts, granularity, calendar) + int(
            (calendar.bucket_close(candles.ts, granularity) != candles.close_ts).sum()
        )
        found["candles_are_in_order"][where] = int((candles.ts[1:] < candles.close_ts[:-1]).sum())
        found["keys_are_unique"][where] = validation.count_duplicates(candles.ts)
        for name in CANDLE_CHECKS:
            found["rows"][name] += len(candles.ts)
    return found


def count_label_violations(warehouse: Warehouse, settings: Settings, months: MonthRun) -> dict[str, Counter[str]]:
    """Violations of each label check in a run of months; rows checked under `rows`."""
    scope = Scope(months.instrument_id, months.start_ts, months.end_ts)
    out_of_range = count_out_of_range(warehouse, LABELS, scope, settings)
    rows = count_labels_without_candle(warehouse, scope, settings)
    return {
        "values_are_in_range": Counter({f"{months.instrument_id} {name}": n for name, n in out_of_range.items()}),
        "one_row_per_candle_and_horizon": Counter(
            {
                f"{months.instrument_id} {name}": rows[name]
                for name in ("missing_rows", "surplus_rows", "duplicate_rows")
            }
        ),
        "rows": Counter(dict.fromkeys(LABEL_CHECKS, rows["found_rows"])),
    }


def _merge(total: dict[str, Counter[str]], part: dict[str, Counter[str]]) -> None:
    for name, counts in part.items():
        total.setdefault(name, Counter()).update(counts)


def checks(settings: Settings) -> list[dg.AssetChecksDefinition]:
    """The blocking checks of raw candles, candles and labels."""

    @dg.multi_asset_check(name="source_checks", specs=_specs(SOURCE_CHECKS, "raw_candles"))
    def source_checks(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        candle_source: dg.ResourceParam[Source],
    ) -> Iterator[Any]:
        found: dict[str, Counter[str]] = {name: Counter() for name in (*SOURCE_CHECKS, "rows")}
        changed: list[str] = []
        runs = month_runs(context.partition_keys)
        for months in runs:
            readings = recorded_readings(context.instance, months)
            part = count_source_violations(warehouse, candle_source, settings.base_granularity, months, readings)
            _merge(found, part.found)
            changed += part.changed
        notes = {"changed_since": ", ".join(changed)} if changed else {}
        yield from _results(SOURCE_CHECKS, "raw_candles", found, runs, notes)

    @dg.multi_asset_check(name="candle_checks", specs=_specs(CANDLE_CHECKS, "candles"))
    def candle_checks(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        calendar: dg.ResourceParam[SessionCalendar],
    ) -> Iterator[Any]:
        found: dict[str, Counter[str]] = {name: Counter() for name in (*CANDLE_CHECKS, "rows")}
        runs = month_runs(context.partition_keys)
        for months in runs:
            _merge(found, count_candle_violations(warehouse, calendar, settings, months))
        yield from _results(CANDLE_CHECKS, "candles", found, runs)

    @dg.multi_asset_check(name="label_checks", specs=_specs(LABEL_CHECKS, "labels"))
    def label_checks(context: dg.AssetCheckExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        found: dict[str, Counter[str]] = {name: Counter() for name in (*LABEL_CHECKS, "rows")}
        runs = month_runs(context.partition_keys)
        for months in runs:
            _merge(found, count_label_violations(warehouse, settings, months))
        yield from _results(LABEL_CHECKS, "labels", found, runs)

    return [source_checks, candle_checks, label_checks]
