"""Labels for notebooks: what is stored, as a table or a frame, and errors that say what there is."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from label_assets.catalog.families import LABELS
from label_assets.client import load
from label_assets.errors import CatalogError
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.shown import shown_table
from label_assets_tests.cache.labels import END, START, label_rows, store
from label_assets_tests.live.markets import at


@pytest.fixture(scope="module")
def settings(home: Path, clickhouse_url: str) -> Iterator[Settings]:
    """Two instruments with H4 labels of two horizons; no test changes them."""
    settings = load_settings(
        home=home, clickhouse_url=clickhouse_url, database=f"t_{uuid.uuid4().hex[:12]}", horizons=[6, 24]
    )
    warehouse = Warehouse(settings)
    for name in ("EURUSD", "GBPUSD"):
        store(warehouse, pa.concat_tables([label_rows(name, "H4", horizon) for horizon in (6, 24)]))
    yield settings
    warehouse.client.command(f"DROP DATABASE `{settings.database}` SYNC")
    warehouse.close()


def expected(name: str, horizon: int = 6, start: int = START, end: int = END) -> pa.Table:
    rows = label_rows(name, "H4", horizon)
    ts = rows["ts"].to_numpy()
    return shown_table(LABELS.all_columns, rows.filter(pa.array((ts >= start) & (ts < end))))


def in_order(table: pa.Table) -> pa.Table:
    return table.select(["instrument_id", "ts", *(n for n in LABELS.names if n not in {"instrument_id", "ts"})])


def test_a_table_is_what_is_stored(settings: Settings) -> None:
    for horizon in (6, 24):
        found = load("EURUSD", "H4", horizon=horizon, as_="arrow", settings=settings)
        assert found.equals(in_order(expected("EURUSD", horizon)))


def test_several_instruments_by_name_and_time(settings: Settings) -> None:
    found = load(["GBPUSD", "EURUSD"], "H4", as_="arrow", settings=settings)
    assert found.equals(in_order(pa.concat_tables([expected("EURUSD"), expected("GBPUSD")])))
    frame = load(["GBPUSD", "EURUSD"], "H4", settings=settings)
    assert frame.index.names == ["instrument_id", "ts"]
    assert frame.loc["GBPUSD"].index.is_monotonic_increasing
    assert len(frame.loc["GBPUSD"]) == expected("GBPUSD").num_rows


def test_a_frame_keeps_types_and_what_is_not_known(settings: Settings) -> None:
    columns = ["forward_return", "triple_barrier_label", "window_status", "horizon_end_ts", "path_bars"]
    frame = load("EURUSD", "H4", columns=columns, settings=settings)
    table = expected("EURUSD")
    assert list(frame.columns) == columns
    assert (frame.index.name, str(frame.index.dtype)) == ("ts", "datetime64[s, UTC]")
    assert frame["forward_return"].dtype == np.float32
    assert frame["triple_barrier_label"].dtype == pd.Int8Dtype()
    assert frame["path_bars"].dtype == pd.UInt16Dtype()
    assert str(frame["horizon_end_ts"].dtype) == "datetime64[s, UTC]"
    assert frame["triple_barrier_label"].isna().any()
    for name in columns:
        found = [None if pd.isna(value) else value for value in frame[name]]
        assert found == table[name].to_pylist()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-03-01", "2024-03-08"),
        ("2024-03-01T01:00:00+01:00", "2024-03-08T00:00Z"),
        (at("2024-03-01"), at("2024-03-08")),
        (date(2024, 3, 1), date(2024, 3, 8)),
        (datetime(2024, 3, 1, tzinfo=UTC), pd.Timestamp("2024-03-08", tz="Asia/Tokyo") + pd.Timedelta(hours=9)),
        (pd.Timestamp("2024-03-01"), np.datetime64("2024-03-08").item()),
    ],
    ids=["text", "zones", "epoch", "dates", "datetimes", "pandas"],
)
def test_times_are_utc_and_the_end_is_not_included(settings: Settings, start: Any, end: Any) -> None:
    found = load("EURUSD", "H4", start, end, as_="arrow", settings=settings)
    assert found.equals(in_order(expected("EURUSD", start=at("2024-03-01"), end=at("2024-03-08"))))
    assert found.num_rows == 30


def test_only_rows_of_a_status(settings: Settings) -> None:
    everything = load("EURUSD", "H4", settings=settings)
    counts = everything["window_status"].value_counts().to_dict()
    assert set(counts) >= {"complete", "open"}
    complete = load("EURUSD", "H4", status="complete", settings=settings)
    assert set(complete["window_status"]) == {"complete"}
    assert len(complete) == counts["complete"]
    both = load("EURUSD", "H4", status=["complete", "open"], columns="atr", settings=settings)
    assert len(both) == counts["complete"] + counts["open"]
    assert list(both.columns) == ["atr"]


def test_a_range_without_rows_is_an_answer(settings: Settings) -> None:
    frame = load("EURUSD", "H4", "2024-03-02", "2024-03-03", columns=["atr"], settings=settings)
    assert (len(frame), list(frame.columns)) == (0, ["atr"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"instruments": "EURUSDX"}, "EURUSD H4 6, EURUSD H4 24, GBPUSD H4 6"),
        ({"instruments": ["' OR 1=1 --"]}, "none in database"),
        ({"granularity": "H1"}, "EURUSD H4 6"),
        ({"horizon": 7}, "horizon 7"),
        ({"horizon": "6"}, "whole numbers from 1"),
        ({"columns": ["forward_retrun"]}, "forward_return"),
        ({"columns": ["version"]}, "docs/labels.md"),
        ({"status": "done"}, "complete"),
        ({"status": []}, "complete"),
        ({"start": "yesterday"}, "epoch seconds"),
        ({"end": -1}, "epoch s"),
        ({"end": 1.5}, "epoch s"),
        ({"start": True}, "epoch s"),
        ({"start": "1969-12-31"}, "epoch s"),
    ],
    ids=range(14),
)
def test_errors_say_what_there_is(settings: Settings, asked: dict[str, Any], said: str) -> None:
    arguments = {"instruments": "EURUSD", "granularity": "H4", **asked}
    with pytest.raises(CatalogError, match=said):
        load(**arguments, settings=settings)


def test_an_empty_database_is_told(make_settings: Callable[..., Settings]) -> None:
    with pytest.raises(CatalogError, match="nothing is stored there yet"):
        load("EURUSD", "H4", settings=make_settings())


def test_the_environment_names_the_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_URL", str(settings.clickhouse_url))
    monkeypatch.setenv("LABEL_ASSETS_DATABASE", settings.database)
    assert len(load("EURUSD", "H4", columns=["atr"])) == expected("EURUSD").num_rows
