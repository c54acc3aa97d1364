"""One market through every door: minutes on New York's clock in zipped text, a table, Parquet. The same labels."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from label_assets.assets.partitions import month_start, next_month
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.settings import Settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import (
    CALENDAR,
    INSTRUMENT,
    contents,
    differences,
    evaluations,
    market_rows,
    metadata,
    run_well,
    small,
    write_rows,
)

FEBRUARY, MARCH = "2024-02", "2024-03"  # New York's clocks go forward on 10 March
NOT_THE_SAME = ("rejected_candles", "candle_revisions")


def _minutes_on_new_yorks_clock(path: Path) -> int:
    market = SyntheticMarket(7, [item for item in DEFAULT_INSTRUMENTS if item.name == INSTRUMENT], CALENDAR)
    start, end = month_start(FEBRUARY), month_start(next_month(MARCH))
    candles = market.read(INSTRUMENT, "M1", start, end, 2**40).candles
    local = pd.to_datetime(candles.ts, unit="s", utc=True).tz_convert("America/New_York")
    stamps = local.strftime("%Y%m%d %H%M%S")
    prices = zip(*(getattr(candles, name).tolist() for name in ("open", "high", "low", "close")), strict=True)
    lines = [
        f"{stamp};{';'.join(map(repr, row))};{volume:g}\n"
        for stamp, row, volume in zip(stamps, prices, candles.volume.tolist(), strict=True)
    ]
    with gzip.open(path, "wt", encoding="ascii") as file:
        file.writelines(lines)
    return len(lines)


def _contents(settings: Settings) -> dict[str, object]:
    warehouse = Warehouse(settings)
    try:
        return dict(contents(warehouse, without=NOT_THE_SAME))
    finally:
        warehouse.close()


@pytest.mark.slow
def test_the_door_makes_no_difference(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    landing = make_settings(source="landing", landing_folder=tmp_path / "landing", **small(first_month=FEBRUARY))
    rows = market_rows(FEBRUARY, MARCH)
    write_rows(tmp_path / "landing", rows)
    run_well(landing, FEBRUARY, MARCH)
    expected = _contents(landing)

    sources = tmp_path / "sources.yaml"
    declared = make_settings(source="declared", sources_file=sources, **small(first_month=FEBRUARY))
    count = _minutes_on_new_yorks_clock(tmp_path / "minutes.csv.gz")
    sources.write_text(
        f"sources: [{{instrument: {INSTRUMENT}, granularity: M1, format: histdata, files: '*.csv.gz', "
        "clock: America/New_York}]\n"
    )
    result = run_well(declared, FEBRUARY, MARCH)
    assert differences(_contents(declared), expected) == {}  # type: ignore[arg-type]
    assert evaluations(result)["rows_are_accounted_for"].passed
    of_run = metadata(result, "raw_candles")[MARCH]
    assert of_run["run_source_rows"] == count

    table = make_settings(source="declared", sources_file=sources, **small(first_month=FEBRUARY))
    warehouse = Warehouse(table)
    client = warehouse.client
    client.command("CREATE TABLE feed (symbol String, at DateTime64(3, 'UTC'), o Float64, h Float64, l Float64, "
                   "c Float64, v Float64) ENGINE = MergeTree ORDER BY (symbol, at)")  # fmt: skip
    frame = pd.DataFrame({"symbol": "EUR/USD", "at": pd.to_datetime(rows["ts"], unit="s", utc=True)})
    for short, name in (("o", "open"), ("h", "high"), ("l", "low"), ("c", "close"), ("v", "volume")):
        frame[short] = rows[name]
    other = frame.assign(symbol="GBP/USD", c=np.nan)
    client.insert_df("feed", pd.concat([frame, other]))
    sources.write_text(
        f"sources: [{{instrument: {INSTRUMENT}, granularity: M15, format: clickhouse, table: feed, "
        "columns: {ts: at, open: o, high: h, low: l, close: c, volume: v}, where: {symbol: EUR/USD}}]\n"
    )
    run_well(table, FEBRUARY, MARCH)
    assert differences(_contents(table), expected) == {}  # type: ignore[arg-type]
    warehouse.close()
