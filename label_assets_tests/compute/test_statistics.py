"""Statistics of labels equal a plain count, and adding days gives months."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from label_assets.assets.partitions import month_start
from label_assets.catalog.columns import ColumnType
from label_assets.catalog.families import LABELS
from label_assets.catalog.statistics import (
    CLASS_COUNTS,
    DECILES,
    LABEL_COLUMNS,
    LABEL_STATISTICS,
    LABEL_STATISTICS_MONTHLY,
    SUMMED,
)
from label_assets.compute.statistics import _deciles, _Groups, day_starts, month_starts
from label_assets.settings import Settings
from label_assets_tests.assets.runs import contents, materialize


def test_every_label_has_statistics() -> None:
    known = {item.label for item in CLASS_COUNTS} | {column.name for column in SUMMED}
    left = {column.name for column in LABEL_COLUMNS} - known
    assert left == {"barrier_end_ts", "etb_end_ts", "etb_exit_price", "etb_upper", "etb_lower"}
    assert {column.type for column in LABEL_COLUMNS if column.name in left} == {ColumnType.TIME, ColumnType.PRICE}


def test_starts() -> None:
    ts = np.array([month_start("2024-02") - 1, month_start("2024-02"), month_start("2024-03") - 1])
    assert month_starts(ts).tolist() == [month_start("2024-01"), month_start("2024-02"), month_start("2024-02")]
    assert (day_starts(ts) % 86_400 == 0).all()
    assert (ts - day_starts(ts) < 86_400).all()


def test_counts_sums_and_deciles(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(granularities=("H1", "D"), horizons=(3, 6))
    assert materialize(settings, "EURUSD", ("2024-01", "2024-02")).success
    tables = contents(settings)
    labels = tables[LABELS.name].to_pylist()
    for table, starts in ((LABEL_STATISTICS, day_starts), (LABEL_STATISTICS_MONTHLY, month_starts)):
        groups: dict[tuple[str, int, int], list[dict]] = {}
        for row in labels:
            start = int(starts(np.array([row["ts"]]))[0])
            groups.setdefault((row["granularity"], row["horizon"], start), []).append(row)
        found = {(row["granularity"], row["horizon"], row["ts"]): row for row in tables[table.name].to_pylist()}
        assert set(found) == set(groups)
        for key, rows in groups.items():
            check_row(found[key], rows, has_deciles=table is LABEL_STATISTICS_MONTHLY)
    total = sum(row["label_rows"] for row in tables[LABEL_STATISTICS.name].to_pylist())
    assert total == len(labels) == sum(row["label_rows"] for row in tables[LABEL_STATISTICS_MONTHLY.name].to_pylist())


def test_deciles_are_those_of_numpy() -> None:
    generator = np.random.default_rng(3)
    for sizes in ([0, 1, 2, 3, 10, 11, 0, 500], [0], []):
        of_row = np.repeat(np.arange(len(sizes)), np.array(sizes, np.int64) + 1)
        values = generator.normal(size=len(of_row)).astype(np.float32).astype(np.float64)
        values[generator.random(len(values)) < 0.2] = -0.0
        known = np.append(of_row[1:] == of_row[:-1], False)[: len(of_row)]  # of each group all but the last
        found = _deciles(_Groups(of_row, np.searchsorted(of_row, np.arange(len(sizes)))), values, known).to_pylist()
        samples = [values[(of_row == group) & known] for group in range(len(sizes))]
        assert [len(sample) for sample in samples] == sizes
        assert found == [
            np.quantile(each, DECILES).astype(np.float32).tolist() if len(each) else [] for each in samples
        ]


def check_row(found: dict, rows: list[dict], *, has_deciles: bool) -> None:
    complete = [row for row in rows if row["window_status"] == 0]
    assert found["label_rows"] == len(rows)
    assert [found["complete_rows"], found["open_rows"], found["gap_rows"]] == [
        sum(row["window_status"] == code for row in rows) for code in range(3)
    ]
    for item in CLASS_COUNTS:
        assert found[item.column.name] == sum(row[item.label] == item.code for row in complete), item.column.name
    for column in SUMMED:
        values = [float(row[column.name]) for row in complete if row[column.name] is not None]
        assert found[f"{column.name}_count"] == len(values)
        assert found[f"{column.name}_sum"] == pytest.approx(math.fsum(values), rel=1e-9, abs=1e-12)
        squares = math.fsum(value * value for value in values)
        assert found[f"{column.name}_sum_squares"] == pytest.approx(squares, rel=1e-9)
        if has_deciles:
            deciles = found[f"{column.name}_deciles"]
            assert len(deciles) == (len(DECILES) if values else 0)
            assert deciles == sorted(deciles)
            for share, decile in zip(DECILES, deciles, strict=False):
                below = sum(value <= decile + 1e-9 + 1e-6 * abs(decile) for value in values)
                assert below >= math.floor(share * (len(values) - 1)) + 1
