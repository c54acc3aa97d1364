"""The check class_balance_is_stable in real runs, and all checks in a run of several instruments."""

from collections.abc import Callable

import dagster as dg
import pytest

from label_assets.assets.agreement_checks import AGREE, OVERDUE
from label_assets.assets.audit_check import AUDIT, ROWS_EACH
from label_assets.assets.drift_check import STABLE
from label_assets.assets.gap_check import NAME as GAPS
from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG
from label_assets.compute.drift import CLASS_LABELS
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import INSTRUMENT, QUIET, corrupt, evaluations, job_of, run_well, small
from label_assets_tests.assets.selected import run_selected

JANUARY, JULY, AUGUST = "2024-01", "2024-07", "2024-08"


def balance(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    found = evaluations(result)[STABLE.name]
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert not found.blocking
    assert found.asset_key == dg.AssetKey("label_statistics")
    return found


def test_a_month_of_other_classes_is_found_and_stops_nothing(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings(**small(granularities=["H1"]))
    sound = balance(run_well(settings, JANUARY, AUGUST))
    assert sound.passed
    assert sound.metadata["comparisons"].value == 2 * len(CLASS_LABELS)  # July and August have half a year before them
    assert sound.metadata["too_few_rows"].value == 6 * len(CLASS_LABELS)
    assert sound.metadata["violations"].value == 0
    assert 0 < sound.metadata["highest_psi"].value < 0.25

    warehouse = Warehouse(settings)
    august = "t.ts >= '2024-08-01' AND t.window_status = 'complete'"
    assert corrupt(warehouse, "labels", august, triple_barrier_label="1", return_sign="-t.return_sign") > 400
    warehouse.close()
    for months in ((AUGUST,), (JULY, AUGUST)):
        result = run_selected(settings, ["label_statistics"], *months)
        assert result.success
        found = balance(result)
        assert not found.passed
        assert found.metadata["by_partition"].value == {f"{INSTRUMENT}|{AUGUST}": 1}
        assert found.metadata["where"].value == {f"{INSTRUMENT} H1 6 triple_barrier_label": 1}
        assert found.metadata["comparisons"].value == len(months) * len(CLASS_LABELS)
        assert found.metadata["checked"].value == f"{INSTRUMENT} {months[0]}..{AUGUST}"
        table = found.metadata["drifts"]
        assert isinstance(table, dg.TableMetadataValue)
        (drift,) = [record.data for record in table.records]
        assert (drift["where"], drift["month"], drift["label"]) == (
            f"{INSTRUMENT} H1 6",
            AUGUST,
            "triple_barrier_label",
        )
        assert float(str(drift["psi"])) > 1 > float(str(drift["limit"]))


def test_a_run_of_several_instruments_is_checked_as_a_whole(make_settings: Callable[..., Settings]) -> None:
    names = ["EURUSD", "XAUUSD"]
    settings = make_settings(**small(instruments=names, granularities=["H1"]))
    result = job_of(settings).execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        tags={RANGE_START_TAG: f"{names[0]}|2024-01", RANGE_END_TAG: f"{names[1]}|2024-02"},
        run_config=QUIET,
    )
    found = evaluations(result)
    everything = "EURUSD 2024-01..2024-02, XAUUSD 2024-01..2024-02"
    for name in (GAPS, AGREE.name, AUDIT.name, STABLE.name, OVERDUE.name):
        assert found[name].passed, (name, found[name].metadata)
    for name in (AGREE.name, AUDIT.name, STABLE.name):
        assert found[name].metadata["checked"].value == everything
    assert found[OVERDUE.name].metadata["checked"].value == "all months of EURUSD, XAUUSD"
    assert found[GAPS].metadata["checked"].value == f"M15 of {everything}"
    assert found[GAPS].metadata["present"].value == pytest.approx(
        {f"{name}|{month}": 1.0 for name in names for month in ("2024-01", "2024-02")}
    )
    assert found[AUDIT.name].metadata["rows_audited"].value == 2 * ROWS_EACH
