"""The upsert: the view becomes exactly what it should be, in one part, whatever was there."""

import itertools
import threading
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.catalog.tables import CANDLES, REJECTED_CANDLES
from label_assets.errors import WarehouseError
from label_assets.warehouse import upsert as upsert_module
from label_assets.warehouse.client import Warehouse, read_newest
from label_assets.warehouse.upsert import Scope, ScopeRows

START = 1_704_067_200  # 2024-01-01
HOUR = 3_600
WHOLE = Scope("EURUSD", START, START + 1_000 * HOUR)


def candle_table(instrument: str, rows: Sequence[tuple[str, int, float]]) -> pa.Table:
    """Rows of candles from (granularity, hours after START, close)."""
    ts = np.array([START + hours * HOUR for _, hours, _ in rows], np.uint32)
    close = np.array([close for *_, close in rows], float)
    values: dict[str, object] = {
        "instrument_id": [instrument] * len(rows),
        "granularity": [name for name, *_ in rows],
        "ts": ts,
        "close_ts": ts + HOUR,
        **dict.fromkeys(("open", "high", "low", "close", "volume"), close),
    }
    return pa.table(values).cast(CANDLES.wire_schema())


def stored(warehouse: Warehouse, instrument: str = "EURUSD") -> set[tuple[str, int, float]]:
    rows = warehouse.client.query(
        "SELECT granularity, toUnixTimestamp(ts), close FROM candles WHERE instrument_id = {i:String}",
        {"i": instrument},
    ).result_rows
    return {(name, (ts - START) // HOUR, close) for name, ts, close in rows}


def parts(warehouse: Warehouse) -> int:
    return int(
        warehouse.client.command(
            "SELECT count() FROM system.parts "
            "WHERE active AND database = currentDatabase() AND table = 'candles_storage'"
        )
    )


_counter = itertools.count()
_states = st.dictionaries(
    st.tuples(st.sampled_from(["M15", "H1", "D"]), st.integers(0, 12)), st.sampled_from([1.0, 1.5, 2.0]), max_size=12
)


@settings(max_examples=25)
@given(st.lists(_states, min_size=1, max_size=4))
def test_view_is_the_last_state_and_counts_are_true(shared_warehouse: Warehouse, states: list) -> None:
    instrument = f"I{next(_counter)}"
    scope = Scope(instrument, START, START + 1_000 * HOUR)
    before: dict = {}
    for state in states:
        rows = candle_table(instrument, [(name, hours, close) for (name, hours), close in state.items()])
        result = shared_warehouse.upsert(CANDLES, scope, rows)
        changed = sum(before.get(key) != close for key, close in state.items())
        assert stored(shared_warehouse, instrument) == {(*key, close) for key, close in state.items()}
        assert (result.rows, result.rows_written, result.rows_unchanged, result.rows_removed) == (
            len(state),
            changed,
            len(state) - changed,
            len(set(before) - set(state)),
        )
        assert len(result.written_ts) == changed
        before = state
    again = shared_warehouse.upsert(CANDLES, scope, rows)
    assert (again.rows_written, again.rows_removed) == (0, 0)


@pytest.fixture(scope="module")
def shared_warehouse(home, clickhouse_url):
    from label_assets.settings import load_settings

    opened = Warehouse(load_settings(home=home, clickhouse_url=clickhouse_url, database="t_upsert"))
    yield opened
    opened.client.command("DROP DATABASE t_upsert SYNC")
    opened.close()


def test_changes_and_tombstones_are_one_part(warehouse: Warehouse) -> None:
    warehouse.client.command("SYSTEM STOP MERGES candles_storage")
    warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [("H1", hour, 1.0) for hour in range(500)]))
    assert parts(warehouse) == 1
    result = warehouse.upsert(
        CANDLES, WHOLE, candle_table("EURUSD", [("H1", hour, 1.0 + hour % 2) for hour in range(100, 600)])
    )
    assert (result.rows_written, result.rows_unchanged, result.rows_removed) == (300, 200, 100)
    assert parts(warehouse) == 2
    warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [("H1", hour, 1.0 + hour % 2) for hour in range(100, 600)]))
    assert parts(warehouse) == 2, "an unchanged scope writes nothing"


def test_a_large_insert_is_one_part(warehouse: Warehouse) -> None:
    """Blocks are cut at about a million rows by default; one part is what makes an upsert atomic."""
    warehouse.client.command("SYSTEM STOP MERGES candles_storage")
    count = 1_300_000
    ts = (1_072_915_200 + np.arange(count, dtype=np.int64) * 10).astype(np.uint32)  # 2004 and some months
    inside = ts < 1_104_537_600
    values = np.random.default_rng(1).random(int(inside.sum()))
    rows = pa.table(
        {
            "instrument_id": pa.repeat(pa.scalar("EURUSD"), int(inside.sum())),
            "granularity": pa.repeat(pa.scalar("M1"), int(inside.sum())),
            "ts": ts[inside],
            "close_ts": ts[inside] + 10,
            **dict.fromkeys(("open", "high", "low", "close", "volume"), values),
        }
    )
    warehouse.upsert(CANDLES, Scope("EURUSD", 1_072_915_200, 1_104_537_600), rows)
    assert parts(warehouse) == 1


def test_a_scope_is_one_part_whatever_time_it_spans(warehouse: Warehouse) -> None:
    warehouse.client.command("SYSTEM STOP MERGES candles_storage")
    scope = Scope("EURUSD", START - 90_000 * HOUR, START + 90_000 * HOUR)
    hours = range(-90_000, 90_000, 1_000)
    result = warehouse.upsert(CANDLES, scope, candle_table("EURUSD", [("H1", hour, 1.0) for hour in hours]))
    assert (result.rows_written, parts(warehouse)) == (180, 1)


def test_too_many_rows_for_one_insert_are_cut_in_time(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.client.command("SYSTEM STOP MERGES candles_storage")
    monkeypatch.setattr(upsert_module, "MOST_ROWS", 10)
    many = [(name, hour, 1.0) for hour in range(11) for name in ("M15", "H1", "D")]
    few = ScopeRows(Scope("GBPUSD", START, START + 24 * HOUR), candle_table("GBPUSD", [("H1", 1, 1.0)]))
    whole = [ScopeRows(WHOLE, candle_table("EURUSD", many)), few]
    assert warehouse.upsert_all(CANDLES, whole).rows_written == 34
    assert (stored(warehouse), stored(warehouse, "GBPUSD")) == (set(many), {("H1", 1, 1.0)})
    assert parts(warehouse) == 4, "of at most ten rows or one open time, the last with the other instrument's row"
    again = warehouse.upsert_all(CANDLES, whole)
    assert (again.rows_written, again.rows_removed) == (0, 0)
    assert warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [])).rows_removed == 33


def test_rows_outside_the_scope_are_left_alone_and_refused(warehouse: Warehouse) -> None:
    warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [("H1", hour, 1.0) for hour in range(10)]))
    other = Scope("GBPUSD", START, START + 10 * HOUR)
    warehouse.upsert(CANDLES, other, candle_table("GBPUSD", [("H1", 1, 9.0)]))
    narrow = Scope("EURUSD", START, START + 5 * HOUR)
    assert warehouse.upsert(CANDLES, narrow, candle_table("EURUSD", [])).rows_removed == 5
    assert stored(warehouse) == {("H1", hour, 1.0) for hour in range(5, 10)}
    assert stored(warehouse, "GBPUSD") == {("H1", 1, 9.0)}
    for strangers in (candle_table("EURUSD", [("H1", 7, 1.0)]), candle_table("GBPUSD", [("H1", 1, 1.0)])):
        with pytest.raises(WarehouseError, match="outside its time range"):
            warehouse.upsert(CANDLES, narrow, strangers)


def test_many_scopes_are_one_insert_and_touch_nothing_else(warehouse: Warehouse) -> None:
    warehouse.client.command("SYSTEM STOP MERGES candles_storage")
    both = [("H1", hour, 1.0) for hour in range(6)] + [("D", 0, 5.0)]
    whole = {name: Scope(name, START, START + 24 * HOUR) for name in ("EURUSD", "GBPUSD")}
    made = warehouse.upsert_all(CANDLES, [ScopeRows(whole[name], candle_table(name, both)) for name in whole])
    assert (made.rows_written, parts(warehouse)) == (14, 1)
    part = [
        ScopeRows(Scope("EURUSD", START, START + 3 * HOUR, "H1"), candle_table("EURUSD", [("H1", 0, 2.0)])),
        ScopeRows(Scope("GBPUSD", START + 4 * HOUR, START + 9 * HOUR, "H1"), candle_table("GBPUSD", both[4:6])),
    ]
    result = warehouse.upsert_all(CANDLES, part)
    assert (result.rows_written, result.rows_removed, result.rows_unchanged) == (1, 2, 2)
    assert stored(warehouse) == {("H1", 0, 2.0), *both[3:]}
    assert stored(warehouse, "GBPUSD") == set(both)
    assert parts(warehouse) == 2
    again = warehouse.upsert_all(CANDLES, part)
    assert (again.rows_written, again.rows_removed, parts(warehouse)) == (0, 0, 2)


def test_rows_kept_in_memory_are_those_of_the_view(warehouse: Warehouse) -> None:
    kept = Warehouse(warehouse.settings, kept_bytes=100_000)
    hours = range(50)
    for turn in (1.0, 2.0):
        rows = candle_table("EURUSD", [(name, hour, turn + hour % 2) for name in ("H4", "D") for hour in hours])
        kept.upsert(CANDLES, WHOLE, rows)
        assert kept.read_written(CANDLES, WHOLE).equals(warehouse.read(CANDLES, WHOLE))
        assert kept.read_written(CANDLES, WHOLE) is kept.read_written(CANDLES, WHOLE), "kept, not read"
    warehouse.upsert(CANDLES, Scope("EURUSD", START, START + HOUR), candle_table("EURUSD", [("D", 0, 9.0)]))
    assert kept.read_written(CANDLES, WHOLE).equals(warehouse.read(CANDLES, WHOLE)), "somebody else has written"
    kept.close()


def test_what_is_compared_is_what_the_view_shows(warehouse: Warehouse) -> None:
    for turn in range(4):
        hours = [hour for hour in range(30) if (hour + turn) % 4]
        warehouse.upsert(
            CANDLES, WHOLE, candle_table("EURUSD", [("H1", hour, 1.0 + hour % (turn + 1)) for hour in hours])
        )
        assert read_newest(warehouse.client, CANDLES, [WHOLE]).rows.equals(warehouse.read(CANDLES, WHOLE)), turn
    columns = ", ".join(f"`{name}`" for name in CANDLES.names if name != "close")
    warehouse.client.command(
        f"INSERT INTO candles_storage ({columns}, close, version, is_deleted) "
        f"SELECT {columns}, close + 1, version, is_deleted FROM candles_storage"
    )
    assert read_newest(warehouse.client, CANDLES, [WHOLE]).rows.equals(warehouse.read(CANDLES, WHOLE)), (
        "one version twice"
    )


def test_a_key_that_occurs_twice_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="occurs twice"):
        warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [("H1", 1, 1.0), ("D", 1, 1.0), ("H1", 1, 2.0)]))
    assert stored(warehouse) == set()


def test_a_row_returns_after_its_tombstone_even_if_the_clock_was_set_back(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = candle_table("EURUSD", [("H1", 1, 1.0)])
    warehouse.upsert(CANDLES, WHOLE, row)
    warehouse.upsert(CANDLES, WHOLE, row.slice(0, 0))
    monkeypatch.setattr(upsert_module.time, "time_ns", lambda: 1_000_000_000)
    warehouse.upsert(CANDLES, WHOLE, row)
    assert stored(warehouse) == {("H1", 1, 1.0)}


def test_text_keys_and_nulls(warehouse: Warehouse) -> None:
    def rejected(line: int, volume: float | None) -> pa.Table:
        values = {name: [None] for name in ("stamp", "open", "high", "low", "close")}
        return pa.table(
            {"instrument_id": ["EURUSD"], "granularity": ["H1"], "ts": [START], "source_file": ["a.parquet"],
             "line": [line], **values, "volume": [volume], "reason": ["bad"], "detail": ["it's bad"]}
        ).select(REJECTED_CANDLES.names).cast(REJECTED_CANDLES.wire_schema())  # fmt: skip

    rows = pa.concat_tables([rejected(1, None), rejected(2, 1.0)])
    assert warehouse.upsert(REJECTED_CANDLES, WHOLE, rows).rows_written == 2
    assert warehouse.upsert(REJECTED_CANDLES, WHOLE, rows).rows_written == 0
    rows = pa.concat_tables([rejected(1, 0.0), rejected(2, None)])
    assert warehouse.upsert(REJECTED_CANDLES, WHOLE, rows).rows_written == 2, "0 is not NULL"


def test_readers_never_see_half_of_an_upsert(warehouse: Warehouse) -> None:
    """Every state has 300 rows and one value; a reader that sees a mixture has seen half a write."""

    def state(turn: int) -> pa.Table:
        return candle_table("EURUSD", [("H1", hour, float(turn)) for hour in range(turn % 7, turn % 7 + 300)])

    warehouse.upsert(CANDLES, WHOLE, state(0))
    done = threading.Event()
    seen: set[tuple[int, int]] = set()

    def read() -> None:
        reader = Warehouse(warehouse.settings)
        while not done.is_set():
            seen.add(tuple(reader.client.query("SELECT count(), uniqExact(close) FROM candles").result_rows[0]))
        reader.close()

    readers = [threading.Thread(target=read) for _ in range(3)]
    for thread in readers:
        thread.start()
    for turn in range(1, 25):
        warehouse.upsert(CANDLES, WHOLE, state(turn))
    done.set()
    for thread in readers:
        thread.join()
    assert seen == {(300, 1)}


def test_two_writers_of_the_same_rows_end_like_one(warehouse: Warehouse) -> None:
    rows = candle_table("EURUSD", [("H1", hour, 2.0) for hour in range(200)])
    warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [("H1", hour, 1.0) for hour in range(50, 400)]))
    errors: list[Exception] = []
    barrier = threading.Barrier(4)

    def write() -> None:
        writer = Warehouse(warehouse.settings)
        try:
            writer.client.ping()
            barrier.wait()
            for _ in range(3):
                writer.upsert(CANDLES, WHOLE, rows)
                time.sleep(0)
        except Exception as error:  # noqa: BLE001 - reported below
            errors.append(error)
        writer.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert errors == []
    assert stored(warehouse) == {("H1", hour, 2.0) for hour in range(200)}
