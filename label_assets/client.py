"""Labels for notebooks, straight from ClickHouse.

    from label_assets.client import load
    frame = load("EURUSD", "H4", "2020-01-01", "2024-01-01", columns=["forward_return"], status="complete")

Belongs here: reading labels into a table. Does not belong here: the HTTP API (`serving`), connections
(`warehouse.client`).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

import pyarrow as pa

from label_assets.catalog.columns import Column
from label_assets.catalog.families import LABELS
from label_assets.errors import CatalogError
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse, select_list
from label_assets.warehouse.shown import shown_table

if TYPE_CHECKING:
    import pandas as pd

Time = str | int | date
"""ISO 8601 text (UTC where it has no zone), epoch seconds, a date, or a datetime such as pandas' Timestamp."""

_KEY = ("instrument_id", "ts")
_END_OF_TIME = 2**32 - 1


@overload
def load(
    instruments: str | Sequence[str],
    granularity: str,
    start: Time | None = None,
    end: Time | None = None,
    *,
    columns: Sequence[str] | None = None,
    horizon: int | None = None,
    status: str | Sequence[str] | None = None,
    as_: Literal["pandas"] = "pandas",
    settings: Settings | None = None,
) -> "pd.DataFrame": ...
@overload
def load(
    instruments: str | Sequence[str],
    granularity: str,
    start: Time | None = None,
    end: Time | None = None,
    *,
    columns: Sequence[str] | None = None,
    horizon: int | None = None,
    status: str | Sequence[str] | None = None,
    as_: Literal["arrow"],
    settings: Settings | None = None,
) -> pa.Table: ...
def load(  # noqa: PLR0913 - a question has so many parts
    instruments: str | Sequence[str],
    granularity: str,
    start: Time | None = None,
    end: Time | None = None,
    *,
    columns: Sequence[str] | None = None,
    horizon: int | None = None,
    status: str | Sequence[str] | None = None,
    as_: Literal["pandas", "arrow"] = "pandas",
    settings: Settings | None = None,
) -> "pd.DataFrame | pa.Table":
    """Labels of candles that open in [start, end).

    Args:
        instruments: One name or several.
        granularity: Candle length of the labels, such as "H4".
        start: First open time; default: the first there is.
        end: End of the open times, not included; default: after the last there is.
        columns: Columns of `labels`, see docs/labels.md; default: all. `instrument_id` and `ts` always come first.
        horizon: Candles ahead; default: the first that is configured.
        status: Only rows of these window statuses. For training take "complete": labels that become final early would
            over-represent quick touches. Default: all rows.
        as_: "pandas" or "arrow".
        settings: Which ClickHouse and database; default: the environment (`CLICKHOUSE_URL`) and `label_assets.toml`, or
            the embedded server.

    Returns:
        An Arrow table ordered by instrument and time, or a DataFrame whose index is `ts` for one name and
        (`instrument_id`, `ts`) for a sequence of names. NULL is NaN in floats and `pd.NA` elsewhere.

    Raises:
        CatalogError: for names, times or columns that do not exist, or where nothing of the kind is stored.
        WarehouseError: ClickHouse does not answer.
    """
    settings = settings or load_settings()
    names = [instruments] if isinstance(instruments, str) else list(instruments)
    chosen = _chosen_columns(columns)
    chosen_horizon = settings.horizons[0] if horizon is None else horizon
    warehouse = Warehouse(settings)
    try:
        rows = warehouse.query_text(
            f"SELECT {select_list(tuple(chosen))} FROM `labels` AS t WHERE t.instrument_id IN {{names:Array(String)}} "
            "AND t.granularity = {granularity:String} AND t.horizon = {horizon:UInt16} "
            "AND t.ts >= toDateTime({start:UInt32}, 'UTC') AND t.ts < toDateTime({end:UInt32}, 'UTC') "
            "AND has({statuses:Array(String)}, toString(t.window_status)) ORDER BY t.instrument_id, t.ts",
            names=names,
            granularity=granularity,
            horizon=_in_range("horizon", chosen_horizon, 1, 2**16 - 1),
            start=0 if start is None else _epoch("start", start),
            end=_END_OF_TIME if end is None else _epoch("end", end),
            statuses=_chosen_statuses(status),
        )
        if not rows.num_rows:
            _refuse_what_is_not_stored(warehouse, names, granularity, chosen_horizon)
    finally:
        warehouse.close()
    table = shown_table(chosen, rows)
    if as_ == "arrow":
        return table
    frame = table.to_pandas(types_mapper=_pandas_types().get)
    return (
        frame.drop(columns="instrument_id").set_index("ts")
        if isinstance(instruments, str)
        else frame.set_index([*_KEY])
    )


def _pandas_types() -> dict[pa.DataType, Any]:
    """Types of pandas that have a NULL, for what would become a float or an object."""
    import pandas as pd  # noqa: PLC0415 - who wants Arrow need not pay

    return {
        pa.int8(): pd.Int8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }


def _chosen_columns(names: Sequence[str] | None) -> list[Column]:
    known = {column.name: column for column in LABELS.all_columns}
    asked = list(LABELS.names if names is None else [names] if isinstance(names, str) else names)
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise CatalogError(
            asked=f"columns {', '.join(map(repr, unknown))} of labels",
            found="no such columns",
            allowed=", ".join(known),
            action="use these names; docs/labels.md says what each holds",
        )
    return [known[name] for name in dict.fromkeys([*_KEY, *asked])]


def _chosen_statuses(status: str | Sequence[str] | None) -> list[str]:
    known = next(column.values for column in LABELS.all_columns if column.name == "window_status")
    asked = list(known) if status is None else [status] if isinstance(status, str) else list(status)
    if not asked or set(asked) - set(known):
        raise CatalogError(
            asked=f"rows with window_status {asked}",
            found="no such status",
            allowed=", ".join(known),
            action="use one of these, several, or None for all rows",
        )
    return asked


def _epoch(name: str, value: Time) -> int:
    """Epoch seconds of a time."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, datetime):
            value = int((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    except ValueError as error:
        raise CatalogError(
            asked=f"{name} = {value!r}",
            found=str(error),
            allowed='text such as "2024-03-01" or "2024-03-01T12:00", epoch seconds, a date or a datetime; UTC',
            action=f"mend {name}, or leave it out",
        ) from error
    return _in_range(name, value, 0, _END_OF_TIME)


def _in_range(name: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise CatalogError(
            asked=f"{name} = {value!r}",
            found="a value that ClickHouse does not take",
            allowed=f"whole numbers from {low} to {high}" + (" [epoch s]" if high == _END_OF_TIME else ""),
            action=f"mend {name}, or leave it out",
        )
    return value


def _refuse_what_is_not_stored(warehouse: Warehouse, names: Sequence[str], granularity: str, horizon: int) -> None:
    """No rows in a range is an answer; no rows at all is a wrong name."""
    stored = warehouse.query_text(
        "SELECT CAST(instrument_id AS String) AS instrument, CAST(granularity AS String) AS granularity, horizon "
        "FROM labels GROUP BY instrument_id, granularity, horizon ORDER BY instrument_id, granularity, horizon"
    ).to_pylist()
    kinds = {(row["instrument"], row["granularity"], row["horizon"]) for row in stored}
    if any((name, granularity, horizon) in kinds for name in names):
        return
    found = [f"{row['instrument']} {row['granularity']} {row['horizon']}" for row in stored]
    raise CatalogError(
        asked=f"labels of {', '.join(names)}, {granularity}, horizon {horizon}",
        found=f"none in database {warehouse.settings.database!r}",
        allowed=", ".join(found[:30]) + (f" and {len(found) - 30} more" if len(found) > 30 else "")
        if found
        else "nothing is stored there yet",
        action="use what is stored, materialize it, or check CLICKHOUSE_URL and LABEL_ASSETS_DATABASE",
    )
