"""What the API answers is what is stored, to the bit, from whichever place and in whichever format."""

import csv
import io
from typing import Any

import orjson
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.families import LABELS
from label_assets.catalog.families.levels import LEVEL_EVENTS, LEVEL_INTERVALS
from label_assets.catalog.index import TABLES
from label_assets.catalog.tables import CANDLES
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.shown import shown_table
from label_assets.warehouse.upsert import Scope
from label_assets_tests.live.markets import at
from label_assets_tests.serving.market import COMPUTED_AT, END, stored_labels

IN_CACHE = {"start": "2024-03-14", "end": "2024-03-20"}
IN_STORE = {"start": "2024-01-10", "end": "2024-02-10"}


def json_value(column: Column, value: Any) -> Any:
    """A value in wire types as JSON has it."""
    if value is None:
        return None
    if column.type is ColumnType.TIME:
        return pa.scalar(value, pa.timestamp("s")).as_py().strftime("%Y-%m-%dT%H:%M:%SZ")
    if column.type is ColumnType.ENUM:
        return column.values[value]
    return bool(value) if column.type is ColumnType.FLAG else value


def json_rows(rows: pa.Table) -> list[dict[str, Any]]:
    return [
        {column.name: json_value(column, row[column.name]) for column in LABELS.all_columns} for row in rows.to_pylist()
    ]


def between(rows: pa.Table, span: dict[str, str]) -> pa.Table:
    start, end = (at(span[name]) for name in ("start", "end"))
    ts = rows["ts"].to_numpy()
    return rows.filter(pa.array((ts >= start) & (ts < end)))


@pytest.mark.parametrize("horizon", [6, 24])
@pytest.mark.parametrize(("span", "source"), [(IN_CACHE, "cache"), (IN_STORE, "store")], ids=["cache", "store"])
def test_json_holds_every_value_to_the_bit(
    api: TestClient, stored: Settings, span: dict[str, str], source: str, horizon: int
) -> None:
    answer = api.get("/v1/labels/EURUSD/H4", params={**span, "horizon": horizon})
    assert (answer.status_code, answer.headers["X-Source"]) == (200, source)
    document = orjson.loads(answer.content)
    expected = json_rows(between(stored_labels(stored, "EURUSD", "H4", horizon), span))
    assert len(expected) > 20
    assert document["rows"] == expected
    assert document["next"] is None
    assert (document["instrument_id"], document["granularity"], document["horizon"]) == ("EURUSD", "H4", horizon)


@pytest.mark.parametrize(("span", "source"), [(IN_CACHE, "cache"), (IN_STORE, "store")], ids=["cache", "store"])
def test_arrow_and_csv_hold_what_json_does(
    api: TestClient, stored: Settings, span: dict[str, str], source: str
) -> None:
    expected = shown_table(LABELS.all_columns, between(stored_labels(stored, "GBPUSD", "H1", 6), span))
    arrow = api.get("/v1/labels/GBPUSD/H1", params=span, headers={"Accept": "application/vnd.apache.arrow.stream"})
    assert (arrow.headers["X-Source"], arrow.headers["Content-Type"]) == (source, "application/vnd.apache.arrow.stream")
    assert pa.ipc.open_stream(arrow.content).read_all().equals(expected)
    text = api.get("/v1/labels/GBPUSD/H1", params={**span, "format": "csv"})
    lines = list(csv.DictReader(io.StringIO(text.text)))
    assert text.headers["Content-Type"].startswith("text/csv")
    assert list(lines[0]) == list(LABELS.names)
    for name in ("forward_return", "entry_price"):
        found = pa.array([float(line[name]) if line[name] else None for line in lines]).cast(expected[name].type)
        assert found.equals(expected[name].combine_chunks())


def test_the_newest_come_first_and_the_cache_answers_as_the_store_does(api: TestClient, stored: Settings) -> None:
    answer = api.get("/v1/labels/EURUSD/D/latest", params={"count": 5})
    assert answer.headers["X-Source"] == "cache"
    newest = json_rows(stored_labels(stored, "EURUSD", "D", 6))[-5:]
    assert orjson.loads(answer.content)["rows"] == newest[::-1]
    assert newest[-1]["window_status"] == "open"
    assert newest[-1]["computed_at"] == json_value(LABELS.columns[-1], COMPUTED_AT)


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_put_together_are_the_range(api: TestClient, stored: Settings, limit: int) -> None:
    """From ClickHouse into what the cache holds."""
    url = f"/v1/labels/EURUSD/D?limit={limit}&columns=forward_return"
    found, sources = [], set()
    while url:
        answer = api.get(url)
        document = orjson.loads(answer.content)
        sources.add(answer.headers["X-Source"])
        assert (answer.headers.get("Link") is None) == (document["next"] is None)
        assert len(document["rows"]) <= limit
        found += document["rows"]
        url = document["next"]
    assert found == [
        {"ts": row["ts"], "forward_return": row["forward_return"]}
        for row in json_rows(stored_labels(stored, "EURUSD", "D", 6))
    ]
    assert sources == ({"store"} if limit == 100 else {"store", "cache"})


@pytest.mark.parametrize(
    ("address", "table", "parameter"),
    [
        ("/v1/candles/EURUSD/M15", CANDLES, "start"),
        ("/v1/levels/EURUSD/H1", LEVEL_INTERVALS, "after"),
        ("/v1/levels/EURUSD/H1/events", LEVEL_EVENTS, "start"),
    ],
    ids=["candles", "levels", "events"],
)
def test_candles_levels_and_events_page_by_page(
    api: TestClient, stored: Settings, address: str, table: Any, parameter: str
) -> None:
    """Levels of one pivot and events of one moment stay together, so a page may be shorter, never empty."""
    warehouse = Warehouse(stored)
    expected = warehouse.read(table, Scope("EURUSD", 0, END, address.split("/")[4]))
    warehouse.close()
    url, tables = f"{address}?limit=97&format=arrow", []
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.text
        tables.append(pa.ipc.open_stream(answer.content).read_all())
        assert tables[-1].num_rows > 0
        url = answer.headers["Link"].partition(">")[0][1:] if "Link" in answer.headers else ""
        assert not url or f"{parameter}=" in url
    found = pa.concat_tables(tables)
    assert len(tables) > 2
    assert found.sort_by([(name, "ascending") for name in table.key_names]).equals(
        shown_table(table.all_columns, expected).sort_by([(name, "ascending") for name in table.key_names])
    )


def test_levels_of_a_range_are_those_alive_in_it(api: TestClient, stored: Settings) -> None:
    span = {"start": "2024-02-01", "end": "2024-02-02"}
    rows = orjson.loads(api.get("/v1/levels/EURUSD/H4", params=span).content)["rows"]
    warehouse = Warehouse(stored)
    everything = shown_table(
        LEVEL_INTERVALS.all_columns, warehouse.read(LEVEL_INTERVALS, Scope("EURUSD", 0, END, "H4"))
    ).to_pylist()
    warehouse.close()
    start, end = ("2024-02-01T00:00:00Z", "2024-02-02T00:00:00Z")
    alive = [
        row["level_id"]
        for row in everything
        if f"{row['valid_from']:%Y-%m-%dT%H:%M:%SZ}" < end
        and (row["valid_to"] is None or f"{row['valid_to']:%Y-%m-%dT%H:%M:%SZ}" > start)
    ]
    assert sorted(row["level_id"] for row in rows) == sorted(alive)
    assert 0 < len(alive) < len(everything)


def test_a_client_that_has_it_gets_nothing(api: TestClient) -> None:
    for form in ("json", "csv", "arrow"):
        first = api.get("/v1/labels/EURUSD/H4", params={**IN_STORE, "format": form})
        again = api.get(
            "/v1/labels/EURUSD/H4",
            params={**IN_STORE, "format": form},
            headers={"If-None-Match": first.headers["ETag"]},
        )
        assert (again.status_code, again.content) == (304, b"")
    other = api.get("/v1/labels/EURUSD/H4", params=IN_CACHE, headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200


def test_large_answers_are_compressed_for_those_who_take_it(api: TestClient) -> None:
    plain = api.get("/v1/labels/EURUSD/H4", params=IN_STORE, headers={"Accept-Encoding": "identity"})
    packed = api.get("/v1/labels/EURUSD/H4", params=IN_STORE, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < int(plain.headers["Content-Length"]) / 2


def test_chosen_columns_come_in_the_order_that_was_asked(api: TestClient) -> None:
    answer = api.get("/v1/labels/EURUSD/H4/latest", params={"columns": "window_status, forward_return ,ts"})
    assert list(answer.json()["rows"][0]) == ["ts", "window_status", "forward_return"]


def test_catalog_tells_everything_of_every_column(api: TestClient) -> None:
    answer = api.get("/v1/catalog")
    document = answer.json()
    assert [table["name"] for table in document["tables"]] == [table.name for table in TABLES]
    columns = {table["name"]: [column["name"] for column in table["columns"]] for table in document["tables"]}
    assert columns["labels"] == list(LABELS.names)
    assert [each["name"] for each in document["instruments"]] == ["EURUSD", "GBPUSD"]
    assert (document["horizons"], document["granularities"]) == ([6, 24], ["H1", "H4", "D"])
    assert api.get("/v1/catalog", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
