"""Labels computed on demand: equal to what a run stores, to the bit; a sent candle takes the place of a stored one."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.tables import LABEL_BOOKKEEPING, LABEL_KEY, PATH_WINDOWS
from label_assets.kernels.arrays import Candles
from label_assets.market.resampling import ladder
from label_assets.serving.candles import SharedCandles
from label_assets.serving.computing import Computer
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.live.markets import CALENDAR, base_candles
from label_assets_tests.serving.market import (
    END,
    FIRST,
    PATHS,
    MarketSlice,
    label_rows,
    store_candles,
    stored_labels,
)
from label_assets_tests.serving.test_reading import json_rows

ADDRESS = "/v1/labels/compute"


def computed(api: TestClient, **asked: Any) -> dict[str, Any]:
    answer = api.post(ADDRESS, json=asked)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Equal but for the time of computing."""
    assert found | {"computed_at": ""} == expected | {"computed_at": ""}


@pytest.mark.parametrize(("granularity", "horizon"), [("H1", 6), ("H4", 24), ("D", 6)])
def test_computed_rows_are_the_stored_ones(api: TestClient, stored: Settings, granularity: str, horizon: int) -> None:
    rows = json_rows(stored_labels(stored, "EURUSD", granularity, horizon))
    for row in (rows[0], rows[1], rows[len(rows) // 2], rows[-horizon - 1], rows[-horizon], rows[-1]):
        asked = {"instrument": "EURUSD", "granularity": granularity, "horizon": horizon, "ts": row["ts"]}
        found = computed(api, **asked, force_recompute=True)
        assert found["source"] == "computed"
        same(found["row"], row)


def test_what_is_stored_is_not_computed(api: TestClient, stored: Settings) -> None:
    rows = json_rows(stored_labels(stored, "EURUSD", "H4", 6))
    for row, source in ((rows[10], "store"), (rows[-1], "cache")):
        found = computed(api, instrument="EURUSD", granularity="H4", ts=row["ts"])
        assert (found["source"], found["row"]) == (source, row)


@pytest.mark.parametrize("horizon", [1, 13, 100])
def test_any_horizon_is_computed_as_a_run_would(api: TestClient, stored: Settings, horizon: int) -> None:
    base = base_candles(stored, "GBPUSD", FIRST, END)
    rungs = {"M15": base, **ladder(base, "M15", CALENDAR)}
    market = MarketSlice("GBPUSD", "H1", FIRST, END, rungs["H1"], rungs[PATHS["H1"]])
    expected = json_rows(label_rows(stored, market, horizon))
    for row in (expected[300], expected[-horizon - 1], expected[-1]):
        found = computed(api, instrument="GBPUSD", granularity="H1", horizon=horizon, ts=row["ts"])
        assert found["source"] == "computed"
        same(found["row"], row)


def test_chosen_families_alone_are_shown(api: TestClient, stored: Settings) -> None:
    row = json_rows(stored_labels(stored, "EURUSD", "H4", 6))[100]
    for force in (False, True):
        found = computed(
            api, instrument="EURUSD", granularity="H4", ts=row["ts"], families=["returns"], force_recompute=force
        )["row"]
        returns = next(family for family in FAMILIES if family.name == "returns")
        shown = (*LABEL_KEY, *PATH_WINDOWS.columns, *returns.table.columns, *LABEL_BOOKKEEPING)
        assert list(found) == [column.name for column in shown]
        same(found, {name: row[name] for name in found})


def test_a_sent_candle_that_is_the_stored_one_changes_nothing(api: TestClient, stored: Settings) -> None:
    candle = api.get("/v1/candles/EURUSD/H4?start=2024-02-12&limit=1").json()["rows"][0]
    sent = {name: candle[name] for name in ("ts", "open", "high", "low", "close", "volume")}
    found = computed(api, instrument="EURUSD", granularity="H4", candle=sent)
    expected = [row for row in json_rows(stored_labels(stored, "EURUSD", "H4", 6)) if row["ts"] == candle["ts"]]
    same(found["row"], expected[0])
    other = computed(api, instrument="EURUSD", granularity="H4", candle=sent | {"close": candle["low"]})["row"]
    assert other["entry_price"] == candle["low"]
    assert other["forward_return"] != expected[0]["forward_return"]
    assert other["exit_price"] == expected[0]["exit_price"]


def test_a_sent_candle_after_the_last_stored_one_is_open(api: TestClient, stored: Settings) -> None:
    sent = {"ts": "2024-03-19T21:00:00Z", "open": 1.0, "high": 1.1, "low": 0.9, "close": 1.05}
    row = computed(api, instrument="EURUSD", granularity="H4", candle=sent)["row"]
    assert (row["ts"], row["entry_price"], row["window_status"]) == (sent["ts"], 1.05, "open")
    assert row["atr"] is not None
    assert row["forward_return"] is None
    # Nothing of it stays.
    assert api.get("/v1/labels/EURUSD/H4/latest").json()["rows"][0]["ts"] < sent["ts"]


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"ts": "2024-02-01T02:30:00Z"}, 404, "the nearest open"),
        ({"ts": 0}, 404, "unknown-candle"),
        ({"ts": "2099-01-01"}, 422, "future"),
        ({}, 422, "either ts"),
        ({"ts": "2024-02-01T02:00:00Z", "horizon": 101}, 422, "less than or equal to 100"),
        ({"ts": "2024-02-01T02:00:00Z", "families": ["profits"]}, 422, "level_touches"),
        ({"ts": "2024-02-01T02:00:00Z", "families": []}, 422, "families"),
        ({"ts": "2024-02-01T02:00:00Z", "oops": 1}, 422, "Extra inputs"),
        ({"candle": {"ts": "2024-02-01T02:30:00Z", "open": 1, "high": 1, "low": 1, "close": 1}}, 422, "opens"),
        ({"candle": {"ts": "2024-02-01T02:00:00Z", "open": 2, "high": 1, "low": 1, "close": 1}}, 422, "low ≤ open"),
        ({"candle": {"ts": "2024-02-01T02:00:00Z", "open": -1, "high": 1, "low": -1, "close": 1}}, 422, "open"),
    ],
    ids=[
        "off grid",
        "long ago",
        "future",
        "nothing",
        "horizon",
        "family",
        "no family",
        "extra",
        "odd",
        "high",
        "minus",
    ],
)
def test_what_cannot_be_computed_is_refused(api: TestClient, asked: dict[str, Any], status: int, said: str) -> None:
    answer = api.post(ADDRESS, json={"instrument": "EURUSD", "granularity": "H4", **asked})
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.text


def test_many_who_ask_for_neighbors_share_one_reading(
    api: TestClient, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings: list[str] = []
    read = SharedCandles._read

    def counted(self: SharedCandles, *asked: Any) -> None:
        readings.append(str(asked[2]))
        time.sleep(0.2)  # so that all ask before it is done
        read(self, *asked)

    monkeypatch.setattr(SharedCandles, "_read", counted)
    opens = [row["ts"] for row in json_rows(stored_labels(stored, "GBPUSD", "H4", 6))[60:72]]
    answers: list[dict[str, Any]] = []

    def ask(ts: str) -> None:
        answers.append(computed(api, instrument="GBPUSD", granularity="H4", horizon=7, ts=ts))

    threads = [threading.Thread(target=ask, args=(ts,)) for ts in opens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["row"]["ts"] for answer in answers) == opens
    assert len(set(readings)) == len(readings), "nothing is read twice"
    assert 1 <= len(readings) <= 2, "one range, and all that there is where that was not enough"


def test_too_slow_is_408(other_api: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Computer, "row", lambda *_arguments, **_named: time.sleep(1))
    asked = {"instrument": "EURUSD", "granularity": "H4", "ts": "2024-02-01T02:00:00Z", "force_recompute": True}
    answer = other_api().post(ADDRESS, json={**asked, "timeout_s": 0.05})
    assert answer.status_code == 408
    problem = answer.json()
    assert "within 0.05 s" in problem["asked"]
    assert "serve.compute_timeout_s" in problem["allowed"]


def test_a_correction_in_the_store_shows(
    make_settings: Callable[..., Settings], other_api: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was computed is kept for a moment only, and force_recompute does not take it."""
    settings = make_settings(instruments=["EURUSD"], granularities=["H4"], first_month="2024-01", redis_url=None)
    base = base_candles(settings, "EURUSD", FIRST, END)
    warehouse = Warehouse(settings)
    store_candles(warehouse, settings, "EURUSD", base)
    api = other_api(database=settings.database, redis_url="redis://127.0.0.1:1/0")
    asked = {"instrument": "EURUSD", "granularity": "H4", "ts": "2024-02-01T02:00:00Z", "horizon": 9}
    before = computed(api, **asked)["row"]
    changed = Candles._make(column.copy() for column in base)
    touched = (base.ts >= FIRST + 32 * 86_400) & (base.ts < FIRST + 33 * 86_400)
    for column in (changed.open, changed.high, changed.low, changed.close):
        column[touched] *= 1.5
    store_candles(warehouse, settings, "EURUSD", changed)
    warehouse.close()
    after = computed(api, **asked, force_recompute=True)["row"]
    assert {name for name in after if after[name] != before[name]} - {"computed_at"}
    assert computed(api, **asked)["row"]["forward_return"] == after["forward_return"]
    assert set(after) == set(LABELS.names)
