"""The live engine on real servers: what it writes is what a run computes, and a run after it writes nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from label_assets.cache.hot import open_cache
from label_assets.cache.sections import Section
from label_assets.catalog.families import LABELS
from label_assets.kernels.arrays import Candles
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope
from label_assets_tests.assets.runs import assert_same, contents, failures, materialize, write_parquet, written
from label_assets_tests.live.engine import is_done, send, wait_until, working
from label_assets_tests.live.markets import at, base_candles
from label_assets_tests.live.markets import cut as taken

MONTHS = ("2024-01", "2024-03")


def land(settings: Settings, instrument: str, candles: Candles) -> None:
    folder = Path(str(settings.landing_folder))
    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: getattr(candles, name) for name in ("ts", "open", "high", "low", "close", "volume")}
    write_parquet(folder / f"{instrument}_M15.parquet", columns)


def run_whole(settings: Settings, *instruments: str) -> dict[str, int]:
    """Rows written to ClickHouse by each asset of a run over everything; `hot_labels` writes to the cache."""
    total: dict[str, int] = {}
    for name in instruments:
        result = materialize(settings, name, MONTHS)
        assert result.success, failures(result)
        for asset, count in (written(result) | {"hot_labels": 0}).items():
            total[asset] = total.get(asset, 0) + count
    return total


def test_a_run_after_it_writes_nothing(live_settings: Callable[..., Settings]) -> None:
    """History by a run, the rest by the stream, then a run over all of it; the cache holds what ClickHouse does."""
    settings = live_settings(horizons=[6, 12])
    base = base_candles(settings, "EURUSD", at("2024-01-02"), at("2024-03-20"))
    cut = int(np.searchsorted(base.ts, at("2024-03-05 10:30")))
    land(settings, "EURUSD", taken(base, 0, cut))
    assert run_whole(settings, "EURUSD")["labels"] > 0
    with working(settings):
        for first in range(cut, len(base.ts), 173):
            send(settings, "EURUSD", taken(base, first, first + 173))
        wait_until(lambda: is_done(settings, ["EURUSD"]))
    live = contents(settings)
    land(settings, "EURUSD", base)
    assert {asset: count for asset, count in run_whole(settings, "EURUSD").items() if count} == {}
    assert_same(contents(settings), live)
    cache = open_cache(settings)
    warehouse = Warehouse(settings)
    assert cache is not None
    for name in settings.granularities:
        for horizon in settings.horizons:
            rows = cache.latest(Section("EURUSD", name, horizon), 20)
            assert rows is not None
            cached = rows.table("EURUSD", name, horizon).sort_by("ts").drop_columns("computed_at")
            stored = warehouse.read(LABELS, Scope("EURUSD", 0, 2**32 - 1, name)).drop_columns("computed_at")
            stored = stored.filter(np.asarray(stored["horizon"]) == horizon)
            assert cached.equals(stored.slice(stored.num_rows - 20)), (name, horizon)
    warehouse.close()
    cache.close()
