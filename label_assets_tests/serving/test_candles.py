"""Candles that computations share are those of ClickHouse, whatever was asked for before and whoever writes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from label_assets.catalog.tables import CANDLES
from label_assets.compute.inputs import MarketReader, MarketSlice
from label_assets.kernels.arrays import Candles
from label_assets.serving import candles as module
from label_assets.serving.candles import SharedCandles
from label_assets.serving.store import Store
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.live.markets import at, base_candles
from label_assets_tests.serving.market import END, FIRST, candle_rows, store_candles

SMALL = {
    name: {"level_lifetime": 30, "quantile_sample": 20, "burst_sample": 20, "burst_minimum": 5} for name in ("H1", "H4")
}
"""Short look-backs, so that three months hold many slices that reach neither end."""

HORIZON = 6


@pytest.fixture
def short(stored: Settings) -> Settings:
    labels = type(stored.labels).model_validate(stored.labels.model_dump() | {"numbers": SMALL})
    return stored.model_copy(update={"labels": labels, "horizons": (HORIZON,), "granularities": ("H1", "H4")})


@pytest.fixture
def shared(short: Settings) -> Iterator[SharedCandles]:
    store = Store(short)
    yield SharedCandles(short, store)
    store.close()


def same(found: MarketSlice, expected: MarketSlice) -> None:
    for ours, theirs in zip((*found.candles, *found.path), (*expected.candles, *expected.path), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert (found.inside == expected.inside).all()


def test_slices_are_those_of_a_run_in_any_order(
    short: Settings, shared: SharedCandles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranges that are held grow to both sides; look-back and look-ahead are counted in candles."""
    monkeypatch.setattr(module, "STEP_CANDLES", 32)
    reads: list[list[tuple[str, int, int]]] = []
    read = SharedCandles._read

    def counted(self: SharedCandles, *asked: Any) -> None:
        reads.append(asked[2])
        read(self, *asked)

    monkeypatch.setattr(SharedCandles, "_read", counted)
    warehouse = Warehouse(short)
    draw = np.random.default_rng(3)
    for _ in range(60):
        name = str(draw.choice(["H1", "H4"]))
        start = int(draw.integers(FIRST - 20 * 86_400, END + 5 * 86_400))
        asked = (start, start + int(draw.integers(1, 10 * 86_400)))
        found = shared.slice("EURUSD", name, asked, HORIZON).market
        same(found, MarketReader(warehouse, short).slice("EURUSD", name, *asked))
    warehouse.close()
    assert any(len(wanted) > 1 for wanted in reads)
    assert len(reads) < 40, "most slices are cut from what is held"


def test_the_path_reaches_as_far_as_the_candles(
    make_settings: Callable[..., Settings], short: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H1 that is held as the path of H4 reaches across weeks without candles, further than was asked for of M15."""
    settings = make_settings(
        instruments=["EURUSD"],
        granularities=["H1", "H4"],
        first_month="2024-01",
        labels=short.labels,
        horizons=[HORIZON],
    )
    monkeypatch.setattr(module, "STEP_CANDLES", 32)
    base = base_candles(settings, "EURUSD", FIRST, END)
    kept = (base.ts < at("2024-02-05")) | (base.ts >= at("2024-02-27"))
    warehouse, store = Warehouse(settings), Store(settings)
    store_candles(warehouse, settings, "EURUSD", Candles._make(column[kept] for column in base))
    shared = SharedCandles(settings, store)
    for name, day in (("H4", "2024-03-08"), ("H4", "2024-02-02"), ("H1", "2024-02-27"), ("H1", "2024-02-02")):
        asked = (at(day), at(day) + 86_400)
        found = shared.slice("EURUSD", name, asked, HORIZON).market
        same(found, MarketReader(warehouse, settings).slice("EURUSD", name, *asked))
    store.close()
    warehouse.close()


def test_who_writes_is_noticed(
    make_settings: Callable[..., Settings], short: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(
        instruments=["EURUSD"], granularities=["H1"], first_month="2024-01", labels=short.labels, horizons=[HORIZON]
    )
    warehouse, store = Warehouse(settings), Store(settings)
    base = base_candles(settings, "EURUSD", FIRST, at("2024-02-20"))
    store_candles(warehouse, settings, "EURUSD", base)
    shared = SharedCandles(settings, store)
    asked = (at("2024-02-01"), at("2024-02-03"))
    before = shared.slice("EURUSD", "H1", asked, HORIZON)
    assert before.version > 0
    changed = before.market.candles._replace(close=before.market.candles.close.copy())
    changed.close[-1] = changed.high[-1]
    warehouse.upsert(
        CANDLES,
        Scope("EURUSD", int(changed.ts[0]), int(changed.ts[-1]) + 1, "H1"),
        candle_rows("EURUSD", "H1", changed),
    )
    again = shared.slice("EURUSD", "H1", asked, HORIZON)
    assert again.version == before.version, "for a second what is held is good"
    asked_now = shared.slice("EURUSD", "H1", asked, HORIZON, anew=True)
    assert asked_now.version > before.version
    assert asked_now.market.candles.close[-1] == changed.close[-1] != before.market.candles.close[-1]
    monkeypatch.setattr(module, "KEPT_S", 0.0)
    same(shared.slice("EURUSD", "H1", asked, HORIZON).market, asked_now.market)
    assert len(shared.slice("GBPUSD", "H1", asked, HORIZON).market.candles.ts) == 0
    store.close()
    warehouse.close()


def test_memory_is_bounded(shared: SharedCandles, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was not used for longest goes, and is read again when it is asked for."""
    asked = (at("2024-02-01"), at("2024-02-03"))
    first = shared.slice("EURUSD", "H1", asked, HORIZON).market
    assert first.candles.close.base is None, "a slice keeps nothing but itself"
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    shared.slice("GBPUSD", "H1", asked, HORIZON)
    assert list(shared._instruments) == ["GBPUSD"]
    same(shared.slice("EURUSD", "H1", asked, HORIZON).market, first)
    assert list(shared._instruments) == ["EURUSD"]
