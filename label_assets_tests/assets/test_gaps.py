"""The check no_unexpected_gaps in real runs over landing files with holes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from label_assets.settings import Settings
from label_assets_tests.assets.landing import (
    INSTRUMENT,
    Rows,
    evaluations,
    market_rows,
    small,
    taken,
    write_rows,
)
from label_assets_tests.assets.selected import run_selected
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY = "2024-01", "2024-02"
MONTHS = pytest.mark.parametrize(
    "months", [(JANUARY,), pytest.param((JANUARY, FEBRUARY), marks=pytest.mark.slow)], ids=["one partition", "range"]
)
LANDED: dict[str, Any] = {"source": "landing", "granularities": ["H1"]}

Make = Callable[..., Settings]


def without(rows: Rows, first: str, last: str) -> Rows:
    """All rows but those that open from first to last."""
    start, end = utc(first, last)
    return taken(rows, (rows["ts"] < start) | (rows["ts"] > end))


def gaps(settings: Settings, *months: str) -> dg.AssetCheckEvaluation:
    """What the check finds in a run, which goes through whatever it finds."""
    result = run_selected(settings, ["raw_candles", "candles"], *months)
    assert result.success
    found = evaluations(result)["no_unexpected_gaps"]
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert not found.blocking
    return found


def shown(evaluation: dg.AssetCheckEvaluation) -> list[tuple[Any, ...]]:
    """Rows of the table of holes."""
    table = evaluation.metadata["longest_holes"]
    assert isinstance(table, dg.TableMetadataValue)
    return [tuple(record.data.values()) for record in table.records]


@MONTHS
def test_a_whole_file_has_no_hole(make_settings: Make, tmp_path: Path, months: tuple[str, ...]) -> None:
    settings = make_settings(**small(**LANDED, landing_folder=tmp_path))
    write_rows(tmp_path, market_rows(JANUARY, FEBRUARY))
    found = gaps(settings, *months)
    assert found.passed
    assert found.metadata["unexpected_holes"].value == found.metadata["shorter_holes"].value == 0
    assert found.metadata["present"].value == {f"{INSTRUMENT}|{month}": 1.0 for month in months}
    assert found.metadata["checked"].value == f"M15 of {INSTRUMENT} {JANUARY}..{months[-1]}"


@MONTHS
def test_holes_are_reported_with_their_spans_and_stop_nothing(
    make_settings: Make, tmp_path: Path, months: tuple[str, ...]
) -> None:
    settings = make_settings(**small(**LANDED, landing_folder=tmp_path))
    rows = market_rows(JANUARY, FEBRUARY)
    rows = without(rows, "2024-01-12 21:00", "2024-01-14 22:45")  # an hour each side of a weekend
    rows = without(rows, "2024-01-17 10:00", "2024-01-17 10:45")  # an hour, which is no cause for worry
    rows = without(rows, "2024-02-13 10:00", "2024-02-14 09:45")  # a day
    write_rows(tmp_path, rows)
    found = gaps(settings, *months)
    assert not found.passed
    weekend = (INSTRUMENT, "2024-01-12 21:00", "2024-01-14 22:45", 8, 2.0)
    day = (INSTRUMENT, "2024-02-13 10:00", "2024-02-14 09:45", 96, 24.0)
    assert shown(found) == ([weekend] if len(months) == 1 else [day, weekend])
    assert found.metadata["shorter_holes"].value == 1
    present = found.metadata["present"].value
    assert list(present) == [f"{INSTRUMENT}|{month}" for month in months]
    assert present[f"{INSTRUMENT}|{JANUARY}"] == pytest.approx(1 - 12 / 2120, abs=1e-6)


def test_a_month_that_is_missing_between_two_is_a_hole_only_in_its_own_run(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings(**small(**LANDED, landing_folder=tmp_path))
    rows = without(market_rows(JANUARY, "2024-03"), "2024-02-01 00:00", "2024-02-29 23:45")
    write_rows(tmp_path, rows)
    whole = gaps(settings, JANUARY, "2024-03")
    assert shown(whole) == [(INSTRUMENT, "2024-02-01 00:00", "2024-02-29 23:45", 2016, 504.0)]
    assert whole.metadata["present"].value == {
        f"{INSTRUMENT}|2024-01": 1.0,
        f"{INSTRUMENT}|2024-02": 0.0,
        f"{INSTRUMENT}|2024-03": 1.0,
    }
    assert gaps(settings, "2024-03").passed


def test_nothing_is_expected_before_the_first_and_after_the_last_candle(make_settings: Make, tmp_path: Path) -> None:
    settings = make_settings(**small(**LANDED, landing_folder=tmp_path))
    rows = market_rows(JANUARY, FEBRUARY)
    middle = (rows["ts"] >= utc("2024-01-10 12:00")[0]) & (rows["ts"] < utc("2024-02-20 12:00")[0])
    write_rows(tmp_path, taken(rows, middle))
    found = gaps(settings, JANUARY, FEBRUARY)
    assert found.passed
    assert found.metadata["candles_expected"].value == int(np.sum(middle))


def test_an_instrument_of_unknown_hours_has_no_expectation(make_settings: Make, tmp_path: Path) -> None:
    other = {"name": INSTRUMENT, "kind": "other"}
    settings = make_settings(**small(**LANDED, landing_folder=tmp_path, instruments=[other]))
    write_rows(tmp_path, without(market_rows(JANUARY, JANUARY), "2024-01-17 00:00", "2024-01-19 00:00"))
    found = gaps(settings, JANUARY)
    assert found.passed
    assert found.metadata["without_expectation"].value == INSTRUMENT
    assert found.metadata["candles_expected"].value == 0
