"""What people see: the sections, 80 columns, and a declaration that reads the file back."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.cli import app
from label_assets.errors import SettingsError, SourceEmptyError, SourceUnreadableError
from label_assets.inspection.inspecting import UNNAMED, Inspection, inspect_file
from label_assets.inspection.report import WIDTH, report, yaml_entry
from label_assets.inspection.zones import Status
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.sources.declaration import Declaration, load_declarations
from label_assets.sources.declared import DeclaredSources
from label_assets_tests.inspection.markets import candles, on_clock, rows, texts, ts, write

YEAR = candles("M15", "2018-01-01", "2019-01-01")
LATER = ts("2037-01-01")


def histdata(
    folder: Path, made: Candles, zone: str = "America/New_York", name: str = "DAT_ASCII_EURUSD_M15.csv"
) -> Path:
    return write(folder / name, rows(made, texts(on_clock(made.ts, zone), "%Y%m%d %H%M%S")), ";")


def inspected(file: Path, instrument: str | None = None) -> Inspection:
    return inspect_file(file, DEFAULT_INSTRUMENTS, instrument)


def printed_declarations(page: str, folder: Path) -> tuple[Declaration, ...]:
    """What a person would paste."""
    file = folder / "sources.yaml"
    file.write_text(page[page.index("\nsources:") + 1 :], encoding="utf-8")
    return load_declarations(file)


def read_back(page: str, folder: Path, instrument: str = "EURUSD", granularity: str = "M15") -> Candles:
    sources = DeclaredSources(printed_declarations(page, folder), folder, SessionCalendar(), DEFAULT_INSTRUMENTS)
    return sources.read(instrument, granularity, ts("1990-01-01"), LATER, LATER).candles


def check_layout(page: str) -> None:
    assert all(len(line) <= WIDTH for line in page.splitlines())
    for section in ("Rows", "Time zone", "Declaration"):
        assert any(line.startswith(section) for line in page.splitlines())


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Sydney"])
def test_printed_declaration_reads_the_file_back(zone: str, tmp_path: Path) -> None:
    page = report(inspected(histdata(tmp_path, YEAR, zone)), "M15")
    check_layout(page)
    assert f"FOUND: {zone}" in page
    back = read_back(page, tmp_path)
    assert back.ts.tolist() == YEAR.ts.tolist()
    assert back.close.tolist() == YEAR.close.tolist()


def test_points_of_a_server_read_back(tmp_path: Path) -> None:
    stamps = texts(on_clock(YEAR.ts, "America/New_York", 7), "%Y.%m.%d\t%H:%M:%S")
    lines = [
        [line[0], *(f"{float(price) * 100_000:.0f}" for price in line[1:5]), line[5]] for line in rows(YEAR, stamps)
    ]
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>"
    inspection = inspected(write(tmp_path / "EURUSD_M15.csv", lines, "\t", header))
    assert inspection.fields["price_divisor"] == 100_000
    assert inspection.fields["clock"] == "America/New_York + 7 h"
    back = read_back(report(inspection, "M15"), tmp_path)
    assert back.ts.tolist() == YEAR.ts.tolist()
    assert np.abs(back.close - YEAR.close).max() < 1e-9


def test_clock_that_changes_is_declared_in_pieces(tmp_path: Path) -> None:
    made = candles("H1", "2017-01-01", "2019-01-01")
    change = ts("2018-03-03")
    early = made.ts < change
    local = np.where(early, on_clock(made.ts, "UTC"), on_clock(made.ts, "America/New_York"))
    file = write(tmp_path / "EURUSD_H1.csv", rows(made, texts(local, "%Y%m%d %H%M%S")), ";")
    page = report(inspected(file), "H1")
    check_layout(page)
    assert "THE CLOCK CHANGES" in page
    assert "until: '2018-03-03T18:00'" in page
    assert read_back(page, tmp_path, granularity="H1").ts.tolist() == made.ts.tolist()


def test_clocks_that_cannot_be_told_apart_are_left_to_choose(tmp_path: Path) -> None:
    """Nothing is declared that the file does not show; the entry loads all the same."""
    january = candles("M15", "2018-01-01", "2018-02-01")
    page = report(inspected(histdata(tmp_path, january)), "M15")
    check_layout(page)
    assert "SEVERAL fit" in page
    assert "#   clock: Europe/London - 5 h" in page
    (declaration,) = printed_declarations(page, tmp_path)
    assert declaration.clock is None
    # Each of them, uncommented in its place, is a declaration too.
    for clock in ("America/New_York", "-05:00", "Europe/London - 5 h"):
        assert read_back(f"{page}    clock: {clock}\n", tmp_path).ts.tolist() == january.ts.tolist()


def test_stamps_that_contradict_the_format_are_shouted(tmp_path: Path) -> None:
    """Dukascopy says GMT, but the stamps are those of New York."""
    lines = rows(YEAR, texts(on_clock(YEAR.ts, "America/New_York"), "%d.%m.%Y %H:%M:%S.000"))
    file = write(tmp_path / "EURUSD.csv", lines, header="Gmt time,Open,High,Low,Close,Volume")
    inspection = inspected(file)
    page = report(inspection, "M15")
    assert inspection.contradiction
    assert "CONTRADICTION" in page
    assert inspection.fields["clock"] == "America/New_York"
    check_layout(page)


def test_few_clocks_that_contradict_the_format_are_shouted_too(tmp_path: Path) -> None:
    january = candles("M15", "2018-01-01", "2018-02-01")
    lines = rows(january, texts(on_clock(january.ts, "America/New_York"), "%d.%m.%Y %H:%M:%S.000"))
    inspection = inspected(write(tmp_path / "EURUSD.csv", lines, header="Gmt time,Open,High,Low,Close,Volume"))
    page = report(inspection, "M15")
    assert "CONTRADICTION" in page
    assert "#   clock: America/New_York" in page
    assert "clock" not in inspection.fields


def test_stamps_with_offsets_need_no_clock(tmp_path: Path) -> None:
    stamps = texts(YEAR.ts, "%Y-%m-%d %H:%M:%S+00:00")
    file = write(tmp_path / "EURUSD-bid.csv", rows(YEAR, stamps), header="time,open,high,low,close,volume")
    inspection = inspected(file)
    assert inspection.has_offsets
    assert "clock" not in inspection.fields
    assert inspection.side == "bid"
    page = report(inspection, "M15")
    assert "The weeks agree" in page
    assert read_back(page, tmp_path).ts.tolist() == YEAR.ts.tolist()


def test_weekend_filler_is_counted_and_dropped_when_read(tmp_path: Path) -> None:
    every = np.arange(int(YEAR.ts[0]), int(YEAR.ts[-1]) + 1, 900)
    missing = np.setdiff1d(every, YEAR.ts)
    flat = [[text, *["1.2"] * 4, "0"] for text in texts(missing, "%Y-%m-%d %H:%M")]
    lines = sorted([*rows(YEAR, texts(YEAR.ts, "%Y-%m-%d %H:%M")), *flat])
    inspection = inspected(write(tmp_path / "EURUSD.csv", lines, header="time,open,high,low,close,volume"))
    assert inspection.weekend_filler == len(missing) - 96  # Christmas is flat too, and not in a weekend
    assert inspection.finding.status is Status.FOUND
    back = read_back(report(inspection, "M15"), tmp_path)
    assert set(YEAR.ts.tolist()) <= set(back.ts.tolist())


@pytest.mark.parametrize(("step_s", "name"), [(1_800, "M30"), (7_200, "H2"), (10, "S10")])
def test_bars_of_other_lengths_are_refused_plainly(step_s: int, name: str, tmp_path: Path) -> None:
    is_bar = YEAR.ts % step_s == 0
    made = Candles._make(column[is_bar][:3_000] for column in YEAR)
    if step_s < 900:
        stamps = np.arange(ts("2018-01-02"), ts("2018-01-02") + len(made.ts) * step_s, step_s)
        made = made._replace(ts=stamps, close_ts=stamps + step_s)
    page = report(inspected(histdata(tmp_path, made)), "M15")
    check_layout(page)
    assert f"{name}: refused" in page
    assert "\nsources:" not in page


def test_coarser_than_the_base_is_said(tmp_path: Path) -> None:
    page = report(inspected(histdata(tmp_path, candles("D", "2015-01-01", "2018-01-01"))), "M15")
    assert "# Refused with base granularity M15" in page
    assert "left out" in page  # days of another clock without their Sunday bar look the same
    assert "# Refused" not in report(inspected(histdata(tmp_path, candles("D", "2015-01-01", "2018-01-01"))), "D")


@pytest.mark.parametrize(
    ("name", "given_name", "instrument", "is_known"),
    [
        ("EUR_USD_2018.csv", None, "EURUSD", True),
        ("gbpusd-m15.csv", None, "GBPUSD", True),
        ("DAT_ASCII_BCOUSD_M15.csv", None, "BCOUSD", False),
        ("prices.csv", None, UNNAMED, False),
        ("prices.csv", "XAUUSD", "XAUUSD", True),
        ("weird [1]*.csv", "EURUSD", "EURUSD", True),
    ],
)
def test_instrument_is_that_of_the_name(
    name: str, given_name: str | None, instrument: str, is_known: bool, tmp_path: Path
) -> None:
    inspection = inspected(histdata(tmp_path, YEAR, name=name), given_name)
    assert inspection.fields["instrument"] == instrument
    assert inspection.is_known == is_known
    page = report(inspection, "M15")
    assert len(read_back(page, tmp_path, instrument).ts) == len(YEAR.ts)  # the pattern of the file matches it


def test_errors_name_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError):
        inspected(tmp_path / "absent.csv")
    with pytest.raises(SettingsError):
        inspected(histdata(tmp_path, YEAR), "eur/usd")
    empty = write(tmp_path / "empty.csv", [], header="time,open,high,low,close")
    with pytest.raises((SourceEmptyError, SourceUnreadableError)):
        inspected(empty)


@given(
    st.dictionaries(
        st.sampled_from(("files", "clock", "separator", "stamp_format", "price")),
        st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40),
        min_size=1,
    )
)
def test_any_text_survives_the_printed_entry(fields: dict[str, str]) -> None:
    """Names of files and formats with colons, quotes, hashes and leading signs, as the loader of declarations reads."""
    content = yaml.load("sources:\n" + "\n".join(yaml_entry(fields)), Loader=yaml.BaseLoader)
    assert content == {"sources": [fields]}


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = histdata(tmp_path, YEAR)
    done = CliRunner().invoke(app, ["inspect", str(file)])
    assert done.exit_code == 0, done.output
    assert done.output == report(inspected(file), "M15")
    named = CliRunner().invoke(app, ["inspect", str(file), "--instrument", "USDJPY", "--format", "histdata"])
    assert "instrument: USDJPY" in named.output
    wrong = CliRunner().invoke(app, ["inspect", str(file), "--format", "dukascopy"])
    assert isinstance(wrong.exception, SourceUnreadableError)
