"""The live engine on real servers: what it writes is what a run computes, and a run after it writes nothing."""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from label_assets.cache.hot import open_cache
from label_assets.cache.sections import Section
from label_assets.cache.warming import sync
from label_assets.compute.versions import code_versions
from label_assets.kernels.arrays import Candles
from label_assets.live import storing
from label_assets.live.candle_stream import Entry, entry_fields, open_queue, stream_key
from label_assets.live.hot import HotInstrument, HotPath
from label_assets.live.metrics import LiveMetrics
from label_assets.live.shared import Shared
from label_assets.live.storing import Cold, Store
from label_assets.live.tail import Tail
from label_assets.live.warm import warm_tail
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.runs import assert_same, contents
from label_assets_tests.live.engine import assert_cache_is_in_step, is_done, send, wait_until, working
from label_assets_tests.live.history import land, run_whole
from label_assets_tests.live.markets import at, base_candles
from label_assets_tests.live.markets import cut as taken


def test_a_run_after_it_writes_nothing(live_settings: Callable[..., Settings]) -> None:
    """History by a run, the rest by the stream, then a run over all of it; the cache holds what ClickHouse does."""
    settings = live_settings(horizons=[6, 12])
    base = base_candles(settings, "EURUSD", at("2024-01-02"), at("2024-02-20"))
    cut = int(np.searchsorted(base.ts, at("2024-02-08 10:30")))
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
    assert_cache_is_in_step(settings, "EURUSD")


def batch_only(live_settings: Callable[..., Settings], settings: Settings, base: dict[str, Candles]) -> Settings:
    """Another database, filled by one run over final candles."""
    other = live_settings(
        instruments=[item.name for item in settings.instruments],
        granularities=settings.granularities,
        horizons=settings.horizons,
    )
    for name, candles in base.items():
        land(other, name, candles)
    run_whole(other, *base)
    return other


@pytest.mark.slow
def test_late_repeated_and_corrected_candles(live_settings: Callable[..., Settings]) -> None:
    """In a wild order, with wrong values first: in the end everything is as if they had come right."""
    settings = live_settings()
    base = base_candles(settings, "EURUSD", at("2024-01-02"), at("2024-02-06"))
    begin = len(base.ts) - 260
    land(settings, "EURUSD", taken(base, 0, begin))
    run_whole(settings, "EURUSD")
    order = np.arange(begin, len(base.ts))
    draw = np.random.default_rng(3)
    order = order[np.argsort(np.arange(len(order)) + draw.integers(0, 5, len(order)), kind="stable")]
    sent = Candles._make(column[order] for column in base)
    wrong = sent.close.copy()
    wrong[::40] = sent.low[::40]
    with working(settings):
        send(settings, "EURUSD", sent._replace(close=wrong))
        wait_until(lambda: is_done(settings, ["EURUSD"]))
        send(settings, "EURUSD", taken(sent, 100, 160))  # repeated
        send(settings, "EURUSD", sent)  # corrected
        send(settings, "EURUSD", taken(base, begin - 700, begin - 699)._replace(volume=np.array([7.0])))  # of long ago
        wait_until(lambda: is_done(settings, ["EURUSD"]))
    final = base._replace(volume=base.volume.copy())
    final.volume[begin - 700] = 7.0
    expected = batch_only(live_settings, settings, {"EURUSD": final})
    assert_same(contents(expected), contents(settings))
    warehouse = Warehouse(settings)
    revisions = warehouse.query_text(
        "SELECT change, count() AS found FROM candle_revisions GROUP BY change"
    ).to_pylist()
    warehouse.close()
    assert {row["change"] for row in revisions} >= {0, 2}  # restated, added_late


def test_entries_that_break_rules(live_settings: Callable[..., Settings]) -> None:
    """They go where a run puts them, each once, and the good ones around them are stored; a run leaves both alone."""
    settings = live_settings()
    base = base_candles(settings, "EURUSD", at("2024-02-05"), at("2024-02-08"))
    queue = open_queue(settings)
    key = stream_key(settings, "EURUSD")
    good = entry_fields(base, 100)
    broken = {
        "ohlc_violation": good | {"high": "0.5"},
        "non_positive_price": good | {"low": "-1"},
        "non_finite_price": good | {"open": "nan"},
        "misaligned_stamp": good | {"ts": "1707200001"},
        "unreadable_stamp": good | {"ts": "yesterday"},
        "missing_stamp": {name: text for name, text in good.items() if name != "ts"},
        "broken_row": {"ts": good["ts"], "open": "1.1"},
        "unfinished": good | {"ts": str(at("2037-06-01"))},
        "bad_volume": good | {"volume": "-3"},
    }
    weekend = good | {"ts": str(at("2024-02-10 12:00"))} | dict.fromkeys(("open", "high", "low", "close"), "1.1")
    send(settings, "EURUSD", taken(base, 0, 100))
    for fields in [*broken.values(), weekend | {"volume": "0"}, good | {"ts": str(at("2023-06-05 12:00"))}]:
        queue.xadd(key, fields)
    send(settings, "EURUSD", taken(base, 100, len(base.ts)))
    with working(settings):
        wait_until(lambda: is_done(settings, ["EURUSD"]))
    land(settings, "EURUSD", base)
    assert {asset: count for asset, count in run_whole(settings, "EURUSD").items() if count} == {}
    warehouse = Warehouse(settings)
    rejected = warehouse.query_text("SELECT reason, source_file, detail FROM rejected_candles").to_pylist()
    raw = warehouse.query_text("SELECT count() AS found FROM raw_candles").to_pylist()
    warehouse.close()
    queue.close()
    assert sorted(row["reason"] for row in rejected) == sorted(broken)
    assert {row["source_file"] for row in rejected} == {"stream"}
    assert all("(entry " in row["detail"] for row in rejected)
    assert raw == [{"found": len(base.ts)}]


@pytest.mark.slow
def test_workers_share_instruments_and_foreign_writes_are_seen(live_settings: Callable[..., Settings]) -> None:
    names = ["EURUSD", "GBPUSD"]
    settings = live_settings(instruments=names, granularities=["H1"])
    base = {name: base_candles(settings, name, at("2024-02-01"), at("2024-02-14")) for name in names}
    half = len(base["EURUSD"].ts) // 2
    with working(settings, 2) as workers:
        for name in names:
            send(settings, name, taken(base[name], 0, half))
        wait_until(lambda: is_done(settings, names))
        wait_until(lambda: [worker.metrics.instruments._value.get() for worker in workers] == [1, 1])
        # A run over a corrected file changes a raw candle under the tails' feet.
        changed = base["EURUSD"]._replace(volume=base["EURUSD"].volume.copy())
        changed.volume[half - 200] = 7.0
        base["EURUSD"] = changed
        for name in names:
            land(settings, name, taken(base[name], 0, half))
        assert run_whole(settings, "EURUSD")["raw_candles"] == 1
        time.sleep(2 * settings.live.recheck_s)
        wait_until(lambda: is_done(settings, names))
        for name in names:
            send(settings, name, taken(base[name], half, len(base[name].ts)))
        wait_until(lambda: is_done(settings, names))
    for name in names:
        land(settings, name, base[name])
    assert {asset: count for asset, count in run_whole(settings, *names).items() if count} == {}


def test_an_instrument_that_is_claimed_again_while_it_is_read_is_served(
    live_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As happens on a busy machine, when a lease ends before the store is done."""
    settings = live_settings(granularities=["H1"])
    asked: list[Store] = []
    warm, read = Store.warm, storing.warm_tail

    def noted(store: Store, cold: Cold) -> None:
        asked.append(store)
        warm(store, cold)

    def interrupted(*arguments: Any) -> Tail:
        if len(asked) == 1:
            asked[0].forget("EURUSD")
            asked[0].warm(Cold("EURUSD", is_unfinished=True))
        return read(*arguments)

    monkeypatch.setattr(Store, "warm", noted)
    monkeypatch.setattr(storing, "warm_tail", interrupted)
    send(settings, "EURUSD", base_candles(settings, "EURUSD", at("2024-02-05"), at("2024-02-06")))
    with working(settings):
        wait_until(lambda: is_done(settings, ["EURUSD"]))
    assert len(asked) >= 2


def test_what_can_wait_lets_candles_pass(
    live_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes on once the hot path has no entries, and after a moment in any case."""
    settings = live_settings()
    calendar = SessionCalendar(settings.session_open)
    shared = Shared(settings, calendar, None, "1-abc", LiveMetrics(), threading.Event())
    store = Store(shared, lambda _, __: None, lambda: True)
    store._let_candles_pass()  # the hot path is at work, and stays so
    monkeypatch.setattr(storing, "LONGEST_WAIT_S", 60)
    waiting = threading.Thread(target=store._let_candles_pass)
    waiting.start()
    assert waiting.is_alive()
    shared.idle.set()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    seen: list[bool] = []
    hot = HotPath(shared)
    monkeypatch.setattr(hot, "_take", lambda _: seen.append(shared.idle.is_set()))
    hot.take([Entry("EURUSD", "1-0", {})])
    assert (seen, shared.idle.is_set()) == ([False], True)


def test_a_look_between_two_batches_takes_nothing_back(live_settings: Callable[..., Settings]) -> None:
    """ClickHouse gets a batch after the cache got rows of the next one, and is read in between."""
    settings = live_settings(granularities=["H1"])
    base = base_candles(settings, "EURUSD", at("2024-02-01"), at("2024-02-07"))
    cuts = [len(base.ts) - 16, len(base.ts) - 8, len(base.ts)]
    land(settings, "EURUSD", taken(base, 0, cuts[0]))
    run_whole(settings, "EURUSD")
    warehouse, cache = Warehouse(settings), open_cache(settings)
    assert cache is not None
    calendar = SessionCalendar(settings.session_open)
    shared = Shared(settings, calendar, cache, code_versions(settings)["labels"], LiveMetrics(), threading.Event())
    hot, store = HotPath(shared), Store(shared, lambda _, __: None, lambda: True)
    hot.instruments["EURUSD"] = HotInstrument.of(warm_tail(warehouse, settings, calendar, "EURUSD"))
    sync(cache, warehouse)
    now_ms = int(time.time() * 1000)
    first, second = (
        hot.take(
            [
                Entry(
                    "EURUSD",
                    f"{now_ms}-{row}",
                    {name.encode(): text.encode() for name, text in entry_fields(base, row).items()},
                )
                for row in range(begin, end)
            ]
        )
        for begin, end in itertools.pairwise(cuts)
    )
    section = Section("EURUSD", "H1", 6)
    newest = cache.latest(section, 20)
    assert newest is not None
    store.add(first.appended, first.rejections, first.settled)
    store._flush()
    assert sync(cache, warehouse).sections == 1
    after = cache.latest(section, 20)
    assert after is not None
    assert after.table(*section).equals(newest.table(*section))
    store.add(second.appended, second.rejections, second.settled)
    store._flush()
    assert_cache_is_in_step(settings, "EURUSD")
    warehouse.close()
    cache.close()
