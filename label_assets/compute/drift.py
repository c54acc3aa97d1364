"""Whether a month's classes are those of the year before: the population stability index, and what chance makes of it.

Belongs here: the index, its sampling limit, which months are compared with which. Does not belong here: counting
classes (`compute.statistics`), what a check does with a drift (`assets`).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.columns import ColumnType
from label_assets.catalog.statistics import CLASS_COUNTS, LABEL_COLUMNS, LABEL_STATISTICS_MONTHLY
from label_assets.kernels.arrays import FloatArray, IntArray

MODERATE_PSI = 0.1
MAJOR_PSI = 0.25
"""Below 0.1 no change, from 0.25 a change to act on: Siddiqi 2006, Credit Risk Scorecards, ch. 8."""

REFERENCE_MONTHS = 12
LEAST_REFERENCE_MONTHS = 6
"""Fewer months before a month are no year: their own season would be the drift."""

LEAST_WINDOWS = 4.0
"""Windows that do not overlap below which no month is compared: a handful says nothing of three classes."""

_NORMAL_QUANTILE = 3.719
"""Of the standard normal distribution at 1 − 1e-4. A run of one month compares some twenty, a history thousands."""

CLASS_LABELS: Mapping[str, tuple[str, ...]] = {
    column.name: tuple(item.column.name for item in CLASS_COUNTS if item.label == column.name)
    for column in LABEL_COLUMNS
    if column.type is ColumnType.CLASS
}
"""Labels that are classes, each with the columns of `label_statistics_monthly` that count them."""

_COUNTING = {name for names in CLASS_LABELS.values() for name in names}

CLASS_STATISTICS = replace(
    LABEL_STATISTICS_MONTHLY,
    columns=tuple(column for column in LABEL_STATISTICS_MONTHLY.columns if column.name in _COUNTING),
)
"""Of `label_statistics_monthly` what is compared: a tenth of its columns, read in a fifth of the time."""


class ClassDrift(NamedTuple):
    """One label of one month against the months before.

    Attributes:
        granularity: Granularity.
        horizon: Horizon [candles].
        ts: Start of the month [epoch s].
        label: The label.
        psi: Population stability index of the month against the reference.
        limit: What it must exceed: 0.25, or more where chance alone reaches that.
        rows: Complete rows of the month that have the label.
        reference_rows: Those of the reference.
    """

    granularity: str
    horizon: int
    ts: int
    label: str
    psi: float
    limit: float
    rows: int
    reference_rows: int

    @property
    def is_major(self) -> bool:
        """The classes are others than a year's, and not by chance."""
        return self.psi > self.limit


class DriftReport(NamedTuple):
    """Drifts of one instrument, and how many comparisons there were too few rows for."""

    drifts: list[ClassDrift]
    too_thin: int


def population_stability_index(reference: FloatArray, counts: FloatArray) -> float:
    """Σ (q − p)·ln(q/p) over classes, p the shares of the reference and q those of the counts.

    A half is added to each class, so that an absent class counts for what its rarity can say and not infinitely.

    Args:
        reference: Independent windows by class, k classes.
        counts: Independent windows by class, the same k classes.
    """
    p = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    q = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return float(np.sum((q - p) * np.log(q / p)))


def sampling_limit(classes: int, windows: float, reference_windows: float) -> float:
    """What the index of two samples of one population exceeds once in ten thousand.

    Args:
        classes: Number of classes, at least 2.
        windows: Independent rows of the sample.
        reference_windows: Independent rows of the reference.

    Notes:
        The index is about (1/n + 1/m)·χ² with one degree of freedom less than classes: Yurdakul and Naranjo 2020,
        Statistical properties of the population stability index, Journal of Risk Model Validation 14(4),
        doi:10.21314/JRMV.2020.227. The quantile of χ² is that of Wilson and Hilferty 1931, at most 7 % too high here.
    """
    freedom = classes - 1
    part = 2 / (9 * freedom)
    chi_square = freedom * (1 - part + _NORMAL_QUANTILE * part**0.5) ** 3
    return float(chi_square * (1 / windows + 1 / reference_windows))


def class_drifts(statistics: pa.Table, from_ts: int) -> DriftReport:
    """Compare each month with the year before it, for every class label, granularity and horizon.

    Rows of labels overlap: `horizon` successive ones share a candle, so a month is taken for rows/horizon independent
    windows (the variance of a mean of overlapping sums: Hansen and Hodrick 1980, doi:10.1086/260910).

    Args:
        statistics: Rows of `CLASS_STATISTICS` of one instrument in the wire schema, with the year before.
        from_ts: Start of the first month to compare [epoch s].

    Returns:
        One drift for each comparison that there were enough rows for.
    """
    drifts: list[ClassDrift] = []
    too_thin = 0
    for granularity, horizon, months in _sections(statistics):
        ts = months["ts"].to_numpy().astype(np.int64)
        for label, columns in CLASS_LABELS.items():
            counts = np.column_stack([months[name].to_numpy().astype(np.int64) for name in columns])
            for row in np.flatnonzero(ts >= from_ts).tolist():
                drift = _compared(counts, ts, row, horizon)
                if drift is None:
                    too_thin += 1
                else:
                    drifts.append(ClassDrift(granularity, horizon, int(ts[row]), label, *drift))
    return DriftReport(drifts, too_thin)


def _sections(statistics: pa.Table) -> list[tuple[str, int, pa.Table]]:
    granularities, horizons = statistics["granularity"].to_pylist(), statistics["horizon"].to_pylist()
    sections = []
    for granularity, horizon in dict.fromkeys(zip(granularities, horizons, strict=True)):
        chosen = [pair == (granularity, horizon) for pair in zip(granularities, horizons, strict=True)]
        sections.append((granularity, horizon, statistics.filter(pa.array(chosen)).sort_by("ts")))
    return sections


def _compared(counts: NDArray[np.int64], ts: IntArray, row: int, horizon: int) -> tuple[float, float, int, int] | None:
    """Index, limit and rows of a month and its reference; None where there are too few of either."""
    months = ts.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    before = (months < months[row]) & (months >= months[row] - REFERENCE_MONTHS)
    reference = counts[before].sum(axis=0)
    rows, reference_rows = int(counts[row].sum()), int(reference.sum())
    if int(before.sum()) < LEAST_REFERENCE_MONTHS or rows < LEAST_WINDOWS * horizon:
        return None
    index = population_stability_index(reference / horizon, counts[row] / horizon)
    limit = sampling_limit(counts.shape[1], rows / horizon, reference_rows / horizon)
    return index, max(MAJOR_PSI, limit), rows, reference_rows
