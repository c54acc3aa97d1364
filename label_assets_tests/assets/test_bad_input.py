"""Bad input through the whole graph: real files, real Dagster runs, the real engine.

A file that cannot be read changes nothing. A row that breaks a rule is rejected with its place and reason. What was
stored leaves only when the source says so.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_assets.assets import candles as candle_assets_module
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.filled import Filled
from label_assets_tests.assets.landing import (
    BASE_S,
    INSTRUMENT,
    LABEL_TABLES,
    Rows,
    contents,
    differences,
    failures,
    joined,
    market_rows,
    metadata,
    rejections,
    run_months,
    run_well,
    small,
    stored_ts,
    succeeded,
    taken,
    write_rows,
)
from label_assets_tests.market.times import utc

JANUARY, FEBRUARY, MARCH = "2024-01", "2024-02", "2024-03"
FILE = f"{INSTRUMENT}_M15.parquet"
ALL_BUT_REJECTED = {"without": ("rejected_candles",)}


class Place(NamedTuple):
    """A landing folder and the database that it fills."""

    folder: Path
    settings: Settings
    warehouse: Warehouse


@pytest.fixture
def make_place(make_settings: Callable[..., Settings], fill: Filled, tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Landing folders with a database of their own."""
    made: list[Place] = []

    def make(rows: Rows | None = None, *months: str) -> Place:
        folder = tmp_path / f"landing_{len(made)}"
        folder.mkdir()
        settings = make_settings(source="landing", landing_folder=folder, **small())
        made.append(Place(folder, settings, Warehouse(settings)))
        if rows is not None:
            write_rows(folder, rows)
            fill(settings, *(months or (JANUARY,)))
        return made[-1]

    yield make
    for place in made:
        place.warehouse.close()


def _at(rows: Rows, text: str) -> int:
    """Index of the row that opens at a time."""
    (index,) = np.flatnonzero(rows["ts"] == int(utc(text)[0]))
    return int(index)


def _truncated(share: float) -> Callable[[Path, Rows], None]:
    def write(path: Path, rows: Rows) -> None:
        write_rows(path.parent, rows, path.name)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return write


def _without_tail(path: Path, rows: Rows) -> None:
    write_rows(path.parent, rows, path.name)
    path.write_bytes(path.read_bytes()[:-1])


def _page_damaged(path: Path, rows: Rows) -> None:
    write_rows(path.parent, rows, path.name)
    content = bytearray(path.read_bytes())
    content[4:2_000] = bytes(1_996)
    path.write_bytes(content)


def _no_parquet(path: Path, rows: Rows) -> None:
    path.write_text("ts,open,high,low,close\n" + "1,2,3,4,5\n" * len(rows["ts"]))


def _changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path, Rows], None]:
    def write(path: Path, rows: Rows) -> None:
        columns: dict[str, Any] = rows | {"ts": pa.array(rows["ts"], pa.timestamp("s", "UTC"))}
        pq.write_table(pa.table(change(columns)), path)

    return write


UNREADABLE: dict[str, tuple[Callable[[Path, Rows], None], str]] = {
    "empty": (_truncated(0), ""),
    "first half": (_truncated(0.5), ""),
    "last byte missing": (_without_tail, ""),
    "damaged page": (_page_damaged, ""),
    "text": (_no_parquet, ""),
    "no close": (_changed(lambda c: {name: c[name] for name in c if name != "close"}), "no columns 'close'"),
    "no ts": (_changed(lambda c: {("time" if name == "ts" else name): c[name] for name in c}), "no columns 'ts'"),
    "text prices": (_changed(lambda c: c | {"high": [str(v) for v in c["high"]]}), "column 'high' of type string"),
    "integer stamps": (_changed(lambda c: c | {"ts": c["ts"].cast(pa.int64())}), "column 'ts' of type int64"),
    "stamps of the wrong unit": (
        _changed(lambda c: c | {"ts": c["ts"].cast(pa.int64()).cast(pa.timestamp("ns", "UTC"))}),
        "none with a time stamp from 1990 to 2037",
    ),
}


@pytest.mark.parametrize(
    "months", [(JANUARY,), pytest.param((JANUARY, FEBRUARY), marks=pytest.mark.slow)], ids=["one partition", "range"]
)
def test_a_file_that_cannot_be_read_fails_by_name_and_changes_nothing(
    make_place: Callable[..., Place], months: tuple[str, ...]
) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    place = make_place(rows, JANUARY, FEBRUARY)
    before = contents(place.warehouse)
    # Were the run not to stop, this would be written: every later row moves.
    good = rows | {name: rows[name] * 2 for name in ("open", "high", "low", "close")}
    write_rows(place.folder, good)
    bad = place.folder / f"{INSTRUMENT}_M15_addition.parquet"
    kinds = UNREADABLE if len(months) == 1 else {kind: UNREADABLE[kind] for kind in ("first half", "no close")}
    for kind, (write, said) in kinds.items():
        write(bad, rows)
        result = run_months(place.settings, *months)
        assert not result.success, kind
        assert succeeded(result) == set(), kind
        assert set(failures(result)) == {"raw_candles"}, kind
        message = failures(result)["raw_candles"]
        assert message.startswith(f"label_assets.errors.SourceUnreadableError: Asked: candles of file {bad.name}."), (
            kind
        )
        assert said in message, kind
        assert f"{FILE}." not in message, kind
        assert differences(before, contents(place.warehouse)) == {}, kind
    # The same file taken away: what was waiting is written, so the comparison above could have failed.
    bad.unlink()
    run_well(place.settings, *months)
    assert set(differences(before, contents(place.warehouse))) >= {"raw_candles", "candles", "path_windows", "labels"}


NOW = int(utc("2024-01-31 12:07")[0])
SPOILED: dict[str, tuple[str, Callable[[Rows, int], Any]]] = {
    "2024-01-03 10:00": ("ohlc_violation", lambda r, i: r["high"].__setitem__(i, r["low"][i] - 0.001)),
    "2024-01-03 12:15": ("ohlc_violation", lambda r, i: r["low"].__setitem__(i, r["high"][i] + 0.001)),
    "2024-01-04 09:30": ("ohlc_violation", lambda r, i: r["close"].__setitem__(i, r["high"][i] * 1.0001)),
    "2024-01-05 00:00": ("non_finite_price", lambda r, i: r["close"].__setitem__(i, np.nan)),
    "2024-01-05 00:15": ("non_finite_price", lambda r, i: r["high"].__setitem__(i, np.inf)),
    "2024-01-09 23:45": ("non_positive_price", lambda r, i: r["low"].__setitem__(i, -r["low"][i])),
    "2024-01-10 00:00": ("non_positive_price", lambda r, i: r["open"].__setitem__(i, 0.0)),
    "2024-01-11 08:00": ("bad_volume", lambda r, i: r["volume"].__setitem__(i, -1.0)),
    "2024-01-12 08:15": ("misaligned_stamp", lambda r, i: r["ts"].__setitem__(i, r["ts"][i] + 61)),
    "2024-01-12 10:30": ("missing_stamp", lambda r, i: r["ts"].__setitem__(i, 0)),
    # What Wednesday 12:07 has not seen the end of.
    "2024-01-31 12:00": ("unfinished", lambda r, i: None),
    "2024-01-31 20:00": ("unfinished", lambda r, i: None),
}


def _spoil(rows: Rows) -> tuple[Rows, dict[int, str]]:
    """Rows with every kind of fault, shuffled; and the reason for each line that must be rejected."""
    is_future = rows["ts"] + BASE_S > NOW
    keep = ~is_future | np.isin(rows["ts"], utc("2024-01-31 12:00", "2024-01-31 20:00"))
    rows = taken(rows, keep)
    reasons = np.array([""] * len(rows["ts"]), object)
    for text, (reason, spoil) in SPOILED.items():
        index = _at(rows, text)
        reasons[index] = reason
        spoil(rows, index)
    identical = taken(
        rows, [_at(rows, "2024-01-15 10:00"), _at(rows, "2024-01-15 10:00"), _at(rows, "2024-01-16 11:15")]
    )
    shuffled = np.random.default_rng(1).permutation(len(rows["ts"]))
    rows, reasons = taken(rows, shuffled), reasons[shuffled]
    # Conflicting rows stand first in the file, so that the true ones, which come later, win.
    wrong = taken(rows, [_at(rows, "2024-01-17 10:00"), _at(rows, "2024-01-18 10:00")])
    wrong["high"] += 0.01
    everything = joined(wrong, rows, identical)
    reasons = np.concatenate([["superseded"] * 2, reasons, [""] * 3])
    return everything, {line: reason for line, reason in enumerate(reasons.tolist(), 1) if reason}


@pytest.mark.parametrize(
    "months", [(JANUARY,), pytest.param((JANUARY, FEBRUARY), marks=pytest.mark.slow)], ids=["one partition", "range"]
)
def test_bad_rows_are_rejected_one_by_one_and_every_row_is_accounted_for(
    make_place: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, months: tuple[str, ...]
) -> None:
    monkeypatch.setattr(candle_assets_module, "now_ts", lambda: NOW)
    clean = market_rows(JANUARY, JANUARY)
    bad_stamps = np.concatenate([utc(text) for text in SPOILED])
    good = taken(clean, ~np.isin(clean["ts"], bad_stamps) & (clean["ts"] + BASE_S <= NOW))
    expected = make_place(good, *months)

    spoiled, reasons = _spoil(market_rows(JANUARY, JANUARY))
    place = make_place()
    write_rows(place.folder, spoiled)
    result = run_well(place.settings, *months)

    found = rejections(place.warehouse)
    assert {line: reason for (_, line), (reason, *_) in found.items()} == reasons
    assert {file for file, _ in found} == {FILE}
    for (_, line), (reason, filed, detail) in found.items():
        assert detail, reason
        if reason != "missing_stamp":
            assert filed == spoiled["ts"][line - 1]
    # Exactly what a file of the good rows alone gives, in every table.
    without = ALL_BUT_REJECTED["without"]
    assert differences(contents(expected.warehouse, without=without), contents(place.warehouse, without=without)) == {}
    assert len(stored_ts(place.warehouse, "raw_candles", "M15")) == len(good["ts"])

    told = metadata(result, "raw_candles")
    run = told[JANUARY]
    assert run["run_source_rows"] == len(spoiled["ts"])
    assert run["run_rows_rejected"] == len(found) == len(SPOILED) + 2
    assert run["run_rows_rejected_by_reason"] == Counter(reasons.values())
    assert run["run_rows_dropped"] == 3
    assert run["run_rows_dropped_by_rule"] == {"identical_duplicate": 3}
    assert run["rows_rejected"] == len(found)
    assert run["run_unsorted_rows"] > len(clean["ts"]) // 2
    assert run["run_files"] == FILE
    assert run["run_source_rows"] == sum(month["rows"] for month in told.values()) + len(found) + 3
    assert run["rows"] == len(good["ts"])


def test_a_bad_row_never_removes_the_candle_that_was_stored_before_it(make_place: Callable[..., Place]) -> None:
    rows = market_rows(JANUARY, JANUARY)
    place = make_place(rows)
    before = contents(place.warehouse)
    places = {"2024-01-02 08:00": "high", "2024-01-17 10:15": "close", "2024-01-31 23:45": "low"}
    spoiled = {name: values.copy() for name, values in rows.items()}
    for text, column in places.items():
        spoiled[column][_at(rows, text)] = np.nan
    write_rows(place.folder, spoiled)

    result = run_well(place.settings, JANUARY)
    after = contents(place.warehouse)
    assert set(differences(before, after)) == {"rejected_candles"}
    assert rejections(place.warehouse) == {
        (FILE, _at(rows, text) + 1): ("non_finite_price", int(utc(text)[0]), f"{column} missing")
        for text, column in places.items()
    }
    told = metadata(result, "raw_candles")[JANUARY]
    assert (told["run_source_rows"], told["run_rows_rejected"]) == (len(rows["ts"]), 3)
    assert (told["rows_written"], told["rows_removed"]) == (0, 0)

    # Again, and then mended: the rejections go, and nothing else was ever touched.
    assert metadata(run_well(place.settings, JANUARY), "raw_candles")[JANUARY]["rows_removed"] == 0
    assert differences(after, contents(place.warehouse)) == {}
    write_rows(place.folder, rows)
    run_well(place.settings, JANUARY)
    assert differences(before, contents(place.warehouse)) == {}


def test_a_corrected_file_removes_the_rejection_and_adds_the_candle(make_place: Callable[..., Place]) -> None:
    rows = market_rows(JANUARY, JANUARY)
    expected = make_place(rows)
    spoiled = {name: values.copy() for name, values in rows.items()}
    hour = slice(_at(rows, "2024-01-17 10:00"), _at(rows, "2024-01-17 11:00"))
    spoiled["low"][hour] = 0.0
    place = make_place(spoiled)
    assert Counter(reason for reason, *_ in rejections(place.warehouse).values()) == {"non_positive_price": 4}
    assert int(utc("2024-01-17 10:00")[0]) not in stored_ts(place.warehouse, "labels", "H1")

    write_rows(place.folder, rows)
    run_well(place.settings, JANUARY)
    assert rejections(place.warehouse) == {}
    assert differences(contents(expected.warehouse), contents(place.warehouse)) == {}


@pytest.mark.parametrize(
    "months", [(JANUARY,), pytest.param((JANUARY, FEBRUARY), marks=pytest.mark.slow)], ids=["one partition", "range"]
)
def test_a_file_that_ends_earlier_or_begins_later_removes_nothing_outside(
    make_place: Callable[..., Place], months: tuple[str, ...]
) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    place = make_place(rows, JANUARY, FEBRUARY)
    before = contents(place.warehouse)
    short = taken(rows, slice(_at(rows, "2024-01-05 10:15"), _at(rows, "2024-01-19 10:15")))
    write_rows(place.folder, short)
    result = run_well(place.settings, *months)
    assert differences(before, contents(place.warehouse)) == {}
    assert metadata(result, "raw_candles")[JANUARY]["run_source_rows"] == len(short["ts"])


@pytest.mark.parametrize("shift_s", [7, 20 * 60])
def test_a_row_with_a_wrong_stamp_gives_a_short_file_no_say_over_what_lies_between(
    make_place: Callable[..., Place], shift_s: int
) -> None:
    """A rejected stamp is no evidence of how far the file reaches."""
    rows = market_rows(JANUARY, JANUARY)
    place = make_place(rows)
    before = contents(place.warehouse, **ALL_BUT_REJECTED)
    short = taken(rows, slice(_at(rows, "2024-01-05 10:15"), _at(rows, "2024-01-19 10:15")))
    strays = taken(rows, [_at(rows, "2024-01-02 08:00"), _at(rows, "2024-01-30 08:00")])
    strays["ts"] += shift_s
    write_rows(place.folder, joined(short, strays))
    run_well(place.settings, JANUARY)
    assert [reason for reason, *_ in rejections(place.warehouse).values()] == ["misaligned_stamp"] * 2
    assert differences(before, contents(place.warehouse, **ALL_BUT_REJECTED)) == {}


def test_candles_that_vanish_in_the_middle_leave_no_trace_and_take_nothing_along(
    make_place: Callable[..., Place],
) -> None:
    rows = market_rows(JANUARY, FEBRUARY)
    place = make_place(rows, JANUARY, FEBRUARY)
    before = {name: stored_ts(place.warehouse, name, "H1") for name in LABEL_TABLES}
    # One hour near the turn of the month: windows of January look at it. And one quarter of another hour.
    hour, quarter = int(utc("2024-02-01 01:00")[0]), int(utc("2024-01-17 10:30")[0])
    gone = (rows["ts"] >= hour) & (rows["ts"] < hour + 3_600) | (rows["ts"] == quarter)
    assert gone.sum() == 5
    write_rows(place.folder, taken(rows, ~gone))
    result = run_well(place.settings, JANUARY, FEBRUARY)

    for name in ("raw_candles", "candles"):
        assert set(rows["ts"].tolist()) - set(stored_ts(place.warehouse, name, "M15")) == set(rows["ts"][gone].tolist())
    for name, stamps in before.items():
        assert stored_ts(place.warehouse, name, "H1") == [ts for ts in stamps if ts != hour], name
    removed = {month: told["rows_removed"] for month, told in metadata(result, "raw_candles").items()}
    assert removed == {JANUARY: 1, FEBRUARY: 4}
    assert {month: told["rows_removed"] for month, told in metadata(result, "labels").items()} == {
        JANUARY: 0,
        FEBRUARY: 1,
    }
    # Not only are they gone: what is left is what it would be had they never been.
    never = make_place(taken(rows, ~gone), JANUARY, FEBRUARY)
    assert differences(contents(never.warehouse), contents(place.warehouse)) == {}


def test_no_file_for_the_instrument_fails_and_says_where_and_what_is_there(make_place: Callable[..., Place]) -> None:
    rows = market_rows(JANUARY, JANUARY)
    place = make_place(rows)
    before = contents(place.warehouse)
    (place.folder / FILE).rename(place.folder / "GBPUSD_M15_2024.parquet")
    (place.folder / "readme.txt").write_text("nothing")
    write_rows(place.folder, rows, "EURUSD_H1.parquet")
    result = run_months(place.settings, JANUARY)
    assert not result.success
    assert succeeded(result) == set()
    message = failures(result)["raw_candles"]
    assert f"EURUSD M15 in folder {place.folder}" in message
    assert "Found: only H1, which cannot be split into M15." in message
    assert "EURUSD_M15.parquet or EURUSD_M15_<anything>.parquet" in message
    (place.folder / "EURUSD_H1.parquet").unlink()
    assert "Found: files of GBPUSD." in failures(run_months(place.settings, JANUARY))["raw_candles"]
    for path in place.folder.iterdir():
        path.unlink()
    assert "Found: no candle files." in failures(run_months(place.settings, JANUARY, FEBRUARY))["raw_candles"]
    place.folder.rmdir()
    assert "Found: no such folder." in failures(run_months(place.settings, JANUARY))["raw_candles"]
    assert differences(before, contents(place.warehouse)) == {}


@pytest.mark.slow
def test_months_without_a_source_row_are_skipped_in_words_and_lose_nothing(make_place: Callable[..., Place]) -> None:
    place = make_place(market_rows(JANUARY, FEBRUARY), JANUARY, FEBRUARY)
    before = contents(place.warehouse)
    write_rows(place.folder, market_rows(JANUARY, JANUARY))
    for months in ((FEBRUARY,), (FEBRUARY, MARCH)):
        told = metadata(run_well(place.settings, *months), "raw_candles")
        assert set(told) == set(months)
        for month in told.values():
            assert month["skipped"] == "the source has no row in these months; what it does not cover stays stored"
            assert (month["run_source_rows"], month["rows_written"], month["rows_removed"]) == (0, 0, 0)
        assert differences(before, contents(place.warehouse)) == {}
    # A run of which only the end is without rows keeps that end too.
    assert "skipped" not in metadata(run_well(place.settings, JANUARY, MARCH), "raw_candles")[JANUARY]
    assert differences(before, contents(place.warehouse)) == {}
    # A file without any row is a file that says nothing.
    write_rows(place.folder, taken(market_rows(JANUARY, JANUARY), slice(0)))
    assert "skipped" in metadata(run_well(place.settings, JANUARY), "raw_candles")[JANUARY]
    assert differences(before, contents(place.warehouse)) == {}


@pytest.mark.slow
def test_what_is_kept_does_not_depend_on_how_a_run_is_cut(make_place: Callable[..., Place]) -> None:
    """One file a month; February's was cleared away. A run of February keeps what is stored, so must a longer one."""
    place = make_place()
    for month in (JANUARY, FEBRUARY, MARCH):
        write_rows(place.folder, market_rows(month, month), f"{INSTRUMENT}_M15_{month}.parquet")
    run_well(place.settings, JANUARY, MARCH)
    (place.folder / f"{INSTRUMENT}_M15_{FEBRUARY}.parquet").unlink()
    for month in (JANUARY, FEBRUARY, MARCH):
        run_well(place.settings, month)
    month_by_month = contents(place.warehouse)
    run_well(place.settings, JANUARY, MARCH)
    assert differences(month_by_month, contents(place.warehouse)) == {}
