"""What is said of real files; their clocks are known."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.inspection.inspecting import Inspection, inspect_file
from label_assets.inspection.report import WIDTH, report
from label_assets.inspection.zones import Status
from label_assets.market.calendar import SessionCalendar
from label_assets.sources.declaration import load_declarations
from label_assets.sources.declared import DeclaredSources
from label_assets_tests.conftest import SHARED_DATA
from label_assets_tests.inspection.markets import on_clock, texts, ts, write

OANDA = [
    f"oanda_v20/{pair}_{length}.parquet"
    for pair in ("EURUSD", "GBPUSD", "USDJPY")
    for length in ("M15", "H1", "H4", "D")
]

FOUND = {
    **dict.fromkeys(OANDA, "UTC"),
    "histdata_m1/EURUSD_M1.parquet": "UTC",  # converted from New York
    "histdata_m1/USDJPY_M1.parquet": "UTC",
    "dukascopy_filled/EURUSD_M15.parquet": "UTC",
    "lean_oanda/EURUSD_H1.parquet": "UTC",
    "raw/oanda_raw_EUR_USD_M15_2021_withDups.parquet": "UTC",
    "raw/dukascopy_EURUSD_60_min_BID_2008.csv": "UTC",
    "raw/dukascopy_localtime_EURUSD_15_M_BID_2022_first10000.csv": "UTC",  # offsets in the stamps
    "raw/oanda_epoch_tab_OCHL_EUR_USD_H1_2005_2008.csv": "UTC",
    "raw/mt4_noheader_EURUSD_M15_brokenFirstLine_first3000.csv": "UTC",
    "raw/mt4_noheader_EURUSD_M30_first20000.csv": "UTC",
    "raw/backtestingpy_EURUSD_H1_2017_2018.csv": "UTC",
    "raw/mt5_points_EURGBPd1.csv": "America/New_York + 7 h",
    "raw/mt5_points_EURGBPh4.csv": "America/New_York + 7 h",
}

NOT_FOUND = {
    # one month without a change of clocks
    "raw/DAT_ASCII_EURUSD_M1_201801.csv": (Status.SEVERAL, ("America/New_York", "-05:00", "Europe/London - 5 h")),
    "raw/dukascopy_EURUSD_15_m_BID_January_2007.csv": (
        Status.SEVERAL,
        ("UTC", "Europe/London", "America/New_York + 5 h"),
    ),
    "raw/mt4_noheader_EURUSD_D1_2007_2018.csv": (Status.NOT_ENOUGH, "fit equally well"),  # with Sunday bars
    "lean_oanda/EURUSD_D.parquet": (Status.NOT_ENOUGH, "fit equally well"),
    "raw/freqtrade_UNITTEST_BTC-1m.json": (Status.NOT_ENOUGH, "does not close"),
    "raw/lean_oanda_eurusd_minute_20140502_quote.zip": (Status.NOT_ENOUGH, "3 of each"),
    "raw/fxcm_gbpusd-m1-bid-2012_first12000.csv": (Status.NOT_ENOUGH, "3 of each"),
    "raw/oanda_v20_candles_doc_sample.json": (Status.NOT_ENOUGH, "3 of each"),
    "raw/DAT_ASCII_BCOUSD_M1_20191020_20191109_dupHour.csv": (Status.NOT_ENOUGH, "3 of each"),
    # in winter the last hour of each week is missing: the opens say UTC, the closes New York's rule
    "mt5_nyclose/EURUSD_H1.parquet": (Status.NOT_ENOUGH, "contradict each other"),
}


def inspected(name: str) -> Inspection:
    file = SHARED_DATA / name
    if not file.is_file():
        pytest.skip(f"real candles are not here: {file} does not exist")
    return inspect_file(file, DEFAULT_INSTRUMENTS)


def check_report(inspection: Inspection, folder: Path) -> None:
    """It is readable, and its declaration loads."""
    page = report(inspection, "M15")
    assert max(map(len, page.splitlines())) <= WIDTH
    if inspection.facts.spacing.granularity is None:
        assert "M30: refused" in page
        return
    file = folder / "sources.yaml"
    file.write_text(page[page.index("\nsources:") + 1 :], encoding="utf-8")
    assert len(load_declarations(file)) == 1


@pytest.mark.parametrize("name", FOUND)
def test_clock_is_found(name: str, tmp_path: Path) -> None:
    inspection = inspected(name)
    assert inspection.finding.status is Status.FOUND, inspection.finding.reason
    assert inspection.finding.clocks == (FOUND[name],)
    assert not inspection.contradiction
    check_report(inspection, tmp_path)


@pytest.mark.parametrize("name", NOT_FOUND)
def test_what_is_not_shown_is_not_guessed(name: str, tmp_path: Path) -> None:
    inspection = inspected(name)
    finding = inspection.finding
    check_report(inspection, tmp_path)
    status, what = NOT_FOUND[name]
    assert finding.status is status
    if isinstance(what, str):
        assert what in finding.reason
    else:
        assert finding.clocks == what


def test_year_of_histdata_shows_new_york(tmp_path: Path) -> None:
    """The minutes of 2018 put back on the clock on which HistData publishes them: daylight saving of New York."""
    source = SHARED_DATA / "histdata_m1" / "EURUSD_M1.parquet"
    if not source.is_file():
        pytest.skip(f"real candles are not here: {source} does not exist")
    frame = pd.read_parquet(source)
    utc_s = frame["ts"].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[s]").astype("int64")
    stamps = texts(on_clock(utc_s, "America/New_York"), "%Y%m%d %H%M%S")
    prices: Sequence[list[str]] = [
        frame[name].map("{:.6f}".format).tolist() for name in ("open", "high", "low", "close")
    ]
    lines = [[*fields, "0"] for fields in zip(stamps, *prices, strict=True)]
    file = write(tmp_path / "DAT_ASCII_EURUSD_M1_2018.csv", lines, ";")
    inspection = inspect_file(file, DEFAULT_INSTRUMENTS)
    assert inspection.fields["format"] == "histdata"
    assert inspection.finding.status is Status.FOUND
    assert inspection.finding.clocks == ("America/New_York",)
    scores = {score.clock: score for score in inspection.finding.scores}
    assert scores["America/New_York"].opens_apart == inspection.finding.opens_apart == 3
    page = report(inspection, "M1")
    declared = tmp_path / "sources.yaml"
    declared.write_text(page[page.index("\nsources:") + 1 :], encoding="utf-8")
    sources = DeclaredSources(load_declarations(declared), tmp_path, SessionCalendar(), DEFAULT_INSTRUMENTS)
    batch = sources.read("EURUSD", "M1", ts("1990-01-01"), ts("2037-01-01"), ts("2037-01-01"))
    assert not batch.rejected
    assert batch.candles.ts.tolist() == utc_s.tolist()


def test_hour_that_was_written_twice_is_no_repeated_hour() -> None:
    """Brent of HistData: time runs backwards by an hour, and the 57 rows after it are those before it, to the value."""
    inspection = inspected("raw/DAT_ASCII_BCOUSD_M1_20191020_20191109_dupHour.csv")
    facts = inspection.facts
    assert (facts.identical, facts.conflicting, facts.backwards_count) == (57, 0, 1)
    assert facts.backwards[0].line == 6_238
    assert inspection.finding.scores[0].clock == "Europe/London - 5 h"
    assert "Rows were written twice" in " ".join(report(inspection, "M1").split())


def test_details_of_real_files() -> None:
    assert inspected("raw/mt5_points_EURGBPd1.csv").fields["price_divisor"] == 100_000
    assert inspected("raw/oanda_raw_EUR_USD_M15_2021_withDups.parquet").facts.identical == 5
    assert inspected("raw/mt4_noheader_EURUSD_M15_brokenFirstLine_first3000.csv").facts.unreadable == {
        "unreadable_stamp": 1
    }
    assert inspected("raw/dukascopy_localtime_EURUSD_15_M_BID_2022_first10000.csv").weekend_filler == 2_872
    assert inspected("raw/dukascopy_EURUSD_4_Hour_ASK_reduced_2003.csv").side == "ask"
    assert inspected("raw/lean_oanda_eurusd_minute_20140502_quote.zip").fields["price"] == "mid"
