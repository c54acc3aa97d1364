"""The checks columns_agree and no_overdue_open_rows: silent on sound rows, each rule finds what contradicts it."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.families.barriers import BARRIERS
from label_assets.catalog.tables import CANDLES
from label_assets.settings import Settings
from label_assets.warehouse.agreement import (
    NULL_RULE,
    RULES,
    count_disagreements,
    count_overdue_open_rows,
    null_violation,
)
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import INSTRUMENT, corrupt, erase, evaluations, failures, run_well, small
from label_assets_tests.assets.selected import run_selected
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY = "2024-01", "2024-02"
RAW = ["raw_candles", "candles"]

CONTRADICTIONS = {
    "times_are_in_order": [("", {"entry_ts": "t.ts"}), ("", {"horizon_end_ts": "t.entry_ts"})],
    "horizon_end_follows_status": [("", {"exit_price": "NULL"}), ("", {"window_status": "'open'"})],
    "complete_windows_are_covered": [("", {"coverage": "0.79"}), ("", {"path_bars": "0"})],
    "return_lies_between_excursions": [
        ("", {"mfe": "t.forward_return - 0.01"}),
        ("", {"mae": "t.forward_return + 0.01"}),
    ],
    "excursion_times_fit": [
        ("mfe > 0", {"time_to_mfe": "NULL"}),
        ("mfe > 0", {"mfe": "0"}),
        ("mae < 0", {"time_to_mae": "t.path_bars + 1"}),
    ],
    "returns_agree": [
        ("", {"forward_return": "t.forward_return * 1.000001"}),
        ("return_sign = 1", {"return_sign": "-1"}),
        ("return_sign = 1", {"return_sign": "0"}),
        ("return_sign = -1", {"log_return": "-t.log_return"}),
    ],
    "barrier_return_follows_label": [
        ("triple_barrier_label = 1", {"barrier_return": "-t.barrier_return"}),
        ("triple_barrier_label = 1", {"triple_barrier_label": "-1"}),
        ("triple_barrier_label = -1", {"triple_barrier_label": "0"}),
        ("triple_barrier_label = 0", {"triple_barrier_ambiguous": "true"}),
    ],
    "barrier_time_lies_in_window": [
        ("triple_barrier_label != 0", {"time_to_barrier": "t.path_bars + 1"}),
        ("triple_barrier_label != 0", {"barrier_end_ts": "t.entry_ts"}),
        ("triple_barrier_label = 0", {"barrier_end_ts": "t.horizon_end_ts + 900"}),
        ("triple_barrier_label = 0", {"time_to_barrier": "t.path_bars - 1"}),
    ],
    "level_barriers_enclose_entry": [
        ("isNotNull(atr)", {"etb_upper": "t.entry_price"}),
        ("isNotNull(atr)", {"etb_lower": "t.entry_price - 2.01 * t.atr"}),
        ("level_adjusted", {"level_adjusted": "false"}),
        ("NOT level_adjusted", {"level_adjusted": "true"}),
    ],
    "level_barrier_exit_follows_label": [
        ("enhanced_triple_barrier_label = 1", {"etb_barrier_hit": "'lower'"}),
        ("enhanced_triple_barrier_label = 1", {"etb_exit_price": "t.etb_upper - 0.00001"}),
        ("enhanced_triple_barrier_label = -1", {"etb_return": "t.etb_return / 2"}),
        ("enhanced_triple_barrier_label = 0", {"etb_ambiguous": "true"}),
    ],
    "level_barrier_time_lies_in_window": [
        ("enhanced_triple_barrier_label != 0", {"etb_time_to_barrier": "0"}),
        ("enhanced_triple_barrier_label = 0", {"etb_end_ts": "t.horizon_end_ts - 900"}),
    ],
    "touches_agree": [
        ("retouch_count > 0", {"max_touches_single_level": "t.retouch_count + 1"}),
        ("retouch_count > 0", {"next_touch_time": "NULL"}),
        ("retouch_count > 0", {"time_at_level": "0"}),
        ("time_at_level > 0", {"consecutive_touch_run": "t.time_at_level + 1"}),
    ],
    "breaks_agree": [
        ("breakout_occurred", {"breakout_occurred": "false"}),
        ("breakout_occurred", {"breakout_side": "'none'"}),
        ("breakout_occurred", {"breakout_time": "t.path_bars + 1"}),
        ("NOT breakout_occurred", {"false_breakout": "true"}),
    ],
    "flips_follow_breaks": [
        ("flip_occurred", {"flip_time": "t.breakout_time"}),
        ("flip_occurred", {"flip_count": "0"}),
        ("NOT flip_occurred", {"flip_occurred": "true"}),
    ],
    "events_add_up": [
        ("event_count > 0", {"event_count": "t.event_count - 1"}),
        ("NOT breakout_occurred", {"event_count": "t.event_count + 1"}),
        ("breakout_occurred", {"flip_count": "t.flip_count + 1"}),
    ],
    "next_event_comes_first": [
        ("next_event_type = 'touch'", {"next_event_type": "'break'"}),
        ("next_event_type = 'break'", {"time_to_next_event": "t.time_to_next_event + 1"}),
        ("next_event_type = 'none'", {"time_to_next_event": "1"}),
    ],
    "level_holds_fits": [
        ("breakout_occurred = false AND level_holds", {"level_holds": "false"}),
        ("levels_considered = 0", {"level_holds": "true"}),
    ],
    "without_levels_nothing_happens": [
        ("levels_considered > 0", {"nearest_level_role": "'none'"}),
        ("event_count > 0", {"levels_considered": "0"}),
    ],
    "path_shape_agrees": [
        ("", {"time_underwater": "t.path_bars + 1"}),
        ("forward_return > 0.0001", {"runup_height": "t.forward_return / 2"}),
        ("forward_return < -0.0001", {"drawdown_depth": "t.forward_return / 2"}),
        ("forward_return > 0.0001", {"path_sharpe": "-t.path_sharpe"}),
    ],
}
"""For each rule, rows that exist and a change of one column that breaks it."""


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(**small())


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    opened = Warehouse(settings)
    yield opened
    opened.close()


def _scope(first: str, end: str) -> Scope:
    start, stop = utc(first, end).tolist()
    return Scope(INSTRUMENT, start, stop)


@pytest.mark.slow
def test_every_rule_is_broken_by_what_contradicts_it_and_by_nothing_sound(
    settings: Settings, fill: Filled, warehouse: Warehouse
) -> None:
    fill(settings, JANUARY, FEBRUARY)
    scope = _scope("2024-01-01", "2024-03-01")
    sound = count_disagreements(warehouse, scope, settings)
    assert sound.rows > 1000
    assert not sound.where
    assert sum(sound.by_month.values()) == 0
    assert set(CONTRADICTIONS) == set(RULES)
    for rule, changes in CONTRADICTIONS.items():
        for where, change in changes:
            rows = "t.granularity = 'H1' AND t.window_status = 'complete' AND t.coverage = 1 AND isNotNull(t.atr)"
            first = f"t.ts = (SELECT min(ts) FROM labels AS t WHERE {rows} AND ({where or 1}))"
            restored = warehouse.read(LABELS, scope)
            assert corrupt(warehouse, "labels", f"t.granularity = 'H1' AND {first}", **change) == 1, (rule, where)
            found = count_disagreements(warehouse, scope, settings)
            assert found.where[f"H1 6 {rule}"] == 1, (rule, where, change, found)
            warehouse.upsert(LABELS, scope, restored)
    assert not count_disagreements(warehouse, scope, settings).where


def test_values_are_null_only_where_the_catalogue_says_so(
    settings: Settings, fill: Filled, warehouse: Warehouse
) -> None:
    fill(settings, JANUARY)
    scope = _scope("2024-01-01", "2024-02-01")
    complete = "t.granularity = 'H1' AND t.ts = toDateTime('2024-01-17 10:00:00', 'UTC')"
    opened = "t.granularity = 'D' AND t.window_status = 'open'"
    assert corrupt(warehouse, "labels", complete, log_return="NULL", volatility_ratio="NULL") == 1
    assert corrupt(warehouse, "labels", opened, max_bar_move="1", path_efficiency="1") == 6
    assert count_disagreements(warehouse, scope, settings).where == {
        f"H1 6 {NULL_RULE} log_return": 1,
        f"H1 6 {NULL_RULE} volatility_ratio": 1,
        f"D 6 {NULL_RULE} max_bar_move": 6,
        f"D 6 {NULL_RULE} path_efficiency": 6,
    }


def test_the_null_rule_covers_every_label_that_the_window_makes_null() -> None:
    covered = {column.name for family in FAMILIES for column in family.table.columns if null_violation(column)}
    others = {
        column.name
        for family in FAMILIES
        for column in family.table.columns
        if column.name not in covered and not column.known_at_entry
    }
    assert others == {column.name for column in BARRIERS.table.columns if not column.known_at_entry}
    assert null_violation(Column("level_adjusted", ColumnType.FLAG, "", null="while the ATR is undefined")) == ""


@pytest.mark.parametrize(
    "months", [(JANUARY,), pytest.param((JANUARY, FEBRUARY), marks=pytest.mark.slow)], ids=["one partition", "range"]
)
def test_a_contradiction_fails_the_run_and_is_placed(
    settings: Settings, fill: Filled, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, months: tuple[str, ...]
) -> None:
    fill(settings, JANUARY, FEBRUARY)

    def spoiled(*arguments: object) -> object:
        for day in ("2024-01-17", "2024-02-14"):
            corrupt(warehouse, "labels", f"t.granularity = 'H1' AND toDate(t.ts) = '{day}'", mfe="t.mae")
        monkeypatch.undo()
        return count_disagreements(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("label_assets.assets.agreement_checks.count_disagreements", spoiled)
    result = run_selected(settings, ["labels", "label_statistics"], *months)
    assert not result.success
    assert "agreement_checks" in failures(result)
    found = evaluations(result)["columns_agree"]
    assert found.blocking
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert set(found.metadata["by_partition"].value) == {f"{INSTRUMENT}|{month}" for month in months}
    rules = {place.split(" ")[3] for place in found.metadata["where"].value}
    assert rules == {"return_lies_between_excursions"}
    assert all(place.startswith(f"{INSTRUMENT} H1 6 ") for place in found.metadata["where"].value)
    assert found.metadata["violations"].value == sum(found.metadata["where"].value.values())
    assert found.metadata["checked"].value == f"{INSTRUMENT} {JANUARY}..{months[-1]}"
    assert found.metadata["rows_checked"].value > 500
    assert "label_statistics" not in {str(event.step_key) for event in result.get_step_success_events()}


def test_overdue_rows_are_named_with_the_months_to_materialize(settings: Settings, warehouse: Warehouse) -> None:
    """January's windows end in February: whoever materializes February alone leaves them open."""
    assert evaluations(run_well(settings, JANUARY))["no_overdue_open_rows"].passed
    february = run_well(settings, FEBRUARY)  # nothing is blocked: an open row is old, not wrong
    found = evaluations(february)["no_overdue_open_rows"]
    assert not found.passed
    assert not found.blocking
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.metadata["materialize"].value == f"{INSTRUMENT} {JANUARY}..{JANUARY}"
    assert (
        found.description == f"Materialize path_windows and everything after it of {INSTRUMENT} {JANUARY}..{JANUARY}."
    )
    assert found.metadata["by_partition"].value == {f"{INSTRUMENT}|{JANUARY}": 12}
    assert found.metadata["where"].value == {f"{INSTRUMENT} H1 6": 6, f"{INSTRUMENT} D 6": 6}

    mended = run_well(settings, JANUARY)
    assert evaluations(mended)["no_overdue_open_rows"].passed
    assert not count_overdue_open_rows(warehouse, INSTRUMENT, settings).by_month


def test_rows_are_overdue_from_the_candle_on_that_ends_their_window(settings: Settings, warehouse: Warehouse) -> None:
    run_well(settings, JANUARY)
    result = run_selected(settings, RAW, FEBRUARY)
    assert result.success, failures(result)
    newest = int(warehouse.client.command("SELECT toUnixTimestamp(max(ts)) FROM labels WHERE granularity = 'H1'"))
    for candles in range(8):
        later = f"SELECT ts FROM candles WHERE granularity = 'H1' AND ts > {newest} ORDER BY ts LIMIT {candles}"
        gone = f"t.granularity = 'H1' AND t.ts > {newest} AND t.ts > (SELECT max(ts) FROM ({later}))"
        stored = warehouse.read(CANDLES, _scope("2024-02-01", "2024-03-01"))
        erase(warehouse, "candles", gone)
        assert count_overdue_open_rows(warehouse, INSTRUMENT, settings).where["H1 6"] == min(candles, 6)
        warehouse.upsert(CANDLES, _scope("2024-02-01", "2024-03-01"), stored)
