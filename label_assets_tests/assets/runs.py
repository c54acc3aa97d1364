"""Runs of the real graph for tests, and a picture of everything that the warehouse holds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, partition_key
from label_assets.catalog.families import LABELS
from label_assets.catalog.index import TABLES
from label_assets.catalog.tables import CANDLE_REVISIONS
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import job_of

FAR_FUTURE = 2_145_916_800


def materialize(
    settings: Settings,
    instrument: str,
    months: tuple[str, str],
    selection: Iterable[str] | None = None,
    instance: dg.DagsterInstance | None = None,
    *,
    checks: bool = True,
) -> dg.ExecuteInProcessResult:
    """One run of the graph, or of some of its assets, over a range of months.

    Args:
        settings: The settings.
        instrument: The instrument.
        months: First and last month.
        selection: Assets; all where none is named.
        instance: Where events go; nowhere where it is None.
        checks: Run the checks, too, a third of the time of a run; they write nothing.
    """
    job = job_of(settings)
    keys = [dg.AssetKey(name) for name in selection] if selection else sorted(job.asset_layer.executable_asset_keys)
    if not checks:
        job = job.get_subset(asset_selection=set(keys), asset_check_selection=set())
    return job.execute_in_process(
        instance=instance or dg.DagsterInstance.ephemeral(),
        asset_selection=keys if selection and checks else None,
        tags={
            RANGE_START_TAG: partition_key(instrument, months[0]),
            RANGE_END_TAG: partition_key(instrument, months[1]),
        },
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=False,
    )


def contents(settings: Settings) -> dict[str, pa.Table]:
    """Every row of every view, in key order, without the time of writing and the log of revisions."""
    warehouse = Warehouse(settings)
    found = {}
    for table in TABLES:
        if table is CANDLE_REVISIONS:  # it tells in which order the rows came, and all other tables must not
            continue
        names = [name for name in table.names if name not in table.uncompared]
        columns = ", ".join(f"`{name}`" for name in names)
        found[table.name] = warehouse.query_text(
            f"SELECT {columns} FROM `{table.name}` ORDER BY {', '.join(table.key_names)}"
        )
    warehouse.close()
    return found


def label_rows(settings: Settings) -> list[dict[str, Any]]:
    """Rows of labels in key order: times as epoch seconds, enumerations by their names, without the time of writing."""
    rows = contents(settings)["labels"].to_pylist()
    names = {column.name: column.values for column in LABELS.columns if column.values}
    return [
        row | {name: None if row[name] is None else values[row[name]] for name, values in names.items()} for row in rows
    ]


def assert_same(left: dict[str, pa.Table], right: dict[str, pa.Table]) -> None:
    """Every table bit for bit the same."""
    for name, table in left.items():
        assert table.num_rows == right[name].num_rows, name
        for column in table.column_names:
            assert table[column].equals(right[name][column]), f"{name}.{column} differs"


def written(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    """Rows written by each asset of a run."""
    counts: dict[str, int] = {}
    for event in result.get_asset_materialization_events():
        metadata = event.materialization.metadata
        name = event.asset_key.to_user_string() if event.asset_key else ""
        counts[name] = counts.get(name, 0) + int(str(metadata["rows_written"].value))
        counts[name] += int(str(metadata["rows_removed"].value))
    return counts


def synthetic_frame(instrument: str, start_ts: int, end_ts: int) -> dict[str, np.ndarray]:
    """M15 candles of the synthetic market as columns of a Parquet file."""
    settings = Settings()
    market = SyntheticMarket(settings.synthetic.seed, settings.instruments, SessionCalendar(settings.session_open))
    candles = market.read(instrument, "M15", start_ts, end_ts, FAR_FUTURE).candles
    return {name: getattr(candles, name).copy() for name in ("ts", "open", "high", "low", "close", "volume")}


def write_parquet(path: Path, columns: dict[str, Any]) -> None:
    """A file of the landing folder; `ts` are epoch seconds."""
    table = pa.table(columns)
    stamps = table["ts"].cast(pa.timestamp("s", tz="UTC"))
    pq.write_table(table.set_column(table.schema.get_field_index("ts"), "ts", stamps), path)


def failures(result: dg.ExecuteInProcessResult) -> list[str]:
    """What each failed step says, innermost cause first."""
    found = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            found.append(f"{event.step_key}: {(error.cause or error).to_string() if error else ''}")
    return found
