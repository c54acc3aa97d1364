"""The population stability index, what chance makes of it, and which months are compared with which."""

import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from label_assets.catalog.families import LABELS
from label_assets.compute.drift import (
    CLASS_LABELS,
    CLASS_STATISTICS,
    LEAST_REFERENCE_MONTHS,
    MAJOR_PSI,
    _compared,
    class_drifts,
    population_stability_index,
    sampling_limit,
)

LABEL = "triple_barrier_label"
SHARES = np.array([0.25, 0.5, 0.25])


def month(number: int) -> int:
    """Start of the month `number` months after January 2020 [epoch s]."""
    return int(datetime(2020 + number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp())


def statistics(counts: list[tuple[int, int, int]], horizon: int = 6, granularity: str = "H1") -> pa.Table:
    """Monthly rows in which the triple barrier has these counts of −1, 0, 1 and every other label none."""
    rows = []
    for number, classes in enumerate(counts):
        row = dict.fromkeys(CLASS_STATISTICS.names, 0) | dict(zip(CLASS_LABELS[LABEL], classes, strict=True))
        rows.append(
            row | {"instrument_id": "TEST", "granularity": granularity, "horizon": horizon, "ts": month(number)}
        )
    return pa.Table.from_pylist(rows, CLASS_STATISTICS.wire_schema())


def test_labels_compared_are_the_classes_of_the_catalogue() -> None:
    assert set(CLASS_LABELS) == {
        "return_sign",
        "return_quantile",
        "triple_barrier_label",
        "enhanced_triple_barrier_label",
        "first_level_reached",
    }
    assert set(CLASS_LABELS) <= set(LABELS.names)
    assert CLASS_LABELS[LABEL] == tuple(f"{LABEL}_{name}" for name in ("minus_1", "0", "1"))
    assert len(CLASS_LABELS["return_quantile"]) == 10


def test_index_of_shares_worked_out_by_hand() -> None:
    # (0.4 − 0.5)·ln(0.4/0.5) + (0.6 − 0.5)·ln(0.6/0.5)
    expected = -0.1 * math.log(0.8) + 0.1 * math.log(1.2)
    million = np.array([5e5, 5e5]), np.array([4e5, 6e5])
    assert population_stability_index(*million) == pytest.approx(expected, rel=1e-5)
    assert population_stability_index(million[0], million[0]) == 0.0
    assert population_stability_index(*million[::-1]) == pytest.approx(expected, rel=1e-5)  # symmetric


def test_an_absent_class_counts_finitely() -> None:
    index = population_stability_index(np.array([250.0, 500.0, 250.0]), np.array([0.0, 500.0, 0.0]))
    assert 1 < index < 5


@pytest.mark.parametrize(("classes", "exact"), [(2, 15.137), (3, 18.421), (10, 33.720)])
def test_limit_is_the_quantile_of_chi_square_over_the_sample_sizes(classes: int, exact: float) -> None:
    assert sampling_limit(classes, 100, 1e12) == pytest.approx(exact / 100, rel=0.08)
    assert sampling_limit(classes, 100, 100) == pytest.approx(2 * sampling_limit(classes, 100, 1e12), rel=1e-6)


def test_a_year_alike_is_no_drift_and_one_month_of_other_shares_is() -> None:
    usual, odd = (125, 250, 125), (20, 100, 380)
    report = class_drifts(statistics([usual] * 12 + [usual, odd, usual]), month(12))
    assert [(drift.ts, drift.is_major) for drift in report.drifts] == [
        (month(12), False),
        (month(13), True),
        (month(14), False),  # one odd month in the reference does not make the next one odd
    ]
    assert {drift.label for drift in report.drifts} == {LABEL}
    worst = report.drifts[1]
    assert (worst.rows, worst.reference_rows) == (500, 6_000)
    assert worst.psi > worst.limit >= MAJOR_PSI
    assert report.too_thin == 3 * (len(CLASS_LABELS) - 1)


def test_the_reference_are_the_twelve_months_before() -> None:
    old, new = (450, 25, 25), (125, 250, 125)
    report = class_drifts(statistics([old] * 12 + [new] * 13), month(24))
    assert [drift.psi for drift in report.drifts] == [pytest.approx(0, abs=1e-4)]
    missing = statistics([old] * 12 + [new] * 13).filter(
        pa.array([number not in range(12, 19) for number in range(25)])
    )
    report = class_drifts(missing, month(24))  # five months of the year before are there: too few
    assert report.drifts == []


@pytest.mark.parametrize(("months", "compared"), [(LEAST_REFERENCE_MONTHS, 1), (LEAST_REFERENCE_MONTHS - 1, 0)])
def test_a_short_history_has_no_reference(months: int, compared: int) -> None:
    report = class_drifts(statistics([(125, 250, 125)] * (months + 1)), month(months))
    assert len(report.drifts) == compared


def test_thin_months_need_more_than_a_fair_share() -> None:
    """21 daily rows at horizon 6 are three windows and not compared; at horizon 1 they are 21, with their own limit."""
    odd = [(6, 10, 5)] * 12 + [(15, 3, 3)]
    assert class_drifts(statistics(odd, horizon=6, granularity="D"), month(12)).drifts == []
    (drift,) = class_drifts(statistics(odd, horizon=1, granularity="D"), month(12)).drifts
    assert MAJOR_PSI < drift.psi < drift.limit
    (drift,) = class_drifts(statistics([(6, 10, 5)] * 12 + [(21, 0, 0)], horizon=1, granularity="D"), month(12)).drifts
    assert drift.is_major


@pytest.mark.parametrize(("rows", "horizon"), [(500, 6), (126, 6), (500, 24), (126, 24), (21, 1)])
def test_the_same_population_alarms_once_in_thousands(rows: int, horizon: int) -> None:
    """Each window's class is worth `horizon` rows, as overlapping rows of labels are. 0.25 alone would cry wolf."""
    draw = np.random.default_rng(3)
    trials, alarms, plain = 3_000, 0, 0
    months = draw.multinomial(max(rows // horizon, 1), SHARES, size=(trials, 13)) * horizon
    stamps = np.array([month(number) for number in range(13)], np.int64)
    (first,) = class_drifts(statistics([tuple(row) for row in months[0].tolist()], horizon), month(12)).drifts
    assert _compared(months[0], stamps, 12, horizon) == (first.psi, first.limit, first.rows, first.reference_rows)
    for sample in months:  # without a table for each, which takes ten times as long as the comparison
        found = _compared(sample, stamps, 12, horizon)
        assert found is not None
        psi, limit, _, _ = found
        alarms += psi > limit
        plain += psi > MAJOR_PSI
    assert alarms <= trials / 1_000
    if rows / horizon < 30:
        assert plain > trials / 100


def test_sections_are_compared_apart() -> None:
    hours, days = statistics([(125, 250, 125)] * 13), statistics([(450, 25, 25)] * 13, horizon=1, granularity="D")
    report = class_drifts(pa.concat_tables([hours, days]), month(12))
    assert {(drift.granularity, drift.horizon) for drift in report.drifts} == {("H1", 6), ("D", 1)}
    assert all(drift.psi < 0.001 for drift in report.drifts)
    assert class_drifts(hours.slice(0, 0), month(12)).drifts == []
