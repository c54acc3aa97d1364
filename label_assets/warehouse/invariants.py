"""Counts of stored rows that break what the catalogue promises: the matter of asset checks.

Belongs here: counting in the database. Does not belong here: what Dagster does with a count (`assets.checks`).
"""

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope


def bounds(column: Column, settings: Settings) -> tuple[float | None, float | None]:
    """Smallest and largest value of a column under these settings; None where there is no bound."""
    if not column.bounded_by:
        return column.low, column.high
    limit = float(settings.value(column.bounded_by))
    return (-limit if column.low is not None and column.low < 0 else column.low), limit


def _violation(column: Column, settings: Settings) -> str:
    low, high = bounds(column, settings)
    name = f"`{column.name}`"
    parts = [f"{name} < {low!r}"] if low is not None else []
    parts += [f"{name} > {high!r}"] if high is not None else []
    if column.type in {ColumnType.PRICE, ColumnType.RELATIVE}:
        parts.append(f"NOT isFinite({name})")
    return " OR ".join(parts)


def count_out_of_range(
    warehouse: Warehouse, table: Table, scope: Scope, settings: Settings
) -> dict[str, dict[str, int]]:
    """Rows of a scope in which a column leaves the catalogue's range, or is infinite or NaN.

    Returns:
        By month `YYYY-MM`, the count of each column; columns without a violation are absent.
    """
    conditions = {column.name: _violation(column, settings) for column in table.columns}
    conditions = {name: condition for name, condition in conditions.items() if condition}
    counts = ", ".join(f"countIf({condition}) AS `{name}`" for name, condition in conditions.items())
    rows = warehouse.query_text(
        f"SELECT formatDateTime(t.ts, '%Y-%m') AS month, {counts} "
        f"FROM (SELECT * FROM `{table.name}` WHERE instrument_id = {{instrument:String}} "
        "AND ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')) AS t GROUP BY month",
        instrument=scope.instrument_id,
        start=scope.start_ts,
        end=scope.end_ts,
    ).to_pylist()
    return {row["month"]: {name: row[name] for name in conditions if row[name]} for row in rows}


def count_labels_without_candle(warehouse: Warehouse, scope: Scope, settings: Settings) -> dict[str, dict[str, int]]:
    """Rows of `labels` against candles × horizons of a scope.

    Returns:
        By month `YYYY-MM`: found_rows, missing_rows, surplus_rows, duplicate_rows.
    """
    rows = warehouse.query(
        "count_labels_without_candle",
        instrument=scope.instrument_id,
        start=scope.start_ts,
        end=scope.end_ts,
        horizons=list(settings.horizons),
        granularities=list(settings.granularities),
    ).to_pylist()
    return {row.pop("month"): row for row in rows}
