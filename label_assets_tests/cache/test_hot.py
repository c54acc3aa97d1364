"""What the cache answers is right or nothing: newest version, whole ranges, whole ends."""

import time

import pytest

from label_assets.cache.hot import HotCache, Write, message_rows
from label_assets.cache.record import decode
from label_assets.cache.sections import Section, span_s
from label_assets.errors import CacheUnavailableError
from label_assets.settings import Settings
from label_assets_tests.cache.labels import label_rows

SECTION = Section("EURUSD", "H1", 6)
ROWS = label_rows(*SECTION)
TS = ROWS["ts"].to_pylist()
SPAN = 7 * 86_400
HELD = [ts for ts in TS if ts >= TS[-1] - SPAN]


def fill(cache: HotCache, version: int = 10) -> None:
    cache.write_all([Write(SECTION, ROWS, version, TS[0])])


def test_ranges_and_the_newest_rows_are_those_written(cache: HotCache) -> None:
    fill(cache)
    held = ROWS.slice(len(TS) - len(HELD))
    found = cache.range(SECTION, HELD[0])
    assert found is not None
    assert found.table(*SECTION).equals(held.combine_chunks())
    inner = cache.range(SECTION, HELD[3], HELD[9])
    assert inner is not None
    assert inner.records["ts"].tolist() == HELD[3:9]
    first_two = cache.range(SECTION, HELD[0], most=2)
    assert first_two is not None
    assert first_two.records["ts"].tolist() == HELD[:2]
    after = cache.range(SECTION, TS[-1] + 1)
    assert after is not None
    assert len(after.records) == 0
    latest = cache.latest(SECTION, 3)
    assert latest is not None
    assert latest.records["ts"].tolist() == HELD[:-4:-1]
    before = cache.latest(SECTION, 2, before_ts=HELD[-1])
    assert before is not None
    assert before.records["ts"].tolist() == HELD[-2:-4:-1]
    assert set(cache.rows(SECTION, [HELD[0], HELD[0] + 1, HELD[5]])) == {HELD[0], HELD[5]}


def test_what_may_be_incomplete_is_not_answered(cache: HotCache) -> None:
    cache.write(SECTION, ROWS.slice(len(TS) - 5), 10)  # the live engine alone: who knows what lies between
    assert cache.range(SECTION, TS[-1]) is None
    assert cache.latest(SECTION) is None
    assert len(cache.rows(SECTION, TS[-5:])) == 5
    fill(cache)
    assert cache.range(SECTION, HELD[0] - SPAN) is None
    assert cache.latest(SECTION, len(HELD) + 1) is None
    other = Section("EURUSD", "H1", 24)
    assert cache.ranges([(SECTION, HELD[0], TS[-1]), (other, 0, TS[-1])])[1] is None


def test_evicted_rows_and_indexes_are_missed(cache: HotCache) -> None:
    fill(cache)
    cache.redis.delete(cache.commands.row_key(SECTION, HELD[4]))
    assert cache.range(SECTION, HELD[0]) is None
    assert cache.range(SECTION, HELD[5]) is not None
    cache.redis.delete(cache.commands.index_key(SECTION))
    assert cache.range(SECTION, HELD[5]) is None
    cache.write(SECTION, ROWS.slice(len(TS) - 1), 11)  # the new index does not claim to know the rows before
    assert cache.latest(SECTION) is None


def test_the_newest_version_wins_in_any_order(cache: HotCache) -> None:
    changed = ROWS.set_column(
        ROWS.schema.get_field_index("entry_price"), ROWS.schema.field("entry_price"), [[1.5] * len(TS)]
    )
    fill(cache, 10)
    assert cache.write(SECTION, changed, 11) == len(TS)
    assert cache.write(SECTION, ROWS, 10) == 0
    assert cache.write(SECTION, changed, 12) == 0  # newer, and nothing new in it
    found = cache.range(SECTION, HELD[0])
    assert found is not None
    assert set(found.records["entry_price"].tolist()) == {1.5}
    assert cache.remove(SECTION, HELD[:2], 12) == 0
    assert cache.remove(SECTION, HELD[:2], 13) == 2
    rest = cache.range(SECTION, HELD[0])
    assert rest is not None
    assert rest.records["ts"].tolist() == HELD[2:]


def test_the_span_moves_with_the_newest_row(cache: HotCache) -> None:
    cache.write_all([Write(SECTION, ROWS.slice(0, 300), 10, TS[0])])
    for at in range(300, len(TS)):
        cache.write(SECTION, ROWS.slice(at, 1), 10)
    assert cache.epochs(SECTION) == HELD
    assert cache.range(SECTION, HELD[0]) is not None
    assert cache.range(SECTION, HELD[0] - 3601) is None


def test_rows_outlive_the_span_by_different_times(cache: HotCache, settings: Settings) -> None:
    fill(cache)
    lives = [cache.redis.pttl(cache.commands.row_key(SECTION, ts)) for ts in HELD]
    span_ms = span_s(settings, "H1") * 1000
    assert span_ms == SPAN * 1000
    assert min(lives) > span_ms - 60_000
    assert max(lives) <= span_ms * 1.1
    assert len({life // 60_000 for life in lives}) > 20
    assert cache.redis.pttl(cache.commands.index_key(SECTION)) > max(lives)


def test_keys_say_what_they_hold_and_definitions_do_not_mix(cache: HotCache, settings: Settings) -> None:
    fill(cache)
    key = cache.commands.row_key(SECTION, TS[-1])
    assert key.endswith(f":l:EURUSD:H1:6:{TS[-1]}")
    assert decode([cache.redis.get(key)]).records["ts"].tolist() == TS[-1:]
    other = settings.model_copy(update={"labels": settings.labels.model_copy(update={"barrier_width": "1 %"})})
    stranger = HotCache(other, str(settings.redis_url))
    assert stranger.latest(SECTION) is None
    stranger.close()


def test_changed_rows_are_published(cache: HotCache) -> None:
    listener = cache.redis.pubsub()
    listener.psubscribe(f"{cache.commands.namespace}:c:*")
    cache.write_all([Write(SECTION, ROWS.slice(0, 3), 10)], publish=True)
    message = None
    for _ in range(100):
        message = listener.get_message(ignore_subscribe_messages=True, timeout=0.1)
        if message:
            break
    assert message is not None
    assert message["channel"].decode() == cache.commands.channel(SECTION)
    assert message_rows(message["data"]).table(*SECTION).equals(ROWS.slice(0, 3).combine_chunks())
    listener.close()


def test_an_outage_is_named_and_does_not_wait(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    nobody = HotCache(settings, "redis://:secret@127.0.0.1:1/0")
    started = time.process_time()
    with pytest.raises(CacheUnavailableError) as outage:
        nobody.latest(SECTION)
    assert "secret" not in str(outage.value)
    assert not nobody.try_write_all([Write(SECTION, ROWS, 10)])
    assert f"{len(TS)} rows of 1 sections" in caplog.text
    assert time.process_time() - started < 5  # CPU, not waiting
