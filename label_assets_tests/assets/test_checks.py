"""Blocking checks in real runs: silent on good data, and each finds, counts and places what is put under its eyes.

A check runs right after the asset that would mend what a test has spoiled. So the tests spoil the storage between the
two: that, and nothing else, is injected.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import pytest

from label_assets.assets import checks as checks_module
from label_assets.assets.checks import CANDLE_CHECKS, LABEL_CHECKS, SOURCE_CHECKS
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.index import table
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.schema import create_view, storage_name
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import (
    INSTRUMENT,
    LABEL_TABLES,
    contents,
    corrupt,
    differences,
    erase,
    evaluations,
    failures,
    market_rows,
    run_months,
    run_well,
    small,
    stored_ts,
    succeeded,
    taken,
    write_rows,
)
from label_assets_tests.assets.selected import run_selected
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY = "2024-01", "2024-02"
CHECKED = {
    **dict.fromkeys(SOURCE_CHECKS, "raw_candles"),
    **dict.fromkeys(CANDLE_CHECKS, "candles"),
    **dict.fromkeys(LABEL_CHECKS, "labels"),
}
OTHER_CHECKS = {"gap_check", "agreement_checks", "look_ahead_audit", "drift_check"}
"""Steps that look at the same spoiled rows; what they find is the matter of test_agreement, test_audit, test_gaps."""

BEFORE_CANDLE_CHECKS = {"raw_candles", "source_checks", "candles"}
MONTHS = pytest.mark.parametrize("months", [(JANUARY,), (JANUARY, FEBRUARY)], ids=["one partition", "range"])


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(**small())


@pytest.fixture
def filled(settings: Settings, fill: Filled) -> Iterator[Warehouse]:
    """January and February, sound."""
    fill(settings, JANUARY, FEBRUARY)
    warehouse = Warehouse(settings)
    yield warehouse
    warehouse.close()


def _evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {name: evaluation for name, evaluation in evaluations(result).items() if name in CHECKED}


def _failed(result: dg.ExecuteInProcessResult) -> set[str]:
    return set(failures(result)) - OTHER_CHECKS


def _succeeded(result: dg.ExecuteInProcessResult) -> set[str]:
    return succeeded(result) - OTHER_CHECKS


def _found(result: dg.ExecuteInProcessResult) -> dict[str, tuple[int, dict[str, int]]]:
    """Count and places of each check that did not pass; its metadata must agree with its verdict."""
    found = {}
    for name, evaluation in _evaluations(result).items():
        violations = evaluation.metadata["violations"].value
        where = evaluation.metadata["where"].value if "where" in evaluation.metadata else {}
        assert evaluation.passed == (violations == 0) == (where == {}), name
        assert evaluation.blocking, name
        assert evaluation.severity == dg.AssetCheckSeverity.ERROR, name
        if not evaluation.passed:
            found[name] = (violations, where)
    return found


@MONTHS
def test_sound_data_pass_every_check_and_all_rows_were_looked_at(
    settings: Settings, filled: Warehouse, months: tuple[str, ...]
) -> None:
    result = run_well(settings, *months)
    assert {name: found.asset_key.to_user_string() for name, found in _evaluations(result).items()} == CHECKED
    assert _found(result) == {}
    # Buckets that straddle the turn of the year belong to a month that is no partition.
    last = "2024-02-01" if len(months) == 1 else "2024-03-01"
    in_range = f"t.ts >= '2024-01-01' AND t.ts < '{last}'"
    for name, evaluation in _evaluations(result).items():
        rows = int(filled.client.command(f"SELECT count() FROM `{CHECKED[name]}` AS t WHERE {in_range}"))
        assert evaluation.metadata["rows_checked"].value == rows > 500, name


class Fault(NamedTuple):
    """What is put into the storage, and which checks must say what about it, of January and of both months.

    What is found in February is what is found in both and not in January.
    """

    spoil: Callable[[Warehouse], None]
    january: dict[str, tuple[int, dict[str, int]]]
    both: dict[str, tuple[int, dict[str, int]]]

    def found_in(self, *months: str) -> dict[str, tuple[int, dict[str, int]]]:
        return self.january if len(months) == 1 else self.both

    def by_partition(self, check: str, *months: str) -> dict[str, int]:
        january, both = (found.get(check, (0, {}))[0] for found in (self.january, self.both))
        counts = {f"{INSTRUMENT}|{JANUARY}": january, f"{INSTRUMENT}|{FEBRUARY}": both - january}
        return {key: count for key, count in counts.items() if count and key.endswith(months)}


def _same(found: dict[str, tuple[int, dict[str, int]]]) -> dict[str, dict[str, tuple[int, dict[str, int]]]]:
    return {"january": found, "both": found}


def _one(granularity: str, text: str) -> str:
    return f"t.granularity = '{granularity}' AND t.ts = toDateTime('{text}', 'UTC')"


def _spoil_prices(warehouse: Warehouse) -> None:
    assert corrupt(warehouse, "candles", _one("M15", "2024-01-17 10:15:00"), high="t.low / 2") == 1
    assert corrupt(warehouse, "candles", _one("M15", "2024-01-18 10:15:00"), low="-t.low") == 1
    assert corrupt(warehouse, "candles", _one("H1", "2024-01-19 10:00:00"), close="nan") == 1
    assert corrupt(warehouse, "candles", _one("D", "2024-02-13 22:00:00"), high="inf") == 1


def _spoil_stamps(warehouse: Warehouse) -> None:
    # Saturday noon, when nothing else is there: off the grid of H1, but with the close time of its bucket.
    seven = {"ts": "toDateTime('2024-01-20 12:07:00', 'UTC')", "close_ts": "toDateTime('2024-01-20 13:00:00', 'UTC')"}
    assert corrupt(warehouse, "candles", _one("H1", "2024-01-19 10:00:00"), **seven) == 1
    # The last candle before a weekend ends a minute late, the one of a Tuesday a minute early.
    assert corrupt(warehouse, "candles", _one("M15", "2024-02-02 21:45:00"), close_ts="t.close_ts + 60") == 1
    assert corrupt(warehouse, "candles", _one("D", "2024-01-15 22:00:00"), close_ts="t.close_ts - 60") == 1


def _spoil_order(warehouse: Warehouse) -> None:
    # Two candles that last until after the next one has opened: their own stamps are wrong with that.
    assert corrupt(warehouse, "candles", _one("H1", "2024-01-17 10:00:00"), close_ts="t.close_ts + 1") == 1
    assert corrupt(warehouse, "candles", _one("H4", "2024-02-14 14:00:00"), close_ts="t.close_ts + 14400") == 1


def _repeat(warehouse: Warehouse, name: str, where: str) -> None:
    """Make a view give some rows twice: the storage's own key lets no insert do it."""
    columns = ", ".join(f"t.`{column}`" for column in table(name).names)
    rows = f"SELECT {columns} FROM `{storage_name(table(name))}` AS t FINAL"
    warehouse.client.command(f"CREATE OR REPLACE VIEW `{name}` AS {rows} UNION ALL {rows} WHERE {where}")


def _restore_views(warehouse: Warehouse) -> None:
    for name in ("candles", "labels"):
        warehouse.client.command(create_view(table(name)))


def _spoil_keys(warehouse: Warehouse) -> None:
    quarters = ", ".join(f"toDateTime('{day} 10:15:00', 'UTC')" for day in ("2024-01-17", "2024-01-18", "2024-02-14"))
    _repeat(warehouse, "candles", f"t.granularity = 'M15' AND t.ts IN ({quarters})")


def _lose_raw_rows(warehouse: Warehouse) -> None:
    assert erase(warehouse, "raw_candles", "toStartOfHour(t.ts) = toDateTime('2024-01-17 10:00:00', 'UTC')") == 4
    assert erase(warehouse, "raw_candles", _one("M15", "2024-02-14 10:15:00")) == 1


def _change_raw_rows(warehouse: Warehouse) -> None:
    assert corrupt(warehouse, "raw_candles", _one("M15", "2024-01-17 10:15:00"), volume="t.volume + 1") == 1
    assert corrupt(warehouse, "raw_candles", _one("M15", "2024-02-14 10:15:00"), high="t.high * 1.001") == 1
    # Another writer's candle, on a Saturday: the check says nothing of what the source does not have.
    saturday = "toDateTime('2024-01-20 12:00:00', 'UTC')"
    assert corrupt(warehouse, "raw_candles", _one("M15", "2024-01-17 10:15:00"), ts=saturday) == 1


ACCOUNT = "rows_are_accounted_for"
SOURCE_FAULTS = {
    "rows too few": Fault(
        _lose_raw_rows,
        january={ACCOUNT: (4, {f"{INSTRUMENT} candles_missing": 4})},
        both={ACCOUNT: (5, {f"{INSTRUMENT} candles_missing": 5})},
    ),
    "other values": Fault(
        _change_raw_rows,
        january={ACCOUNT: (1, {f"{INSTRUMENT} candles_different": 1})},
        both={ACCOUNT: (2, {f"{INSTRUMENT} candles_different": 2})},
    ),
}


CANDLE_FAULTS = {
    "ohlc_holds": Fault(
        _spoil_prices,
        january={"ohlc_holds": (3, {f"{INSTRUMENT} M15": 2, f"{INSTRUMENT} H1": 1})},
        both={"ohlc_holds": (4, {f"{INSTRUMENT} M15": 2, f"{INSTRUMENT} H1": 1, f"{INSTRUMENT} D": 1})},
    ),
    "stamps_are_aligned": Fault(
        _spoil_stamps,
        january={"stamps_are_aligned": (2, {f"{INSTRUMENT} H1": 1, f"{INSTRUMENT} D": 1})},
        both={"stamps_are_aligned": (3, {f"{INSTRUMENT} H1": 1, f"{INSTRUMENT} D": 1, f"{INSTRUMENT} M15": 1})},
    ),
    "candles_are_in_order": Fault(
        _spoil_order,
        january={name: (1, {f"{INSTRUMENT} H1": 1}) for name in ("candles_are_in_order", "stamps_are_aligned")},
        both={
            name: (2, {f"{INSTRUMENT} H1": 1, f"{INSTRUMENT} H4": 1})
            for name in ("candles_are_in_order", "stamps_are_aligned")
        },
    ),
    "keys_are_unique": Fault(
        _spoil_keys,
        # The second of two candles with one stamp also opens before the first has ended.
        january={name: (2, {f"{INSTRUMENT} M15": 2}) for name in ("candles_are_in_order", "keys_are_unique")},
        both={name: (3, {f"{INSTRUMENT} M15": 3}) for name in ("candles_are_in_order", "keys_are_unique")},
    ),
}


def _spoil_values(warehouse: Warehouse) -> None:
    assert corrupt(warehouse, "labels", "t.granularity = 'H1' AND toDate(t.ts) = '2024-01-17'", mfe="-0.5") == 24
    assert corrupt(warehouse, "labels", _one("H1", "2024-01-18 10:00:00"), triple_barrier_label="2") == 1
    assert corrupt(warehouse, "labels", _one("H1", "2024-01-18 11:00:00"), forward_return="nan") == 1
    assert corrupt(warehouse, "labels", _one("H1", "2024-02-14 11:00:00"), forward_return="-inf") == 1
    assert corrupt(warehouse, "labels", _one("D", "2024-02-13 22:00:00"), coverage="1.5") == 1


def _lose_rows(warehouse: Warehouse) -> None:
    assert erase(warehouse, "labels", "t.granularity = 'H1' AND toDate(t.ts) = '2024-01-17'") == 24
    assert erase(warehouse, "labels", _one("D", "2024-02-13 22:00:00")) == 1


def _add_rows(warehouse: Warehouse) -> None:
    # A candle that does not exist, a horizon that is not configured, a granularity without labels.
    nowhere = "toDateTime('2024-01-20 12:00:00', 'UTC')"
    assert corrupt(warehouse, "labels", _one("H1", "2024-01-17 10:00:00"), ts=nowhere) == 1
    assert corrupt(warehouse, "labels", _one("H1", "2024-01-17 10:00:00"), horizon="7") == 1
    assert corrupt(warehouse, "labels", _one("D", "2024-02-13 22:00:00"), granularity="'H4'") == 1


def _double_rows(warehouse: Warehouse) -> None:
    hours = ", ".join(f"toDateTime('{day} 10:00:00', 'UTC')" for day in ("2024-01-17", "2024-02-14"))
    _repeat(warehouse, "labels", f"t.granularity = 'H1' AND t.ts IN ({hours})")


ROWS = "one_row_per_candle_and_horizon"
LABEL_FAULTS = {
    "values_are_in_range": Fault(
        _spoil_values,
        january={
            "values_are_in_range": (
                26,
                {
                    f"{INSTRUMENT} mfe": 24,
                    f"{INSTRUMENT} triple_barrier_label": 1,
                    f"{INSTRUMENT} forward_return": 1,
                },
            )
        },
        both={
            "values_are_in_range": (
                28,
                {
                    f"{INSTRUMENT} mfe": 24,
                    f"{INSTRUMENT} triple_barrier_label": 1,
                    f"{INSTRUMENT} forward_return": 2,
                    f"{INSTRUMENT} coverage": 1,
                },
            )
        },
    ),
    "rows too few": Fault(
        _lose_rows,
        january={ROWS: (24, {f"{INSTRUMENT} missing_rows": 24})},
        both={ROWS: (25, {f"{INSTRUMENT} missing_rows": 25})},
    ),
    "rows too many": Fault(
        _add_rows,
        january={ROWS: (2, {f"{INSTRUMENT} surplus_rows": 2})},
        both={ROWS: (3, {f"{INSTRUMENT} surplus_rows": 3})},
    ),
    "rows twice": Fault(
        _double_rows,
        january={ROWS: (1, {f"{INSTRUMENT} duplicate_rows": 1})},
        both={ROWS: (2, {f"{INSTRUMENT} duplicate_rows": 2})},
    ),
}


def _assert_found(fault: Fault, result: dg.ExecuteInProcessResult, months: tuple[str, ...]) -> None:
    assert not result.success
    assert _found(result) == fault.found_in(*months), failures(result)
    for name, found in _evaluations(result).items():
        by_partition = found.metadata["by_partition"].value if "by_partition" in found.metadata else {}
        assert by_partition == fault.by_partition(name, *months), name


def _spoil_before(
    monkeypatch: pytest.MonkeyPatch, counting: str, spoil: Callable[[Warehouse], None], warehouse: Warehouse
) -> None:
    """Spoil the storage once, right before the run's checks count."""
    count = getattr(checks_module, counting)
    todo = [spoil]

    def spoiled(*arguments: object) -> object:
        if todo:
            todo.pop()(warehouse)
        return count(*arguments)

    monkeypatch.setattr(checks_module, counting, spoiled)


@MONTHS
@pytest.mark.parametrize(
    ("finding", "faults", "assets"),
    [
        ("find_source_violations", SOURCE_FAULTS, ["raw_candles", "candles"]),
        ("find_candle_violations", CANDLE_FAULTS, ["candles", "path_windows"]),
        ("find_label_violations", LABEL_FAULTS, ["labels", "label_statistics"]),
    ],
    ids=["source", "candles", "labels"],
)
def test_checks_count_place_and_block(
    settings: Settings,
    filled: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    months: tuple[str, ...],
    finding: str,
    faults: dict[str, Fault],
    assets: list[str],
) -> None:
    """What follows is not made; the same run without the fault mends all."""
    checked, after = assets
    before = contents(filled)
    for fault in faults.values():
        with monkeypatch.context() as patch:
            _spoil_before(patch, finding, fault.spoil, filled)
            result = run_selected(settings, assets, *months)
        _restore_views(filled)
        _assert_found(fault, result, months)
        assert checked in succeeded(result)
        assert after not in succeeded(result)
        message = next(text for step, text in failures(result).items() if step not in OTHER_CHECKS)
        assert all(name in message for name in fault.found_in(*months))
        mended = run_selected(settings, [checked], JANUARY, FEBRUARY)  # also what a single month does not own
        assert mended.success, failures(mended)
        assert differences(before, contents(filled)) == {}


def test_every_check_has_a_fault_that_it_finds() -> None:
    """A check that is added without one is not tested."""
    reported = {
        name
        for fault in (*SOURCE_FAULTS.values(), *CANDLE_FAULTS.values(), *LABEL_FAULTS.values())
        for name in fault.both
    }
    assert reported == set(CHECKED)


def test_what_is_wrong_elsewhere_is_not_reported(settings: Settings, filled: Warehouse) -> None:
    """A run of January neither sees nor mends February; a run of February does both."""
    assert corrupt(filled, "candles", _one("M15", "2024-02-14 10:15:00"), high="t.low / 2") == 1
    assert corrupt(filled, "labels", _one("H1", "2024-02-14 10:00:00"), mfe="-0.5") == 1
    spoiled = contents(filled)
    assert _found(run_well(settings, JANUARY)) == {}
    assert differences(spoiled, contents(filled)) == {}
    assert _found(run_well(settings, FEBRUARY)) == {}
    assert set(differences(spoiled, contents(filled))) == {"candles", "labels"}


@MONTHS
def test_wrong_candles_never_become_labels(
    make_settings: Callable[..., Settings], tmp_path: Path, months: tuple[str, ...]
) -> None:
    """A raw candle that was spoiled in the storage, where the file of the day no longer reaches it."""
    folder = tmp_path / "landing"
    settings = make_settings(source="landing", landing_folder=folder, **small())
    rows = market_rows(JANUARY, FEBRUARY)
    write_rows(folder, rows)
    run_well(settings, JANUARY, FEBRUARY)
    warehouse = Warehouse(settings)
    before = contents(warehouse)
    write_rows(folder, taken(rows, rows["ts"] < utc("2024-01-20 00:00")[0]))
    assert corrupt(warehouse, "raw_candles", _one("M15", "2024-01-25 10:15:00"), low="t.high * 2") == 1

    result = run_months(settings, *months)
    assert not result.success
    assert _succeeded(result) == BEFORE_CANDLE_CHECKS
    assert _failed(result) == {"candle_checks"}
    # The quarter and, as its low is above them, no coarser candle: a minimum ignores what is too high.
    assert _found(result) == {"ohlc_holds": (1, {f"{INSTRUMENT} M15": 1})}
    planned = {"path_windows", *(family.name for family in FAMILIES), "labels", "label_checks"}
    assert planned.isdisjoint(succeeded(result))
    assert _materialized(result) == {"raw_candles", "candles"}
    after = contents(warehouse)
    assert set(differences(before, after)) == {"raw_candles", "candles"}
    assert all(before[name].equals(after[name]) for name in LABEL_TABLES)
    assert int(utc("2024-01-25 10:15")[0]) in stored_ts(warehouse, "candles", "M15")

    # The full file again: mended, run through, and as if nothing had been.
    write_rows(folder, rows)
    run_well(settings, *months)
    assert differences(before, contents(warehouse)) == {}
    warehouse.close()


def _materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.to_user_string() for event in result.get_asset_materialization_events() if event.asset_key}
