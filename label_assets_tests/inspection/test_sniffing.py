"""Files of every vendor, written from one market: the format is found, and the rows are those that were written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from label_assets.errors import SettingsError, SourceUnreadableError
from label_assets.inspection.columns import named_columns, prices_by_size, stamp_format
from label_assets.inspection.sniffing import FORMATS, read_best
from label_assets.kernels.arrays import Candles
from label_assets_tests.inspection.markets import candles, on_clock, rows, texts, write

MADE = candles("M15", "2018-01-01", "2018-03-01")
NEW_YORK = on_clock(MADE.ts, "America/New_York")


def table(form: str) -> list[list[str]]:
    return rows(MADE, texts(MADE.ts, form))


def reordered(lines: list[list[str]], *places: int) -> list[list[str]]:
    return [[line[place] for place in places] for line in lines]


def dated(mark: str) -> list[list[str]]:
    """Date and time in columns of their own."""
    return [[*line[0].split(" "), *line[1:]] for line in table(f"%Y{mark}%m{mark}%d %H:%M")]


def gmt(zone: str) -> list[list[str]]:
    local = on_clock(MADE.ts, zone)
    offsets = [f"GMT+{hours:02d}00" for hours in ((local - MADE.ts) // 3_600).tolist()]
    return rows(
        MADE, [f"{text} {offset}" for text, offset in zip(texts(local, "%d.%m.%Y %H:%M:%S.000"), offsets, strict=True)]
    )


def quotes(folder: Path) -> Path:
    """One day of bid and ask, milliseconds since midnight, in a .zip whose member has the date in its name."""
    begin = int(MADE.ts[0]) // 86_400 * 86_400 + 86_400
    is_day = (MADE.ts >= begin) & (MADE.ts < begin + 86_400)
    day = Candles._make(column[is_day] for column in MADE)
    bid = rows(day, (str((stamp - begin) * 1_000) for stamp in day.ts.tolist()))
    lines = [[*line[:5], "0", *(f"{float(price) + 0.0001:.5f}" for price in line[1:5]), "0"] for line in bid]
    name = pd.Timestamp(begin, unit="s").strftime("%Y%m%d")
    return write(folder / f"{name}_eurusd_minute_quote.csv.zip", lines)


def arrays(folder: Path) -> Path:
    lines = [[int(stamp) * 1_000, *map(float, line[1:])] for stamp, line in zip(MADE.ts, table("%Y"), strict=True)]
    file = folder / "EURUSD-15m.json"
    file.write_text(json.dumps(lines))
    return file


def oanda(folder: Path) -> Path:
    stamps = texts(MADE.ts, "%Y-%m-%dT%H:%M:%S.000000000Z")
    some = [
        {"complete": True, "volume": 7, "time": line[0], "mid": dict(zip("ohlc", line[1:5], strict=True))}
        for line in rows(MADE, stamps)
    ]
    file = folder / "candles.json"
    file.write_text(json.dumps({"instrument": "EUR_USD", "granularity": "M15", "candles": some}))
    return file


def parquet(folder: Path, **names: str) -> Path:
    frame = pd.DataFrame({name: getattr(MADE, name) for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "ts", pd.to_datetime(NEW_YORK, unit="s"))
    file = folder / "EURUSD_M15.parquet"
    frame.rename(columns=names).to_parquet(file)
    return file


def text(
    lines: list[list[str]], separator: str = ",", header: str | None = None, name: str = "a.csv"
) -> Callable[[Path], Path]:
    return lambda folder: write(folder / name, lines, separator, header)


def epochs(suffix: str = "") -> list[list[str]]:
    """Seconds since 1970, then open, close, high, low and volume."""
    lines = reordered(table("%Y"), 1, 4, 2, 3, 5)
    return [[f"{stamp}{suffix}", *line] for stamp, line in zip(MADE.ts.tolist(), lines, strict=True)]


MT5 = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>"
ISO = table("%Y-%m-%d %H:%M:%S")
COMPACT = table("%Y%m%d %H%M%S")

FILES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    # the format that must be found, how the file is written
    "dukascopy": ("dukascopy", text(table("%d.%m.%Y %H:%M:%S.000"), header="Gmt time,Open,High,Low,Close,Volume")),
    "dukascopy_offsets": ("dukascopy", text(gmt("Europe/Berlin"), header="Local time,Open,High,Low,Close,Volume")),
    "histdata": ("histdata", text(COMPACT, ";")),
    "histdata_gz": ("histdata", text(COMPACT, ";", name="a.csv.gz")),
    "histdata_zip": ("histdata", text(COMPACT, ";", name="a.csv.zip")),
    "metatrader_4": ("metatrader", text(dated("."))),
    "metatrader_5": ("metatrader", text(dated("."), "\t", MT5)),
    "oanda_csv": ("oanda_csv", text(epochs(), "\t", "TIME\tOPEN\tCLOSE\tHIGH\tLOW\tVOLUME")),
    "oanda_json": ("oanda_json", oanda),
    "arrays_json": ("arrays_json", arrays),
    "lean_quote": ("lean_quote", quotes),
    "parquet": ("parquet", parquet),
    "parquet_names": ("parquet", lambda folder: parquet(folder, ts="Timestamp", open="Open", volume="tick_volume")),
    "csv_header": ("csv", text(table("%d/%m/%Y %H:%M"), "|", "Timestamp|O|H|L|C|V")),
    "csv_months_first": ("csv", text(table("%m/%d/%Y %H:%M"), ";", "Timestamp;Open;High;Low;Close;Vol")),
    "csv_nameless_index": ("csv", text(ISO, header=",Open,High,Low,Close,Volume")),
    "csv_after_ticker": ("csv", text([["EURUSD", *line] for line in ISO])),
    "csv_open_close_first": ("csv", text(epochs("000"))),
    "csv_preamble": ("csv", text(ISO, header="EURUSD of a vendor\n\ntime,open,high,low,close,volume")),
    "csv_no_volume": ("csv", text(reordered(table("%d/%m/%Y %H:%M"), 0, 1, 2, 3, 4), ";")),
}


@pytest.mark.parametrize("name", FILES)
def test_format_is_found_and_every_row_is_read(name: str, tmp_path: Path) -> None:
    expected, make = FILES[name]
    file = make(tmp_path)
    found = read_best(file, None)
    assert found.declaration.format == expected
    assert not found.rows.fault.any()
    assert found.rows.has_stamp.all()
    stamps = NEW_YORK if expected == "parquet" else MADE.ts
    place = np.searchsorted(stamps, found.rows.stamp_s)
    assert stamps[place].tolist() == found.rows.stamp_s.tolist()
    assert len(place) == (len(MADE.ts) if expected != "lean_quote" else 96)
    shift = 0.00005 if expected == "lean_quote" else 0.0
    for column in ("open", "high", "low", "close"):
        assert np.abs(getattr(found.rows, column) - getattr(MADE, column)[place] - shift).max() < 1e-9
    # Naming the format leads to the same reading.
    again = read_best(file, expected)
    assert again.declaration == found.declaration


def test_broken_lines_do_not_change_the_format(tmp_path: Path) -> None:
    lines = table("%Y%m%d %H%M%S")
    lines[0][0] = "-(" + lines[0][0]
    lines[7] = ["???"]
    found = read_best(write(tmp_path / "a.csv", lines, ";"), None)
    assert found.declaration.format == "histdata"
    assert np.flatnonzero(found.rows.fault).tolist() == [0, 7]


@pytest.mark.parametrize(
    "content", ["", "To whom it may concern,\n\nthere are no candles here.\n", "a,b,c,d,e,f\n1,2,3,4,5,6\n"]
)
def test_what_is_no_file_of_candles_is_refused(content: str, tmp_path: Path) -> None:
    file = tmp_path / "letter.csv"
    file.write_text(content)
    with pytest.raises(SourceUnreadableError):
        read_best(file, None)


def test_unknown_and_wrong_formats_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", table("%Y%m%d %H%M%S"), ";")
    with pytest.raises(SettingsError) as unknown:
        read_best(file, "excel")
    assert unknown.value.allowed == ", ".join(FORMATS)
    with pytest.raises(SourceUnreadableError):
        read_best(file, "oanda_json")
    with pytest.raises(SourceUnreadableError):
        read_best(tmp_path / "absent.csv", None)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("Date", "Time", "Open", "High", "Low", "Close"), {"date": "Date", "time": "Time", "open": "Open"}),
        (("Gmt time", "O", "H", "L", "C", "V"), {"ts": "Gmt time", "close": "C", "volume": "V"}),
        (("ts", "BidOpen", "open_ask"), {"ts": "ts", "bid_open": "BidOpen", "ask_open": "open_ask"}),
        (("<DATE>", "<TICKVOL>", "<VOL>"), {"ts": "<DATE>", "volume": "<VOL>"}),
        (("pressure", "temperature"), {}),
    ],
)  # fmt: skip
def test_columns_by_name(names: tuple[str, ...], found: dict[str, str]) -> None:
    assert found.items() <= named_columns(names).items()
    assert bool(found) == bool(named_columns(names))


@pytest.mark.parametrize(
    ("some", "form"),
    [
        (["2018.01.31 23:00", "2018.02.01 00:00"], "%Y.%m.%d %H:%M"),
        (["01/02/2018 23:00", "02/02/2018 01:00", "13/02/2018 00:00"], "%d/%m/%Y %H:%M"),
        (["01/02/2018 00:00", "02/02/2018 00:00", "03/02/2018 00:00", "01/03/2018 00:00"], "%d/%m/%Y %H:%M"),
        (["1514764800", "1514764860"], "epoch_s"),
        (["1514764800000"], "epoch_ms"),
        (["yesterday"], None),
        ([], None),
    ],
)
def test_form_of_stamps(some: list[str], form: str | None) -> None:
    assert stamp_format(some) == form


def test_prices_by_size() -> None:
    o, h, l, c = MADE.open, MADE.high, MADE.low, MADE.close  # noqa: E741
    assert prices_by_size([o, h, l, c]) == ("open", "high", "low", "close")
    assert prices_by_size([o, c, h, l]) == ("open", "close", "high", "low")
    assert prices_by_size([h, l, o, c]) == ("high", "low", "open", "close")
    assert prices_by_size([o, c, o, c]) is None
    assert prices_by_size([np.empty(0)] * 4) is None
