"""Real files in the formats that people have: each is ingested, or refused for the right reason, by its declaration."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS, Instrument
from label_assets.errors import SettingsError, SourceEmptyError
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import resample
from label_assets.sources.batch import CandleBatch
from label_assets.sources.declaration import load_declarations
from label_assets.sources.declared import DeclaredSources
from label_assets.sources.parquet import ParquetLandingFolder
from label_assets_tests.conftest import SHARED_DATA
from label_assets_tests.market.times import utc

RAW = SHARED_DATA / "raw"
LATE = 2**40
INSTRUMENTS = (*DEFAULT_INSTRUMENTS, Instrument(name="BCOUSD"), Instrument(name="BTCUSD"), Instrument(name="DE30EUR"))

pytestmark = pytest.mark.skipif(not RAW.is_dir(), reason="real candles are not here: shared/data does not exist")


class Case(NamedTuple):
    """One raw file, how it is declared and what becomes of its rows.

    Attributes:
        file: Name of the file.
        base: Granularity that is asked for.
        declared: Keys of the declaration besides instrument and files.
        rows: Rows of the file, counted by hand.
        candles: Candles of the base.
        lost: Rows dropped and rejected, by rule and reason.
        first: First candle: open time, open, high, low, close.
        instrument: Name of the instrument.
        session: Trading session.
    """

    file: str
    base: str
    declared: str
    rows: int
    candles: int
    lost: dict[str, int]
    first: tuple[str, float, float, float, float]
    instrument: str = "EURUSD"
    session: str = "17:00 America/New_York"


FXCM = (
    "M1, format: csv, columns: {ts: timestamp, open: open, high: high, low: low, close: close}, header: true, "
    'stamp_format: "%Y-%m-%d %H:%M:%S%z"'
)
SERVER = "format: metatrader, clock: America/New_York + 7 h, price_divisor: 100000"

CASES = (
    Case(
        "dukascopy_EURUSD_15_m_BID_January_2007.csv",
        "M15",
        "M15, format: dukascopy",
        2_208,
        2_208,
        {},
        ("2007-01-01 00:00", 1.31908, 1.31964, 1.31896, 1.31953),
    ),
    Case(
        "dukascopy_EURUSD_1_m_BID_December_2008.csv",
        "M15",
        "M1, format: dukascopy",
        8_640,
        576,
        {},
        ("2008-12-01 00:00", 1.26670, 1.26755, 1.26550, 1.26700),
    ),
    Case(
        "dukascopy_EURUSD_5_m_BID_September_2008.csv",
        "M15",
        "M5, format: dukascopy",
        6_336,
        2_112,
        {},
        ("2008-09-01 00:00", 1.46962, 1.47029, 1.46920, 1.46969),
    ),
    Case(
        "dukascopy_EURUSD_4_Hour_ASK_reduced_2003.csv",
        "H4",
        "H4, format: dukascopy",
        51,
        51,
        {},
        ("2003-05-04 21:00", 1.12354, 1.12354, 1.12166, 1.12274),
    ),
    Case(  # stamps with their own offset; weekends filled with flat candles
        "dukascopy_localtime_EURUSD_15_M_BID_2022_first10000.csv",
        "M15",
        "M15, format: dukascopy",
        10_000,
        7_128,
        {"weekend_filler": 2_872},
        ("2022-01-02 22:00", 1.13690, 1.13727, 1.13649, 1.13722),
    ),
    Case(
        "DAT_ASCII_EURUSD_M1_201801.csv",
        "M15",
        "M1, format: histdata, clock: America/New_York",
        32_067,
        2_140,
        {},
        ("2018-01-01 22:00", 1.20037, 1.20100, 1.20017, 1.20093),
    ),
    # Runs backwards by an hour on 27 October: the 57 minutes from 19:00 stand there twice, all values alike. Its clock
    # goes back with London's, a week before New York's.
    Case(
        "DAT_ASCII_BCOUSD_M1_20191020_20191109_dupHour.csv",
        "M15",
        "M1, format: histdata, clock: Europe/London - 5 h",
        18_292,
        1_250,
        {"identical_duplicate": 57},
        ("2019-10-21 00:00", 59.161, 59.231, 59.135, 59.160),
        "BCOUSD",
    ),
    Case(  # calendar days do not nest in sessions that open at 17:00 New York
        "mt4_noheader_EURUSD_D1_2007_2018.csv",
        "D",
        "D, format: metatrader, clock: UTC",
        3_755,
        0,
        {"misaligned_stamp": 3_755},
        ("", 0, 0, 0, 0),
    ),
    Case(  # and are what they should be where the session is the calendar day
        "mt4_noheader_EURUSD_D1_2007_2018.csv",
        "D",
        "D, format: metatrader, clock: UTC",
        3_755,
        3_755,
        {},
        ("2007-01-01 00:00", 1.31908, 1.32176, 1.3165, 1.3212),
        session="00:00 UTC",
    ),
    Case(
        "mt4_noheader_EURUSD_M15_brokenFirstLine_first3000.csv",
        "M15",
        "M15, format: metatrader, clock: UTC",
        3_000,
        2_999,
        {"unreadable_stamp": 1},
        ("2018-10-12 12:15", 1.1574, 1.1576, 1.15715, 1.1573),
    ),
    Case(
        "mt5_points_EURGBPd1.csv",
        "D",
        f"D, {SERVER}",
        2_400,
        2_400,
        {},
        ("2012-12-03 22:00", 0.81119, 0.81376, 0.80995, 0.81314),
        "EURGBP",
    ),
    Case(
        "mt5_points_EURGBPh4.csv",
        "H4",
        f"H4, {SERVER}",
        14_400,
        14_400,
        {},
        ("2012-11-26 18:00", 0.80949, 0.8112, 0.80891, 0.81031),
        "EURGBP",
    ),
    Case(  # columns O C H L; the market was quoted at some weekends
        "oanda_epoch_tab_OCHL_EUR_USD_H1_2005_2008.csv",
        "H1",
        "H1, format: oanda_csv",
        24_911,
        24_744,
        {"weekend_filler": 167},
        ("2005-01-03 06:00", 1.3555, 1.3555, 1.3465, 1.348),
    ),
    Case(  # rows doubled at the borders of its downloads
        "oanda_raw_EUR_USD_M15_2021_withDups.parquet",
        "M15",
        "M15, format: parquet, columns: {ts: time}, clock: UTC",
        25_332,
        25_327,
        {"identical_duplicate": 5},
        ("2020-12-27 22:00", 1.21892, 1.21922, 1.21892, 1.21922),
    ),
    Case(
        "oanda_v20_candles_doc_sample.json",
        "M5",
        "M5, format: oanda_json",
        5,
        5,
        {},
        ("2016-10-17 19:35", 10503.8, 10508.0, 10503.8, 10506.0),
        "DE30EUR",
    ),
    Case(
        "lean_oanda_eurusd_minute_20140502_quote.zip",
        "M15",
        "M1, format: lean_quote, clock: UTC, price: bid",
        1_222,
        84,
        {},
        ("2014-05-02 00:00", 1.38694, 1.38694, 1.38634, 1.38642),
    ),
    Case(
        "freqtrade_UNITTEST_BTC-1m.json",
        "M15",
        "M1, format: arrays_json",
        13_681,
        960,
        {},
        ("2017-11-04 23:00", 0.00162008, 0.00162008, 0.00160345, 0.00161902),
        "BTCUSD",
    ),
    *(
        Case(
            f"fxcm_gbpusd-m1-{side}-2012_first12000.csv",
            "M15",
            FXCM,
            12_000,
            803,
            {"unfinished_bucket": 12},
            first,
            "GBPUSD",
        )
        for side, first in (
            ("bid", ("2012-02-01 00:00", 1.57597, 1.57606, 1.57542, 1.57559)),
            ("ask", ("2012-02-01 00:00", 1.57608, 1.57610, 1.57548, 1.57568)),
        )
    ),
    Case(  # an hourly file of unstated zone: a declaration has to say one
        "backtestingpy_EURUSD_H1_2017_2018.csv",
        "H1",
        "H1, format: csv, columns: [ts, open, high, low, close, volume], skip_lines: 1, "
        'stamp_format: "%Y-%m-%d %H:%M:%S", clock: UTC',
        5_000,
        5_000,
        {},
        ("2017-04-19 09:00", 1.0716, 1.0722, 1.07083, 1.07219),
    ),
)


def _source(folder: Path, case: Case) -> DeclaredSources:
    file = folder / "sources.yaml"
    file.write_text(
        f"sources:\n  - {{instrument: {case.instrument}, files: {RAW / case.file}, granularity: {case.declared}}}\n"
    )
    return DeclaredSources(load_declarations(file), folder, SessionCalendar(case.session), INSTRUMENTS)


def _read(folder: Path, case: Case) -> CandleBatch:
    return _source(folder, case).read(case.instrument, case.base, 0, LATE, LATE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}-{case.session[:5]}")
def test_a_raw_file_by_its_declaration(tmp_path: Path, case: Case) -> None:
    batch = _read(tmp_path, case)
    assert batch.rows_in == case.rows
    assert dict(batch.dropped) | Counter(row.reason for row in batch.rejected) == case.lost
    assert len(batch.candles.ts) == case.candles
    assert batch.kept == case.rows - sum(case.lost.values())
    if case.candles:
        first = [float(getattr(batch.candles, name)[0]) for name in ("open", "high", "low", "close")]
        assert (batch.candles.ts[0], *first) == (int(utc(case.first[0])[0]), *case.first[1:])


def test_every_raw_file_has_a_case() -> None:
    refused = {"dukascopy_EURUSD_60_min_BID_2008.csv", "mt4_noheader_EURUSD_M30_first20000.csv"}
    assert {path.name for path in RAW.iterdir()} == {case.file for case in CASES} | refused


def test_a_file_that_is_only_coarser_is_refused(tmp_path: Path) -> None:
    case = Case("dukascopy_EURUSD_60_min_BID_2008.csv", "M15", "H1, format: dukascopy", 0, 0, {}, ("", 0, 0, 0, 0))
    with pytest.raises(SourceEmptyError, match="only H1, which cannot be split into M15"):
        _read(tmp_path, case)
    assert len(_source(tmp_path, case).read("EURUSD", "H1", 0, LATE, LATE).candles.ts) == 6_288


def test_half_hours_are_no_granularity(tmp_path: Path) -> None:
    case = Case("mt4_noheader_EURUSD_M30_first20000.csv", "H1", "M30, format: metatrader", 0, 0, {}, ("", 0, 0, 0, 0))
    with pytest.raises(SettingsError, match="allowed are M1, M5, M15, H1, H4, D, W"):
        _read(tmp_path, case)


def test_the_repeated_hour_is_stored_once_and_counted(tmp_path: Path) -> None:
    """Whatever clock is declared, a copy of an hour never becomes candles of another hour."""
    case = next(case for case in CASES if "dupHour" in case.file)
    batch = _read(tmp_path, case)
    assert batch.dropped == {"identical_duplicate": 57}
    assert batch.notes == {"unsorted_rows": 56}  # 19:00 again after 19:59, and so on to 19:58; 19:59 itself is as late
    on_new_york = _read(tmp_path, case._replace(declared="M1, format: histdata, clock: America/New_York"))
    assert on_new_york.dropped == {"identical_duplicate": 57}
    # The day's trade begins at 20:00 and ends at 17:00 New York: the declared clock makes it so in every week.
    calendar = SessionCalendar("20:00 America/New_York")
    opens = batch.candles.ts[np.diff(batch.candles.ts, prepend=0) > 2 * 3_600]
    assert calendar.is_open(opens, "D").all()
    moved = on_new_york.candles.ts[np.diff(on_new_york.candles.ts, prepend=0) > 2 * 3_600]
    assert not calendar.is_open(moved, "D").all()


def test_filled_weekends_lose_their_filler_and_nothing_else() -> None:
    """10,172 of the 10,188 flat candles: the other 16 have volume and lie within the week, they are real."""
    folder = SHARED_DATA / "dukascopy_filled"
    batch = ParquetLandingFolder(folder, SessionCalendar(), INSTRUMENTS).read("EURUSD", "M15", 0, LATE, LATE)
    assert batch.dropped == {"weekend_filler": 10_172}
    assert batch.rejected == ()
    table = pq.read_table(folder / "EURUSD_M15.parquet")
    traded = table.filter(pc.greater(table["volume"], 0))
    assert batch.candles.ts.tolist() == [int(stamp.timestamp()) for stamp in traded["ts"].to_pylist()]
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(batch.candles, name).tolist() == traded[name].to_pylist()


def test_a_year_of_minutes_makes_the_hours_of_another_vendor(tmp_path: Path) -> None:
    """HistData M1 2018 → M15 → H1 against the H1 of utcday_export: every hour but the last, prices of two feeds.

    The last hour of the year is missing: the minutes end where it begins. Of all prices 64 to 73 % differ by at most a
    point, 97.5 to 99.5 % by at most a pip; of the 321 hours with a price further off 84 % lie between 20:00 and 23:00
    UTC, around New York's close, where every vendor's spread is wide.
    """
    minutes = SHARED_DATA / "histdata_m1" / "EURUSD_M1.parquet"
    (tmp_path / "sources.yaml").write_text(
        f"sources: [{{instrument: EURUSD, granularity: M1, format: parquet, files: {minutes}}}]\n"
    )
    calendar = SessionCalendar()
    source = DeclaredSources(load_declarations(tmp_path / "sources.yaml"), tmp_path, calendar, INSTRUMENTS)
    batch = source.read("EURUSD", "M15", 0, LATE, LATE)
    ours = resample(batch.candles, "H1", calendar)
    other = ParquetLandingFolder(SHARED_DATA / "utcday_export", calendar).read("EURUSD", "H1", 0, LATE, LATE).candles
    start, end = (int(utc(f"{year}-01-01 00:00")[0]) for year in (2018, 2019))
    theirs = Candles._make(column[(other.ts >= start) & (other.ts < end)] for column in other)
    assert set(theirs.ts.tolist()) - set(ours.ts.tolist()) == {int(utc("2018-12-31 22:00")[0])}
    common = np.isin(ours.ts, theirs.ts)
    assert common.all()
    inside = np.isin(theirs.ts, ours.ts)
    for name, within_a_pip in (("open", 0.975), ("high", 0.99), ("low", 0.98), ("close", 0.98)):
        far = np.abs(getattr(ours, name) - getattr(theirs, name)[inside])
        assert np.median(far) <= 1.5e-5, name  # a point: a tenth of a pip
        assert np.mean(far <= 1.05e-4) >= within_a_pip, name
    # The same hours an hour off share almost nothing: the clock is right.
    shifted = np.abs(ours.close[1:] - theirs.close[inside][:-1])
    assert np.mean(shifted <= 1.05e-4) < 0.2
