"""Part `queries`: what the tables take on disk, and how long the typical questions take.

Belongs here: sizes and reading, of a warehouse that is as runs leave it. Does not belong here: filling it fast
(`history`, `backfill`).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import Figure, Measured, Size, figure
from benchmarks.homes import ALL_INSTRUMENTS, land_market, own_servers
from benchmarks.processes import peak_rss_here, watching
from label_assets.assets.partitions import month_start, next_month
from label_assets.catalog.index import TABLES
from label_assets.materialize import dagster_instance, materialize_range
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.schema import STORAGE_SUFFIX

INSTRUMENTS: dict[Size, tuple[str, ...]] = {
    "tiny": ALL_INSTRUMENTS[:1],
    "bench": ALL_INSTRUMENTS[:4],
    "full": ALL_INSTRUMENTS[:12],
}
MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-01", "2024-02"),
    "bench": ("2015-01", "2024-12"),
    "full": ("2015-01", "2024-12"),
}
REPETITIONS: dict[Size, int] = {"tiny": 2, "bench": 9, "full": 31}

TRAINING_COLUMNS = (
    *("forward_return", "vol_scaled_return", "triple_barrier_label", "time_to_barrier", "barrier_return"),
    *("mfe", "mae", "path_sharpe", "enhanced_triple_barrier_label", "average_uniqueness"),
)

BY_MONTH = (
    "SELECT instrument_id, granularity, horizon, toStartOfMonth(ts) AS month, "
    "countIf(triple_barrier_label = -1) AS lower, countIf(triple_barrier_label = 0) AS neither, "
    "countIf(triple_barrier_label = 1) AS upper FROM labels WHERE window_status = 'complete' "
    "GROUP BY ALL ORDER BY ALL"
)
BY_MONTH_FROM_STATISTICS = (
    "SELECT instrument_id, granularity, horizon, toDate(ts) AS month, "
    "toUInt64(triple_barrier_label_minus_1) AS lower, toUInt64(triple_barrier_label_0) AS neither, "
    "toUInt64(triple_barrier_label_1) AS upper FROM label_statistics_monthly "
    "WHERE complete_rows > 0 ORDER BY ALL"
)


class Question(NamedTuple):
    """A typical query.

    Attributes:
        name: What it asks.
        sql: The statement.
        parameters: Its parameters.
    """

    name: str
    sql: str
    parameters: dict[str, Any]


def questions(instrument: str, month: str) -> tuple[Question, ...]:
    """The typical queries; one of them is about a month of an instrument."""
    borders = {"name": instrument, "start": month_start(month), "end": month_start(next_month(month))}
    within = "ts >= toDateTime({start:UInt32}, 'UTC') AND ts < toDateTime({end:UInt32}, 'UTC')"
    one_month = f"SELECT * FROM labels WHERE instrument_id = {{name:String}} AND {within}"
    whole = "SELECT * FROM labels WHERE instrument_id = {name:String} AND granularity = 'H1'"
    training = ", ".join(TRAINING_COLUMNS)
    return (
        Question("one instrument, one month, all columns", one_month, borders),
        Question("one instrument, H1, its whole history, all columns", whole, {"name": instrument}),
        Question("one column, all instruments, H1",
                 "SELECT instrument_id, ts, mfe FROM labels WHERE granularity = 'H1'", {}),
        Question("class balance per month, from labels", BY_MONTH, {}),
        Question("class balance per month, from label_statistics_monthly", BY_MONTH_FROM_STATISTICS, {}),
        Question("training set, 10 columns, all instruments",
                 f"SELECT instrument_id, granularity, horizon, ts, {training} FROM labels "
                 "WHERE window_status = 'complete'", {}),
    )  # fmt: skip


def measure(size: Size, home: Path) -> Measured:
    """Fill a warehouse by runs, then ask."""
    names, months = INSTRUMENTS[size], MONTHS[size]
    with own_servers(home, instruments=list(names), first_month=months[0]) as settings, watching(home) as watch:
        land_market(home / "landing", names, months)
        with dagster_instance(settings) as instance:
            materialize_range(settings, instance, names, months)
        figures, notes = ask(settings, names[0], months[1], REPETITIONS[size])
    notes = [f"{len(names)} instruments, {months[0]} to {months[1]}, M15 candles, labels of H1, H4, D, W.", *notes]
    return Measured(figures, notes, watch.peak_rss | {"run": peak_rss_here()})


def ask(settings: Settings, instrument: str, month: str, repetitions: int) -> tuple[list[Figure], list[str]]:
    """Sizes, and the times of the typical queries, of a filled warehouse.

    Args:
        settings: Whose warehouse.
        instrument: The instrument of the questions about one.
        month: The month of the question about one.
        repetitions: How often each query runs, after one time that warms up.

    Returns:
        Figures and notes.
    """
    warehouse = Warehouse(settings)
    try:
        figures, notes = [*_sizes(warehouse)], []
        answers = {}
        for question in questions(instrument, month):
            milliseconds, answer = _time(warehouse, question, repetitions)
            answers[question.name] = answer
            figures.append(figure(question.name, "ms", "wall", milliseconds, "queries, as Arrow"))
        figures += [
            figure(f"rows of: {name}", "rows", "none", [answer.num_rows], "rows of the answers")
            for name, answer in answers.items()
        ]
        by_label, by_statistic = (answers[f"class balance per month, from {table}"].drop_columns("month")
                                  for table in ("labels", "label_statistics_monthly"))  # fmt: skip
        same = by_label.to_pylist() == by_statistic.to_pylist()
        notes.append(
            f"Class balances from `labels` and from `label_statistics_monthly` {'are the same' if same else 'DIFFER'} "
            f"({by_label.num_rows:,} and {by_statistic.num_rows:,} rows)."
        )
        return figures, notes
    finally:
        warehouse.close()


def _time(warehouse: Warehouse, question: Question, repetitions: int) -> tuple[list[float], Any]:
    milliseconds = []
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        answer = warehouse.query_text(question.sql, **question.parameters)
        milliseconds.append((time.perf_counter() - started) * 1e3)
    return milliseconds[1:], answer


def _sizes(warehouse: Warehouse) -> Iterator[Figure]:
    """Bytes a row by table, and by column of `labels`, compressed as they lie there."""
    group = "compressed bytes a row, by table"
    parts = warehouse.query_text(
        "SELECT table, toUInt64(sum(rows)) AS stored, toUInt64(sum(bytes_on_disk)) AS bytes, "
        "toUInt64(sum(data_uncompressed_bytes)) AS plain, toUInt64(count()) AS parts "
        "FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
    ).to_pylist()
    found = {row["table"].removesuffix(STORAGE_SUFFIX): row for row in parts if row["stored"]}
    for table in TABLES:
        if table.name in found:
            row = found[table.name]
            yield figure(table.name, "bytes a row", "none", [row["bytes"] / row["stored"]], group)
    total = sum(row["bytes"] for row in found.values())
    yield figure("all tables, for each label row", "bytes", "none", [total / found["labels"]["stored"]], group)
    yield figure("labels, not compressed", "bytes a row", "none",
                 [found["labels"]["plain"] / found["labels"]["stored"]], group)  # fmt: skip
    columns = warehouse.query_text(
        "SELECT name, toUInt64(data_compressed_bytes) AS bytes FROM system.columns "
        f"WHERE database = currentDatabase() AND table = 'labels{STORAGE_SUFFIX}' AND data_compressed_bytes > 0 "
        "ORDER BY data_compressed_bytes DESC"
    ).to_pylist()
    for row in columns:
        yield figure(
            f"labels.{row['name']}", "bytes a row", "none", [row["bytes"] / found["labels"]["stored"]],
            "compressed bytes a row, by column of labels",
        )  # fmt: skip
