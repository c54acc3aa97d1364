"""Landing files from the synthetic market, Dagster runs over them, and all that the database holds afterwards."""

import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from label_assets.assets.partitions import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    month_start,
    next_month,
    partition_key,
)
from label_assets.catalog.families import LABELS
from label_assets.catalog.index import TABLES, table
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.catalog.tables import CANDLE_REVISIONS
from label_assets.definitions import build_defs
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets.warehouse.client import Warehouse, select_list
from label_assets.warehouse.schema import storage_name

INSTRUMENT = "EURUSD"
FIRST_MONTH = "2024-01"
BASE_S = 900
CALENDAR = SessionCalendar("17:00 America/New_York")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
NOT_VALUES = {"computed_at"}

Rows = dict[str, NDArray[Any]]
"""Columns ts [epoch s], open, high, low, close, volume of a file that is yet to be written."""


def small(**overrides: Any) -> dict[str, Any]:
    """Settings of a small graph: one instrument, two granularities, from 2024 on."""
    return {"instruments": [INSTRUMENT], "granularities": ["H1", "D"], "first_month": FIRST_MONTH} | overrides


@lru_cache(maxsize=8)
def _candles(first_month: str, last_month: str) -> Any:
    market = SyntheticMarket(7, [item for item in DEFAULT_INSTRUMENTS if item.name == INSTRUMENT], CALENDAR)
    return market.read(INSTRUMENT, "M15", month_start(first_month), month_start(next_month(last_month)), 2**40).candles


def market_rows(first_month: str, last_month: str) -> Rows:
    """A copy of the synthetic market's M15 candles of some months, to be spoiled by the test."""
    candles = _candles(first_month, last_month)
    return {name: getattr(candles, name).copy() for name in ("ts", "open", "high", "low", "close", "volume")}


def taken(rows: Rows, index: Any) -> Rows:
    """Some of the rows, by mask, slice or indices."""
    return {name: values[index] for name, values in rows.items()}


def joined(*parts: Rows) -> Rows:
    """Rows one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def write_rows(folder: Path, rows: Rows, name: str = f"{INSTRUMENT}_M15.parquet") -> Path:
    """Write a landing file; stamps in milliseconds, UTC. A stamp of 0 becomes NULL."""
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = dict(rows)
    columns["ts"] = pa.array(rows["ts"] * 1000, pa.timestamp("ms", "UTC"), mask=rows["ts"] == 0)
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


_jobs: OrderedDict[bytes, dg.JobDefinition] = OrderedDict()
KEPT_JOBS = 8


def job_of(settings: Settings) -> dg.JobDefinition:
    """The whole graph, checks included; it opens nothing before a run. Those of the last settings are kept."""
    key = pickle.dumps(settings)  # JSON hides secrets
    if key not in _jobs:
        _jobs[key] = build_defs(settings).resolve_implicit_global_asset_job_def()
    _jobs.move_to_end(key)
    while len(_jobs) > KEPT_JOBS:
        _jobs.popitem(last=False)
    return _jobs[key]


def run_months(settings: Settings, *months: str) -> dg.ExecuteInProcessResult:
    """One Dagster run of the whole graph: a single partition for one month, a range from first to last for two."""
    job = job_of(settings)
    with dg.DagsterInstance.ephemeral() as instance:
        if len(months) == 1:
            return job.execute_in_process(
                instance=instance,
                partition_key=partition_key(INSTRUMENT, months[0]),
                run_config=QUIET,
                raise_on_error=False,
            )
        tags = {
            RANGE_START_TAG: partition_key(INSTRUMENT, months[0]),
            RANGE_END_TAG: partition_key(INSTRUMENT, months[1]),
        }
        return job.execute_in_process(instance=instance, tags=tags, run_config=QUIET, raise_on_error=False)


def run_well(settings: Settings, *months: str) -> dg.ExecuteInProcessResult:
    """A run that must succeed."""
    result = run_months(settings, *months)
    assert result.success, failures(result)
    return result


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Message of the cause of each failed step."""
    found = {}
    for event in result.all_events:
        if event.event_type == dg.DagsterEventType.STEP_FAILURE:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            found[str(event.step_key)] = cause.message.strip() if cause else ""
    return found


def succeeded(result: dg.ExecuteInProcessResult) -> set[str]:
    """Steps that ran to their end."""
    return {str(e.step_key) for e in result.all_events if e.event_type == dg.DagsterEventType.STEP_SUCCESS}


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, dict[str, Any]]:
    """Metadata of an asset's materializations, by month."""
    found = {}
    for event in result.asset_materializations_for_node(asset):
        values = {name: entry.value for name, entry in event.metadata.items()}
        found[str(event.partition).rsplit("|", 1)[1]] = values
    return found


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Check evaluations by name of the check."""
    return {found.check_name: found for found in result.get_asset_check_evaluations()}


def contents(warehouse: Warehouse, *, without: Sequence[str] = ()) -> dict[str, pa.Table]:
    """Every row of every view in key order, times and enumerations as integers, computed_at left out.

    So is the log of revisions: it tells in which order the rows came, and all other tables must not.
    """
    found = {}
    for each in TABLES:
        if each is CANDLE_REVISIONS or each.name in without:
            continue
        columns = tuple(column for column in each.all_columns if column.name not in NOT_VALUES)
        order = ", ".join(f"t.`{name}`" for name in each.key_names)
        found[each.name] = warehouse.query_text(
            f"SELECT {select_list(columns)} FROM `{each.name}` AS t ORDER BY {order}"
        )
    return found


def differences(left: Mapping[str, pa.Table], right: Mapping[str, pa.Table]) -> dict[str, str]:
    """Tables that are not the same to the bit, with the first difference; empty where all are."""
    assert left.keys() == right.keys()
    return {name: _first_difference(left[name], right[name]) for name in left if not left[name].equals(right[name])}


def _first_difference(left: pa.Table, right: pa.Table) -> str:
    if left.num_rows != right.num_rows:
        return f"{left.num_rows} rows against {right.num_rows}"
    for name in left.column_names:
        pairs = zip(left[name].to_pylist(), right[name].to_pylist(), strict=True)
        for row, (a, b) in enumerate(pairs):
            if a != b:
                return f"column {name}, row {row}: {a!r} against {b!r}"
    return "schema or NaN"


def stored_ts(warehouse: Warehouse, name: str, granularity: str) -> list[int]:
    """Open times of the rows that a view holds of one granularity."""
    where = "t.granularity = {granularity:String}"
    found = warehouse.query_text(
        f"SELECT toUnixTimestamp(t.ts) AS ts FROM `{name}` AS t WHERE {where} ORDER BY t.ts", granularity=granularity
    )
    return list(found["ts"].to_pylist())


def rejections(warehouse: Warehouse) -> dict[tuple[str, int], tuple[str, int, str]]:
    """Reason, stamp [epoch s] and detail of each rejected row, by file and line."""
    rows = warehouse.query_text(
        "SELECT source_file, line, reason, toUnixTimestamp(t.ts) AS filed, detail FROM rejected_candles AS t"
    ).to_pylist()
    return {(row["source_file"], row["line"]): (row["reason"], row["filed"], row["detail"]) for row in rows}


def corrupt(warehouse: Warehouse, name: str, where: str, **expressions: str) -> int:
    """Write changed copies of stored rows behind the back of the pipeline, with a higher version.

    Args:
        warehouse: The database.
        name: Table whose storage is written.
        where: Which rows of the view `t`.
        **expressions: New value of a column, in SQL.

    Returns:
        Rows written.
    """
    return _write_behind(warehouse, name, where, expressions, is_deleted=0)


def erase(warehouse: Warehouse, name: str, where: str) -> int:
    """Write tombstones of stored rows behind the back of the pipeline; returns how many."""
    return _write_behind(warehouse, name, where, {}, is_deleted=1)


def _write_behind(
    warehouse: Warehouse, name: str, where: str, expressions: Mapping[str, str], *, is_deleted: int
) -> int:
    storage = storage_name(table(name))
    columns = table(name).names
    values = [f"({expressions[column]})" if column in expressions else f"t.`{column}`" for column in columns]
    count = int(warehouse.client.command(f"SELECT count() FROM `{name}` AS t WHERE {where}"))
    newest = int(warehouse.client.command(f"SELECT max(version) FROM `{storage}`"))
    warehouse.client.command(
        f"INSERT INTO `{storage}` ({', '.join(f'`{column}`' for column in columns)}, version, is_deleted) "
        f"SELECT {', '.join(values)}, {newest + 1}, {is_deleted} FROM `{name}` AS t WHERE {where}"
    )
    return count


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings as variables for another process."""
    landing = {"LABEL_ASSETS_LANDING_FOLDER": str(settings.landing_folder)} if settings.landing_folder else {}
    return (
        landing
        | {
            "LABEL_ASSETS_HOME": str(settings.home),
            "LABEL_ASSETS_DATABASE": settings.database,
            "LABEL_ASSETS_SOURCE": settings.source,
            "LABEL_ASSETS_INSTRUMENTS": ",".join(item.name for item in settings.instruments),
            "LABEL_ASSETS_GRANULARITIES": ",".join(settings.granularities),
            "LABEL_ASSETS_HORIZONS": ",".join(str(horizon) for horizon in settings.horizons),
            "LABEL_ASSETS_FIRST_MONTH": settings.first_month,
        }
        | ({"CLICKHOUSE_URL": settings.clickhouse_url} if settings.clickhouse_url else {})
    )


LABEL_TABLES = tuple(each.name for each in TABLES if "horizon" in each.key_names)
"""Tables with one row for each labelled candle and horizon."""

assert LABELS.name in LABEL_TABLES
