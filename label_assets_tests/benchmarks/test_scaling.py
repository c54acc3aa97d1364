"""Sizes by hand, the simulation where it has a closed form, and the page, which shows what the program says."""

from dataclasses import replace

import pytest

from benchmarks.scaling import (
    BYTES,
    CLICKHOUSE_SHARE,
    PAGE,
    ROW_CPU_S,
    RUN_S,
    SCENARIOS,
    TICK_S,
    Scenario,
    events,
    measured_bytes,
    page_with_tables,
    postgres_bytes,
    run_memory_mb,
    run_rows,
    simulate,
    table_bytes,
    table_rows,
)
from label_assets.catalog.index import TABLES
from label_assets.settings import Settings
from label_assets_tests.serving.conftest import redis_url, stored  # noqa: F401 - fixtures

SMALL = Scenario("small", 2, 3, "M15", ("M15", "H4", "D"), ("H4", "D"), years_a_run=2)


def test_rows_and_bytes_by_hand() -> None:
    rows = table_rows(SMALL)
    # 6 instrument-years: M15 24,912, H4 1,557 and D 259.5 candles a year, as the demo has them.
    assert rows["raw_candles"] == 149_472
    assert rows["candles"] == 149_472 + 9_342 + 1_557
    assert rows["labels"] == rows["barriers"] == 9_342 + 1_557
    assert rows["level_events"] == pytest.approx(10_899 * 38_909 / 48_576)
    assert rows["label_statistics"] == pytest.approx(2 * 6 * 234.5)
    assert rows["label_statistics_monthly"] == 2 * 6 * 12
    assert table_bytes(SMALL)["labels"] == pytest.approx(10_899 * 133.7)


def test_runs_and_events_by_hand() -> None:
    assert SMALL.runs == 4  # years 1 and 2, then year 3, of two instruments
    assert run_rows(SMALL) == 2 * (1_557 + 259.5)
    # 501 events of a run over 24 months: 141, and 15 a month. Here 4 runs over 72 months.
    assert events(SMALL) == 4 * 141 + 72 * 15
    assert postgres_bytes(SMALL) == pytest.approx((4 * 141 + 72 * 15) * 1953.6 + 72 * 15 * 3 * 217.4, rel=1e-3)
    demo = replace(SMALL, instruments=3, years=2, labelled=("H1", "H4", "D", "W"), stored=("M15", "H1", "H4", "D", "W"))
    assert (demo.runs, events(demo)) == (3, 1_503)
    assert table_rows(demo)["labels"] == 48_576
    assert table_rows(demo)["candles"] == 198_048


def test_memory_is_what_was_measured_where_it_was() -> None:
    ten_years = replace(SCENARIOS[0], years=10, years_a_run=10)
    assert run_memory_mb(ten_years) == pytest.approx(764, rel=0.01)


@pytest.mark.parametrize(("runs", "rows"), [(1, 0), (1, 80_000), (7, 40_000)])
def test_one_place_does_one_run_after_the_other(runs: int, rows: int) -> None:
    found = simulate(runs, rows, 1, 4)
    least = TICK_S.value + runs * (RUN_S.value + rows * ROW_CPU_S.value)
    assert least <= found.hours * 3_600 <= least + runs  # a second of the queue each


def test_a_place_for_each_run_and_enough_of_clickhouse_take_the_time_of_one() -> None:
    assert simulate(50, 40_000, 50, 50).hours == pytest.approx(simulate(1, 40_000, 1, 1).hours)


def test_clickhouse_bounds_many_places() -> None:
    found = simulate(200, 2_000_000, 200, 2)
    assert found.hours * 3_600 >= 100 * 2_000_000 * ROW_CPU_S.value * CLICKHOUSE_SHARE.value
    assert 0.9 < found.clickhouse_busy <= 1


def test_more_of_anything_is_not_slower() -> None:
    hours = {(p, c): simulate(60, 100_000, p, c).hours for p in (1, 2, 8, 64) for c in (1, 2, 8)}
    for (places, cores), value in hours.items():
        assert all(value >= other for (p, c), other in hours.items() if p >= places and c >= cores)


def test_the_page_shows_what_the_program_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page_with_tables(text) == text, "python -m benchmarks.scaling --write"


def test_every_table_counts(stored: Settings, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Tables that hold only what is wrong or revised are left out; bytes are read off a real warehouse."""
    assert {table.name for table in TABLES} - set(BYTES) == {"rejected_candles", "candle_revisions"}
    monkeypatch.setenv("CLICKHOUSE_URL", str(stored.clickhouse_url))
    monkeypatch.setenv("LABEL_ASSETS_DATABASE", stored.database)
    found = measured_bytes()
    assert set(found) <= set(BYTES)
    assert found["labels"] == pytest.approx(BYTES["labels"].value, rel=0.5)  # a short history compresses differently
