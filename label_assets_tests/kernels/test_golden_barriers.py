"""Golden rows of labels 6–8, with the reason beside each. Entry 100, ATR 1, barriers 98 and 102 unless said."""

import math

import pytest

from label_assets.kernels.arrays import NULL_INT
from label_assets.kernels.barriers import Barriers, BarrierWidth, barriers
from label_assets.kernels.windows import COMPLETE, GAP, OPEN
from label_assets_tests.kernels.test_golden_inputs import HOUR, Bar, bars, window

QUIET = (100.0, 101.0, 99.0, 100.0)
NULL = (NULL_INT, NULL_INT, NULL_INT, NULL_INT)


def labels(
    rows: list[Bar], status: int = COMPLETE, atr: float = 1.0, width: BarrierWidth | None = None, end: float = 101.0
) -> Barriers:
    path = bars(rows)
    return barriers(path, window(path, 100.0, end, atr, status), width or BarrierWidth(2.0))


def classes(row: Barriers) -> tuple[int, int, int, int]:
    """Label, ambiguous, time [bars], end [h]."""
    end_ts = int(row.barrier_end_ts[0])
    return (
        int(row.triple_barrier_label[0]),
        int(row.triple_barrier_ambiguous[0]),
        int(row.time_to_barrier[0]),
        NULL_INT if end_ts == NULL_INT else end_ts // HOUR,
    )


@pytest.mark.parametrize(
    ("bar", "label", "ambiguous", "exit_price"),
    [
        ((100.0, 102.0, 99.0, 100.0), 1, 0, 102.0),  # reaching is enough
        ((100.0, 101.0, 98.0, 100.0), -1, 0, 98.0),
        ((100.0, 105.0, 99.0, 104.0), 1, 0, 102.0),  # through the barrier: filled at the barrier
        ((103.0, 104.0, 99.0, 100.0), 1, 0, 103.0),  # opened beyond: filled at the open
        ((97.0, 99.0, 96.0, 98.5), -1, 0, 97.0),
        ((102.0, 103.0, 101.0, 102.5), 1, 0, 102.0),  # opened at the barrier
        ((103.0, 104.0, 97.0, 97.5), 1, 0, 103.0),  # both reached, but the open had decided
        ((97.0, 103.0, 96.0, 102.5), -1, 0, 97.0),
        ((100.5, 103.0, 97.0, 97.5), 1, 1, 102.0),  # both: upper is 1.5 from the open, lower 2.5
        ((99.5, 103.0, 97.0, 102.5), -1, 1, 98.0),  # both: lower is nearer
        ((100.0, 103.0, 97.0, 102.5), -1, 1, 98.0),  # tie: lower
    ],
)
def test_the_touching_bar(bar: Bar, label: int, ambiguous: int, exit_price: float) -> None:
    row = labels([QUIET, bar, (100.0, 110.0, 90.0, 100.0)])  # what follows does not matter
    assert classes(row) == (label, ambiguous, 2, 2)
    assert row.barrier_return[0] == exit_price / 100.0 - 1.0


def test_never_touched_ends_at_the_horizon() -> None:
    row = labels([QUIET, (100.0, 101.9, 98.1, 100.0)])
    assert classes(row) == (0, 0, 2, 2)
    assert row.barrier_return[0] == 101.0 / 100.0 - 1.0  # P_X, not the last bar's close


def test_an_open_window_knows_only_its_touch() -> None:
    touched = labels([QUIET, (100.0, 102.5, 99.0, 102.0)], OPEN, end=math.nan)
    assert classes(touched) == (1, 0, 2, 2)
    assert touched.barrier_return[0] == 102.0 / 100.0 - 1.0
    untouched = labels([QUIET, QUIET], OPEN, end=math.nan)
    assert classes(untouched) == NULL  # 0 would say that it can no longer be touched
    assert math.isnan(untouched.barrier_return[0])


def test_a_gap_is_null_even_when_touched() -> None:
    row = labels([(100.0, 102.5, 99.0, 102.0)], GAP)
    assert classes(row) == NULL
    assert math.isnan(row.barrier_return[0])


def test_without_atr_only_a_share_of_price_makes_barriers() -> None:
    bar = (100.0, 101.0, 97.9, 98.0)
    assert classes(labels([bar], atr=math.nan)) == NULL
    row = labels([bar], atr=math.nan, width=BarrierWidth(price_share=0.015625))  # 98.4375 and 101.5625
    assert classes(row) == (-1, 0, 1, 1)
    assert row.barrier_return[0] == -0.015625


def test_one_path_bar_per_time_not_one_hour() -> None:
    # the third path bar comes after a weekend: time counts bars, the end is its close
    path = bars([QUIET, QUIET, (100.0, 102.0, 99.0, 101.0)], opens=[0, HOUR, 51 * HOUR])
    row = barriers(path, window(path, 100.0, 101.0, 1.0), BarrierWidth(2.0))
    assert classes(row) == (1, 0, 3, 52)
