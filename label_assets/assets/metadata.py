"""What a materialization tells: counts for each partition, times for the run, one line in the log for each instrument.

Belongs here: names and shapes of metadata. Does not belong here: what is counted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.assets.partitions import MonthRun, month_start
from label_assets.catalog.columns import Table
from label_assets.catalog.tables import WINDOW_STATUS
from label_assets.warehouse.schema import column_comment, column_type
from label_assets.warehouse.upsert import UpsertResult

OPEN = WINDOW_STATUS.index("open")
"""Code of an open window in the wire schema."""


class Written(NamedTuple):
    """What one asset did for one run of months.

    Attributes:
        months: The months.
        result: Counts of the upsert.
        ts: Open time of each row that the scope holds now [epoch s].
        open_ts: Open time of each row whose window is open [epoch s].
        compute_ms: Time between reading and writing [ms].
        read: What was read to compute the rows, in words: "480 candles".
        extra: Further metadata, the same for every partition.
        picture: Metadata for the last partition alone.
        monthly: Further metadata of each month, in order; empty for none.
        unit: What a row is: `rows`, or `labels` where each row is a candle and horizon.
    """

    months: MonthRun
    result: UpsertResult
    ts: NDArray[np.integer[Any]]
    open_ts: NDArray[np.integer[Any]]
    compute_ms: float
    read: str
    extra: dict[str, Any]
    picture: dict[str, Any] = {}  # noqa: RUF012 - never changed
    monthly: Sequence[Mapping[str, Any]] = ()
    unit: str = "rows"


def column_schema(table: Table) -> dg.TableSchema:
    """The table's columns as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column_type(column),
                description=column_comment(column),
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.all_columns
        ]
    )


def _per_month(ts: NDArray[np.integer[Any]], months: MonthRun) -> list[int]:
    """Rows in each month. Rows before the first month (buckets that straddle its start) count to the first."""
    borders = [month_start(month) for month in months.months[1:]]
    counts = np.bincount(np.searchsorted(borders, ts, side="right"), minlength=len(months.months))
    return [int(count) for count in counts]


def report(context: dg.AssetExecutionContext, written: Written) -> None:
    """Attach metadata to each partition of a run of months and log one line."""
    months, result = written.months, written.result
    total_ms = result.read_ms + written.compute_ms + result.write_ms
    rate = round(result.rows / (total_ms / 1e3)) if total_ms > 0 else 0
    counts = zip(
        months.keys,
        _per_month(written.ts, months),
        _per_month(written.open_ts, months),
        _per_month(result.written_ts, months),
        _per_month(result.removed_ts, months),
        written.monthly or [{}] * len(months.months),
        strict=True,
    )
    last_key = months.keys[-1]
    for key, rows, pending, rows_written, rows_removed, monthly in counts:
        context.add_asset_metadata(
            {
                "rows": rows,
                "pending": pending,
                "rows_written": rows_written,
                "rows_unchanged": max(0, rows - rows_written),
                "rows_removed": rows_removed,
                "run_read_ms": round(result.read_ms, 1),
                "run_compute_ms": round(written.compute_ms, 1),
                "run_write_ms": round(result.write_ms, 1),
                f"run_{written.unit}_per_second": rate,
                **written.extra,
                **monthly,
                **(written.picture if key == last_key else {}),
            },
            partition_key=key,
        )
    context.log.info(
        f"{months.instrument_id} {months.first_month}..{months.last_month}: read {written.read}; "
        f"computed {result.rows} {written.unit}, {len(written.open_ts)} of them open, in {written.compute_ms:.0f} ms; "
        f"wrote {result.rows_written} new or changed and {result.rows_removed} removals, {result.rows_unchanged} were "
        f"there already, in {result.read_ms + result.write_ms:.0f} ms"
    )


def coverage_by_month(months: MonthRun, rows: pa.Table) -> list[dict[str, float]]:
    """Metadata of each month: the mean share of path bars that its ended windows have; none without an ended one."""
    ended = rows.filter(pc.not_equal(rows["window_status"], OPEN))
    borders = [month_start(month) for month in months.months[1:]]
    month = np.searchsorted(borders, ended["ts"].to_numpy(), side="right")
    counts = np.bincount(month, minlength=len(months.months))
    sums = np.bincount(month, ended["coverage"].to_numpy().astype(np.float64), minlength=len(months.months))
    return [
        {"coverage": round(total / count, 6)} if count else {}
        for total, count in zip(sums.tolist(), counts.tolist(), strict=True)
    ]
