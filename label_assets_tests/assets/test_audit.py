"""The look-ahead audit: silent on sound rows, and it finds what a computation or another writer brings in."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import numpy as np
import pytest

from label_assets.assets.audit_check import MOST_ROWS, ROWS_EACH, sampled_rows
from label_assets.assets.partitions import month_runs, partition_key
from label_assets.compute import families
from label_assets.compute.audit import KNOWN_AT_ENTRY, RowKey, bits, scrambled
from label_assets.kernels.arrays import Candles
from label_assets.kernels.excursions import excursions
from label_assets.kernels.windows import COMPLETE
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import INSTRUMENT, corrupt, erase, evaluations, failures, small
from label_assets_tests.assets.selected import run_selected

JANUARY, FEBRUARY = "2024-01", "2024-02"
MONTHS = pytest.mark.parametrize(
    "months", [(JANUARY,), pytest.param((JANUARY, FEBRUARY), marks=pytest.mark.slow)], ids=["one partition", "range"]
)
KEY = RowKey(INSTRUMENT, "H1", 6, 1_705_485_600)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(**small(horizons=[3, 6]))


@pytest.fixture
def filled(settings: Settings, fill: Filled) -> Iterator[Warehouse]:
    """January and February, sound."""
    fill(settings, JANUARY, FEBRUARY)
    warehouse = Warehouse(settings)
    yield warehouse
    warehouse.close()


def audit(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    found = evaluations(result)["look_ahead_audit"]
    assert found.blocking
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.passed == ("look_ahead_audit" not in failures(result))
    return found


def shown(evaluation: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    """Rows of the table of differences."""
    table = evaluation.metadata["differences"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


@MONTHS
def test_sound_rows_come_out_to_the_bit(settings: Settings, filled: Warehouse, months: tuple[str, ...]) -> None:
    found = audit(run_selected(settings, ["labels"], *months))
    assert found.passed
    assert found.metadata["rows_audited"].value == ROWS_EACH * len(settings.granularities) * len(settings.horizons)
    assert found.metadata["rows_differing"].value == 0
    by_partition = found.metadata["audited_by_partition"].value
    assert set(by_partition) <= {partition_key(INSTRUMENT, month) for month in months}
    assert found.metadata["checked"].value == f"{INSTRUMENT} {JANUARY}..{months[-1]}"


@MONTHS
def test_a_row_that_somebody_else_wrote_is_found(
    settings: Settings, filled: Warehouse, monkeypatch: pytest.MonkeyPatch, months: tuple[str, ...]
) -> None:
    """Every H1 row gets another mae, by the last bit: no range and no rule between columns can tell."""
    changed = "reinterpretAsFloat32(reinterpretAsUInt32(t.mae) + 1)"

    def spoiled(*arguments: Any) -> list[RowKey]:
        monkeypatch.undo()
        assert corrupt(filled, "labels", "t.granularity = 'H1' AND t.mae < 0", mae=changed) > 500
        return sampled_rows(*arguments)

    monkeypatch.setattr("label_assets.assets.audit_check.sampled_rows", spoiled)
    result = run_selected(settings, ["labels", "label_statistics"], *months)
    found = audit(result)
    assert not found.passed
    assert found.description == "Stored rows are not what raw candles give: materialize from candles to labels again."
    assert {difference["column"] for difference in shown(found)} == {"mae"}
    assert {difference["cause"] for difference in shown(found)} == {"not what the raw candles give"}
    assert all(difference["row"].startswith(f"{INSTRUMENT} H1 ") for difference in shown(found))
    assert found.metadata["rows_differing"].value == len(shown(found)) >= ROWS_EACH
    assert not result.success
    assert "label_statistics" not in {str(event.step_key) for event in result.get_step_success_events()}


def test_a_row_that_vanished_after_it_was_drawn_is_found(
    settings: Settings, filled: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanished(*arguments: Any) -> list[RowKey]:
        monkeypatch.undo()
        keys = sampled_rows(*arguments)
        erase(filled, "labels", f"t.granularity = '{keys[0].granularity}' AND t.ts = {keys[0].ts}")
        return keys

    monkeypatch.setattr("label_assets.assets.audit_check.sampled_rows", vanished)
    found = audit(run_selected(settings, ["labels"], JANUARY))
    assert {difference["column"] for difference in shown(found)} == {"the row is gone"}


def _reaches_a_bar_too_far(inputs: Any) -> Any:
    windows = inputs.windows
    longer = windows.path_bars + (windows.window_status == COMPLETE).astype(np.int32)
    longer[-20:] = windows.path_bars[-20:]
    return excursions(inputs.market.path, windows._replace(path_bars=longer), inputs.labels.profit_factor_cap)


def _knows_the_next_atr(inputs: Any) -> Any:
    found = dict(families._barriers(inputs)._asdict())
    return families._Columns({**found, "etb_baseline": np.roll(found["etb_baseline"], -1)})


@MONTHS
@pytest.mark.parametrize(
    ("family", "kernel", "ahead"),
    [
        ("excursions", _reaches_a_bar_too_far, {"mfe", "time_to_mfe", "mae", "time_to_mae", "profit_factor"}),
        ("barriers", _knows_the_next_atr, {"etb_baseline"}),
    ],
)
def test_a_computation_that_looks_ahead_is_found(
    settings: Settings,
    filled: Warehouse,
    monkeypatch: pytest.MonkeyPatch,
    months: tuple[str, ...],
    family: str,
    kernel: Callable[[Any], Any],
    ahead: set[str],
) -> None:
    """The peeking function makes the stored rows and recomputes them: only the scrambled future tells."""
    monkeypatch.setitem(families._KERNELS, family, kernel)
    found = audit(run_selected(settings, [family, "labels"], *months))
    assert not found.passed
    columns = {difference["column"] for difference in shown(found)}
    assert columns
    assert columns <= ahead
    assert {difference["cause"] for difference in shown(found)} == {"looks ahead"}
    assert found.description is not None
    assert found.description.startswith(f"The future enters {', '.join(sorted(columns))}")
    assert sum(found.metadata["by_partition"].value.values()) == found.metadata["rows_differing"].value > 0


def test_old_labels_are_told_from_labels_that_look_ahead(settings: Settings, filled: Warehouse) -> None:
    """Raw candles were corrected and only the last asset was materialized."""
    corrupt(filled, "raw_candles", "t.ts >= '2024-01-01'", **{name: f"t.{name} * 2" for name in ("high", "close")})
    found = audit(run_selected(settings, ["labels"], FEBRUARY))
    assert {difference["cause"] for difference in shown(found)} == {"not what the raw candles give"}


def test_rows_are_drawn_by_the_partitions_of_the_run(settings: Settings, filled: Warehouse) -> None:
    def drawn(*months: str) -> list[RowKey]:
        return sampled_rows(filled, settings, month_runs(partition_key(INSTRUMENT, month) for month in months))

    assert drawn(JANUARY) == drawn(JANUARY)
    assert not set(drawn(JANUARY)) & set(drawn(FEBRUARY))
    assert drawn(JANUARY, FEBRUARY) != drawn(JANUARY)
    assert len(drawn(JANUARY, "2024-03")) == len(drawn(JANUARY)) <= MOST_ROWS  # March has no row


def test_the_scrambled_future_begins_where_it_is_told_to() -> None:
    ts = np.arange(100) * 900
    flat = np.full(100, 1.1)
    raw = Candles(ts, ts + 900, flat, flat, flat, flat, flat)
    changed = scrambled(raw, 50 * 900, KEY)
    for name in ("open", "high", "low", "close", "volume"):
        before, after = getattr(raw, name), getattr(changed, name)
        assert (before[:50] == after[:50]).all()
        assert (before[50:] != after[50:])[1:].all(), name
    assert (changed.ts == ts).all()
    assert (changed.low <= np.minimum(changed.open, changed.close)).all()
    assert (changed.high >= np.maximum(changed.open, changed.close)).all()
    assert (changed.low > 0).all()
    again, other = scrambled(raw, 50 * 900, KEY), scrambled(raw, 50 * 900, KEY._replace(ts=KEY.ts + 3_600))
    assert (again.close == changed.close).all()
    assert (other.close != changed.close).any()
    assert scrambled(raw, 0, KEY) is raw


def test_bits_tell_zeros_apart_and_nulls_from_numbers() -> None:
    assert bits(0.0) != bits(-0.0)
    assert bits(0.1 + 0.2) != bits(0.3)
    assert bits(None) is None
    assert bits(3) == 3
    assert {"etb_upper", "entry_price", "nearest_level_role"} <= KNOWN_AT_ENTRY
