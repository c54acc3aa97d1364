"""Counts over files with known faults."""

from pathlib import Path

import numpy as np
import pytest

from label_assets.inspection.facts import Facts, Gap, facts_of, spacing_of
from label_assets.inspection.sniffing import read_best
from label_assets_tests.inspection.markets import candles, rows, texts, ts, write

MADE = candles("M15", "2018-01-01", "2018-02-01")
HEADER = "time,open,high,low,close,volume"


def lines() -> list[list[str]]:
    return rows(MADE, texts(MADE.ts, "%Y-%m-%d %H:%M:%S"))


def facts(some: list[list[str]], folder: Path) -> Facts:
    return facts_of(read_best(write(folder / "a.csv", some, header=HEADER), "csv").rows)


def test_sound_file_has_no_faults(tmp_path: Path) -> None:
    found = facts(lines(), tmp_path)
    assert found.rows == len(MADE.ts)
    assert (found.first_s, found.last_s) == (int(MADE.ts[0]), int(MADE.ts[-1]))
    assert found.spacing.granularity == "M15"
    assert not found.unreadable
    assert not found.is_descending
    assert found.has_volume
    counts = (found.identical, found.conflicting, found.price_faults, found.off_grid, found.backwards_count)
    assert counts == (0, 0, 0, 0, 0)
    assert found.gaps == 0


def test_every_fault_is_counted(tmp_path: Path) -> None:
    some = lines()
    some[10] = ["nonsense"]
    some[11][1] = "?"
    some[20][2], some[20][3] = some[20][3], some[20][2]  # high and low the wrong way round
    some[21][4] = "-1"
    some[30] = [*some[30][:5], "12"]
    some.insert(31, [*some[30][:5], "13"])
    some.insert(50, list(some[49]))
    del some[70:74]
    found = facts(some, tmp_path)
    assert found.unreadable == {"broken_row": 1, "non_finite_price": 1}
    assert [line for line, _ in found.unreadable_examples] == [12, 13]  # the header is line 1
    assert found.price_faults == 2
    assert found.price_fault_lines == (22, 23)
    assert (found.identical, found.conflicting) == (1, 1)
    # The hole of four bars, and the two rows that could not be read.
    assert (found.gaps, found.missing_bars) == (2, 6)
    assert found.largest_gaps[0].end_s - found.largest_gaps[0].begin_s == 4 * 900


def test_block_that_stands_twice_runs_backwards_once(tmp_path: Path) -> None:
    some = lines()
    found = facts([*some[:200], *some[150:200], *some[200:]], tmp_path)
    assert (found.identical, found.conflicting, found.backwards_count) == (50, 0, 1)
    assert found.backwards[0].line == 202
    assert found.backwards[0].before_s - found.backwards[0].stamp_s == 49 * 900


def test_descending_files_are_no_files_of_faults(tmp_path: Path) -> None:
    found = facts(lines()[::-1], tmp_path)
    assert found.is_descending
    assert found.backwards_count == 0


def test_weekend_filler_is_no_candle_and_leaves_no_gap(tmp_path: Path) -> None:
    every = np.arange(int(MADE.ts[0]), int(MADE.ts[-1]) + 1, 900)
    missing = np.setdiff1d(every, MADE.ts)
    flat = [[text, *["1.2"] * 4, "0"] for text in texts(missing, "%Y-%m-%d %H:%M:%S")]
    some = sorted([*lines(), *flat])
    found = facts(some, tmp_path)
    assert found.flat_without_volume == len(missing)
    assert 0 < found.filler < len(missing)
    assert found.gaps == 0


def test_holes_are_listed_and_weekends_are_not(tmp_path: Path) -> None:
    some = lines()
    hole = (MADE.ts >= ts("2018-01-10T10:00")) & (MADE.ts < ts("2018-01-11T12:00"))
    found = facts([line for line, is_out in zip(some, hole, strict=True) if not is_out], tmp_path)
    assert found.largest_gaps == (Gap(ts("2018-01-10T10:00"), ts("2018-01-11T12:00")),)
    assert found.missing_bars == 26 * 4


@pytest.mark.parametrize(
    ("step_s", "name", "granularity"),
    [
        (60, "M1", "M1"),
        (1_800, "M30", None),
        (14_400, "H4", "H4"),
        (7_200, "H2", None),
        (86_400, "D", "D"),
        (604_800, "W", "W"),
        (30, "S30", None),
        (1, "ticks or uneven", None),
    ],
)
def test_spacing_has_a_name(step_s: int, name: str, granularity: str | None) -> None:
    found = spacing_of(np.arange(0, 100 * step_s, step_s))
    assert (found.name, found.granularity) == (name, granularity)


def test_uneven_stamps_have_no_granularity() -> None:
    assert spacing_of(np.cumsum(np.arange(1, 100) * 7)).granularity is None
    assert spacing_of(np.array([5])).seconds == 0


def test_points_are_whole_numbers(tmp_path: Path) -> None:
    some = [[line[0], *(f"{float(price) * 100_000:.0f}" for price in line[1:5]), line[5]] for line in lines()]
    found = facts(some, tmp_path)
    assert found.are_whole_numbers
    assert found.median_price > 50_000
    assert not facts(lines(), tmp_path).are_whole_numbers
