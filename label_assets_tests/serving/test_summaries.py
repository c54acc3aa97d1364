"""Statistics and coverage: what the API sums up is what the tables hold; nonsense is refused with what is allowed."""

import csv
import io
from collections import Counter
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from label_assets.catalog.families import LABELS
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.serving.market import END, statistics_of, stored_labels
from label_assets_tests.serving.test_hostile import NUMBERS, SQL, STAMPS, refused
from label_assets_tests.serving.test_reading import json_value

MONTHLY = "/v1/statistics/EURUSD/H4"


def rows_of(table: Any, stored: Settings, horizon: int) -> list[dict[str, Any]]:
    rows = statistics_of(table, stored_labels(stored, "EURUSD", "H4", horizon))
    return [
        {column.name: json_value(column, row[column.name]) for column in table.all_columns} for row in rows.to_pylist()
    ]


@pytest.mark.parametrize("horizon", [6, 24])
def test_months_are_what_the_table_holds(summarized: TestClient, stored: Settings, horizon: int) -> None:
    document = summarized.get(MONTHLY, params={"horizon": horizon}).json()
    assert document["rows"] == rows_of(LABEL_STATISTICS_MONTHLY, stored, horizon)
    assert [row["ts"][:7] for row in document["rows"]] == ["2024-01", "2024-02", "2024-03"]
    assert (document["instrument_id"], document["granularity"], document["horizon"]) == ("EURUSD", "H4", horizon)


def test_days_and_pages(summarized: TestClient, stored: Settings) -> None:
    expected = rows_of(LABEL_STATISTICS, stored, 6)
    found, url = [], f"{MONTHLY}?period=day&limit=7"
    while url:
        document = summarized.get(url).json()
        found += document["rows"]
        url = document["next"]
    assert found == expected
    assert len(found) > 50
    part = summarized.get(MONTHLY, params={"period": "day", "start": "2024-02-01", "end": "2024-02-08"}).json()
    assert part["rows"] == [row for row in expected if "2024-02-01" <= row["ts"] < "2024-02-08"]


def test_csv_writes_lists_as_json_does(summarized: TestClient) -> None:
    asked = {"columns": "label_rows,mfe_deciles"}
    rows = summarized.get(MONTHLY, params=asked).json()["rows"]
    text = summarized.get(MONTHLY, params={**asked, "format": "csv"}).text
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [pa.array([line["label_rows"]]).cast("int64")[0].as_py() for line in lines] == [
        row["label_rows"] for row in rows
    ]
    assert [[float(each) for each in line["mfe_deciles"].strip("[]").split(",")] for line in lines] == [
        row["mfe_deciles"] for row in rows
    ]


@pytest.mark.parametrize("granularity", ["H4", "D"])
def test_coverage_counts_the_rows_of_labels(api: TestClient, stored: Settings, granularity: str) -> None:
    document = api.get("/v1/coverage", params={"granularity": granularity, "horizon": 24}).json()
    assert document["instruments"] == ["EURUSD", "GBPUSD"]
    expected: dict[tuple[str, str], Counter[str]] = {}
    for name in document["instruments"]:
        for row in stored_labels(stored, name, granularity, 24).select(["ts", "window_status"]).to_pylist():
            month = datetime.fromtimestamp(row["ts"], UTC).strftime("%Y-%m")
            counts = expected.setdefault((name, month), Counter())
            counts.update(["label", ("complete", "open", "gap")[row["window_status"]]])
    found = {(cell["instrument_id"], cell["month"]): cell for cell in document["months"]}
    assert list(found) == list(expected)
    for key, counts in expected.items():
        assert {name: found[key][f"{name}_rows"] for name in ("label", "complete", "open", "gap")} == {
            name: counts[name] for name in ("label", "complete", "open", "gap")
        }
        assert found[key]["status"] == ("partly open" if counts["open"] else "complete")
    assert {cell["status"] for cell in document["months"]} == {"complete", "partly open"}


def test_coverage_of_what_is_not_said_is_of_the_first(api: TestClient) -> None:
    document = api.get("/v1/coverage").json()
    assert (document["granularity"], document["horizon"]) == ("H1", 6)


def test_coverage_is_not_sent_again_until_something_is_written(
    api: TestClient, other_api: Any, make_settings: Any, stored: Settings
) -> None:
    answer = api.get("/v1/coverage", params={"granularity": "D"})
    known = {"If-None-Match": answer.headers["ETag"]}
    again = api.get("/v1/coverage", params={"granularity": "D"}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    for other in ({"granularity": "H4"}, {"granularity": "D", "horizon": 24}):
        assert api.get("/v1/coverage", params=other, headers=known).status_code == 200
    fewer = other_api(instruments=stored.instruments[:1])
    assert fewer.get("/v1/coverage", params={"granularity": "D"}, headers=known).status_code == 200

    writing = make_settings()
    growing = other_api(database=writing.database)
    rows = stored_labels(stored, "EURUSD", "H1", 6)
    warehouse = Warehouse(writing)
    seen = []
    for part in (rows, rows, rows.slice(0, 10)):  # written, written again, most of it removed
        warehouse.upsert(LABELS, Scope("EURUSD", 0, END, "H1"), part)
        tag = {"If-None-Match": seen[-1][2]} if seen else {}
        found = growing.get("/v1/coverage", headers=tag)
        total = sum(cell["label_rows"] for cell in found.json()["months"]) if found.status_code == 200 else None
        seen.append((found.status_code, total, found.headers["ETag"]))
    warehouse.close()
    assert [(status, total) for status, total, _ in seen] == [(200, rows.num_rows), (304, None), (200, 10)]


def test_coverage_without_rows_is_empty(other_api: Any, make_settings: Any) -> None:
    empty = make_settings()
    document = other_api(database=empty.database).get("/v1/coverage").json()
    assert document["months"] == []


@pytest.mark.parametrize("text", SQL, ids=range(len(SQL)))
def test_sql_in_every_string(api: TestClient, text: str) -> None:
    word = quote(text, safe="")
    refused(api.get(f"/v1/statistics/{word}/H4"))
    refused(api.get(f"/v1/statistics/EURUSD/{word}"))
    for name in ("columns", "format", "start", "end", "limit", "horizon", "period", "unknown"):
        refused(api.get(MONTHLY, params={name: text}))
    for name in ("granularity", "horizon", "unknown"):
        refused(api.get("/v1/coverage", params={name: text}))


def test_numbers_and_times_that_are_none(api: TestClient) -> None:
    for value in NUMBERS:
        refused(api.get("/v1/coverage", params={"horizon": value}))
        refused(api.get(MONTHLY, params={"limit": value}))
    for value in STAMPS:
        refused(api.get(MONTHLY, params={"start": value}))


def test_what_is_not_labelled_is_refused_with_what_is(api: TestClient) -> None:
    found = api.get("/v1/coverage", params={"granularity": "M15"}).json()
    assert (found["status"], found["allowed"]) == (404, "H1, H4, D")
    found = api.get("/v1/coverage", params={"horizon": 7}).json()
    assert (found["status"], found["allowed"]) == (422, "6, 24")
    found = api.get(MONTHLY, params={"columns": "mfe_median"}).json()
    assert found["status"] == 422
    assert "complete_rows" in found["allowed"]
    assert "/v1/catalog" in found["allowed"], "of so many columns not all are listed"
    refused(api.get(MONTHLY, params={"period": "day", "columns": "mfe_deciles"}))


def test_the_document_describes_them(api: TestClient) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    row = paths["/v1/statistics/{instrument}/{granularity}"]["get"]["responses"]["200"]["content"]["application/json"]
    names = row["schema"]["properties"]["rows"]["items"]["properties"]
    assert set(names) == set(LABEL_STATISTICS_MONTHLY.names)
    assert {each["name"] for each in paths["/v1/coverage"]["get"]["parameters"]} == {"granularity", "horizon"}
    assert not [path for path in paths if path == "/" or path.startswith("/explorer")]
