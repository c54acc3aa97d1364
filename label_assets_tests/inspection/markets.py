"""A market whose hours are known, on clocks that are known, as stamps and as files of vendors."""

import csv
import gzip
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.kernels.arrays import Candles, IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import resample
from label_assets.sources.synthetic import SyntheticMarket

NATIVE = ("M1", "M5", "M15", "H1")
KNOWN = {instrument.name: instrument for instrument in DEFAULT_INSTRUMENTS}


def ts(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@lru_cache(maxsize=16)
def candles(
    granularity: str, start: str, end: str, instrument: str = "EURUSD", session: str = "17:00 America/New_York"
) -> Candles:
    """Candles of the synthetic market; H4 and D are cut at a session."""
    calendar = SessionCalendar(session)
    market = SyntheticMarket(3, [KNOWN[instrument]], calendar)
    native = granularity if granularity in NATIVE else "H1"
    read = market.read(instrument, native, ts(start), ts(end), ts("2037-01-01")).candles
    return read if native == granularity else resample(read, granularity, calendar)


def since_open_s(utc_s: IntArray) -> IntArray:
    """Time since Sunday 17:00 New York [s]."""
    return utc_s - SessionCalendar().bucket_open(utc_s, "W")


def on_clock(utc_s: IntArray, zone: str, hours: int = 0) -> IntArray:
    """Stamps that a clock shows, by pandas: a zone, moved by hours."""
    local = pd.to_datetime(utc_s, unit="s", utc=True).tz_convert(zone).tz_localize(None)
    return np.asarray(local.as_unit("s").astype("int64")) + hours * 3_600


def texts(stamps: IntArray, form: str) -> list[str]:
    return [str(text) for text in pd.to_datetime(stamps, unit="s").strftime(form)]


def rows(made: Candles, stamps: Iterable[str], divisor: float = 1.0) -> list[list[str]]:
    """Stamp, prices and volume of each candle as text."""
    prices = (made.open, made.high, made.low, made.close)
    columns = [
        [f"{value / divisor:.5f}" if divisor == 1 else f"{value / divisor:.1f}" for value in one] for one in prices
    ]
    return [list(row) for row in zip(stamps, *columns, (f"{value:.0f}" for value in made.volume), strict=True)]


def write(file: Path, lines: Iterable[Iterable[str]], separator: str = ",", header: str | None = None) -> Path:
    """Write a text file, compressed where its name says so."""
    text = "" if header is None else header + "\n"
    text += "".join(separator.join(fields) + "\n" for fields in lines)
    if file.suffix == ".gz":
        file.write_bytes(gzip.compress(text.encode()))
    elif file.suffix == ".zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(file.stem, text)
    else:
        file.write_text(text, encoding="utf-8")
    return file


def read_rows(file: Path, separator: str) -> list[list[str]]:
    with file.open(encoding="utf-8") as opened:
        return list(csv.reader(opened, delimiter=separator))
