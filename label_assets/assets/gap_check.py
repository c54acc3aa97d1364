"""The check no_unexpected_gaps: holes of candles against the hours in which their market trades.

Belongs here: which candles are expected of a run, what the check shows. Does not belong here: trading hours and holes
(`market.trading_hours`).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import dagster as dg
import numpy as np

from label_assets.assets.findings import checked
from label_assets.assets.partitions import MonthRun, month_runs, month_start
from label_assets.catalog.granularities import granularity
from label_assets.catalog.instruments import Instrument
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.market.trading_hours import HOLE_LIMIT_S, Hole, expected_opens, holes
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

LONGEST_SHOWN = 20
NAME = "no_unexpected_gaps"
DESCRIPTION = (
    "No hole in the base candles is longer than the market's kind explains: an hour of trading time for FX, a trading "
    "day for metals and indices. Kinds whose hours are unknown have no expectation."
)

_COLUMNS = [
    dg.TableColumn("instrument"),
    dg.TableColumn("first_missing", description="Open time, UTC."),
    dg.TableColumn("last_missing", description="Open time, UTC."),
    dg.TableColumn("candles", "int", description="Expected candles that are missing."),
    dg.TableColumn("hours", "float", description="Their trading time."),
]


class GapReport(NamedTuple):
    """Candles of one run of months against what its market's hours let expect.

    Attributes:
        instrument: The instrument.
        expected: Expected candles.
        present_by_partition: Share of the expected candles that exist, of partitions that expect any.
        unexpected: Holes longer than the limit of the instrument's kind.
        shorter_holes: Number of holes that are not.
    """

    instrument: Instrument
    expected: int
    present_by_partition: dict[str, float]
    unexpected: list[Hole]
    shorter_holes: int


def gap_report(
    warehouse: Warehouse,
    calendar: SessionCalendar,
    settings: Settings,
    months: MonthRun,
    opens: IntArray | None = None,
) -> GapReport:
    """Compare the base candles of a run of months with the hours of the market.

    Nothing is expected before the instrument's oldest candle and after its newest: what has not come yet is no hole.

    Args:
        warehouse: Where candles are.
        calendar: Trading session.
        settings: The settings.
        months: The months.
        opens: Open times of the base candles in them [epoch s], increasing; read where they are not at hand.
    """
    instrument, base = settings.instrument(months.instrument_id), settings.base_granularity
    asked: dict[str, Any] = {"instrument": instrument.name, "granularity": base}
    span = warehouse.query("read_candle_span", **asked).to_pylist()[0]
    expected = expected_opens(
        instrument.kind, base, calendar, max(months.start_ts, span["oldest"]), min(months.end_ts, span["newest"] + 1)
    )
    if opens is None:
        rows = warehouse.query("read_candle_opens_between", start=months.start_ts, end=months.end_ts, **asked)
        opens = rows["ts"].to_numpy().astype(np.int64)
    found = holes(opens, expected)
    limit = HOLE_LIMIT_S.get(instrument.kind, 0)
    unexpected = [hole for hole in found if hole.candles * granularity(base).seconds > limit]
    present = _present_by_partition(opens, expected, months)
    return GapReport(instrument, len(expected), present, unexpected, len(found) - len(unexpected))


def _present_by_partition(ts: IntArray, expected: IntArray, months: MonthRun) -> dict[str, float]:
    borders = [*(month_start(month) for month in months.months), months.end_ts]
    wanted = np.histogram(expected, borders)[0].tolist()
    present = np.histogram(expected[np.isin(expected, ts, assume_unique=True)], borders)[0].tolist()
    return {key: round(here / all_, 6) for key, here, all_ in zip(months.keys, present, wanted, strict=True) if all_}


def _table(reports: Sequence[GapReport], base_s: int) -> dg.TableMetadataValue:
    """The longest unexpected holes, longest first."""
    found = [(report.instrument.name, hole) for report in reports for hole in report.unexpected]
    longest = sorted(found, key=lambda item: (-item[1].candles, item[0], item[1].start_ts))[:LONGEST_SHOWN]
    records = [
        dg.TableRecord(
            {
                "instrument": name,
                "first_missing": _utc(hole.start_ts),
                "last_missing": _utc(hole.end_ts),
                "candles": hole.candles,
                "hours": round(hole.candles * base_s / 3_600, 2),
            }
        )
        for name, hole in longest
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(_COLUMNS))


def _utc(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d %H:%M")


def _result(reports: Sequence[GapReport], runs: Sequence[MonthRun], base: str) -> dg.AssetCheckResult:
    count = sum(len(report.unexpected) for report in reports)
    unknown = sorted({report.instrument.name for report in reports if report.instrument.kind not in HOLE_LIMIT_S})
    return dg.AssetCheckResult(
        asset_key="candles",
        check_name=NAME,
        passed=not count,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "checked": f"{base} of {checked(runs)}",
            "unexpected_holes": count,
            "shorter_holes": sum(report.shorter_holes for report in reports),
            "candles_expected": sum(report.expected for report in reports),
            "present": {key: share for report in reports for key, share in report.present_by_partition.items()},
            **({"longest_holes": _table(reports, granularity(base).seconds)} if count else {}),
            **({"without_expectation": ", ".join(unknown)} if unknown else {}),
        },
    )


def gap_check(settings: Settings) -> dg.AssetChecksDefinition:
    """The check no_unexpected_gaps: a warning, because candles that are missing make no other candle wrong."""
    spec = dg.AssetCheckSpec(NAME, asset="candles", description=DESCRIPTION)

    @dg.multi_asset_check(name="gap_check", specs=[spec])
    def check(
        context: dg.AssetCheckExecutionContext,
        warehouse: dg.ResourceParam[Warehouse],
        calendar: dg.ResourceParam[SessionCalendar],
    ) -> Iterator[Any]:
        runs = month_runs(context.partition_keys)
        reports = [gap_report(warehouse, calendar, settings, months) for months in runs]
        yield _result(reports, runs, settings.base_granularity)

    return check
