"""Write a CSV file of invented M15 candles, laid out as Dukascopy exports them, to try your own file with.

python examples/write_candles.py candles/EURUSD_M15.csv
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.market.calendar import SessionCalendar
from label_assets.sources.synthetic import SyntheticMarket

FIRST, END = (int(datetime(2024, month, 1, tzinfo=UTC).timestamp()) for month in (1, 7))
SEED = 2024

target = Path(sys.argv[1])
market = SyntheticMarket(SEED, DEFAULT_INSTRUMENTS, SessionCalendar("17:00 America/New_York"))
candles = market.read("EURUSD", "M15", FIRST, END, 2**31).candles
target.parent.mkdir(parents=True, exist_ok=True)
with target.open("w", encoding="ascii") as file:
    file.write("Gmt time,Open,High,Low,Close,Volume\n")
    for ts, *prices, volume in zip(
        candles.ts, candles.open, candles.high, candles.low, candles.close, candles.volume, strict=True
    ):
        stamp = datetime.fromtimestamp(int(ts), UTC).strftime("%d.%m.%Y %H:%M:%S.000")
        file.write(",".join([stamp, *(f"{price:.5f}" for price in prices), f"{volume:.0f}"]) + "\n")
print(f"{len(candles.ts):,} candles in {target}")
