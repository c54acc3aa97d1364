"""Resampling: LABELS.md §1, against a plain loop, on any cut of time."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.errors import CandleError
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder, resample
from label_assets_tests.market.times import texts, utc

CALENDAR = SessionCalendar("17:00 America/New_York")
COARSER = ("H1", "H4", "D", "W")


def _candles(ts: np.ndarray, seed: int = 0) -> Candles:
    draw = np.random.default_rng(seed)
    open_, close = draw.uniform(1, 2, (2, len(ts)))
    high, low = np.maximum(open_, close) + draw.random(len(ts)), np.minimum(open_, close) - draw.random(len(ts)) / 2
    # Volumes over twelve decades: any other order of addition gives other bits.
    volume = 10 ** draw.uniform(-6, 6, len(ts))
    return Candles(ts, ts + 900, open_, high, low, close, volume)


def _part(candles: Candles, first_ts: int, end_ts: int) -> Candles:
    first, last = np.searchsorted(candles.ts, (first_ts, end_ts))
    return Candles._make(column[first:last] for column in candles)


def _assert_equal(left: Candles, right: Candles) -> None:
    for name, a, b in zip(Candles._fields, left, right, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def _naive(base: Candles, granularity: str) -> Candles:
    rows: dict[int, list[float]] = {}
    for i, ts in enumerate(base.ts):
        o, h, l, c, v = (float(column[i]) for column in base[2:])  # noqa: E741
        key = int(CALENDAR.bucket_open(ts, granularity))
        if key in rows:
            row = rows[key]
            rows[key] = [row[0], max(row[1], h), min(row[2], l), c, row[4] + v]
        else:
            rows[key] = [o, h, l, c, v]
    ends = {ts: int(CALENDAR.bucket_close(ts, granularity)) for ts in rows}
    kept = [ts for ts in rows if any(close >= ends[ts] for close in base.close_ts)]
    columns = np.array([rows[ts] for ts in kept]).reshape(-1, 5).T
    return Candles(np.array(kept, np.int64), np.array([ends[ts] for ts in kept], np.int64), *columns)


@settings(deadline=None, max_examples=60)
@given(
    start=st.integers(702_000, 2_300_000),
    steps=st.lists(st.sampled_from([1, 1, 1, 2, 5, 17, 200, 900]), max_size=120),
    granularity=st.sampled_from(COARSER),
)
def test_equals_a_plain_loop(start: int, steps: list[int], granularity: str) -> None:
    base = _candles(900 * (start + np.cumsum(np.array([0, *steps], np.int64))))
    _assert_equal(resample(base, granularity, CALENDAR), _naive(base, granularity))


@settings(deadline=None, max_examples=25)
@given(cuts=st.lists(st.integers(1, 40), max_size=6), granularity=st.sampled_from(COARSER), seed=st.integers(0, 99))
def test_any_cut_at_bucket_opens_gives_the_same_bits(cuts: list[int], granularity: str, seed: int) -> None:
    draw = np.random.default_rng(seed)
    ts = utc("2021-02-28 22:00") + 900 * np.flatnonzero(draw.random(40 * 672) < 0.9)
    base = _candles(ts, seed)
    whole = resample(base, granularity, CALENDAR)
    inner = {int(whole.ts[min(7 * cut, len(whole.ts) - 1)]) for cut in cuts}
    borders = sorted({int(whole.ts[0]), *inner, int(ts[-1]) + 900})
    parts = []
    for first, end in pairwise(borders):
        # Candles after the part make its last bucket exist; buckets that open at or after `end` are the next part's.
        part = resample(_part(base, first, end + 7 * 86_400), granularity, CALENDAR)
        parts.append(_part(part, first, end))
    _assert_equal(Candles._make(np.concatenate(column) for column in zip(*parts, strict=True)), whole)


def test_sum_of_volume_is_added_in_time_order() -> None:
    """0.1 + 0.2 + 0.3 in this order, at every position of a bucket in the array and for every length."""
    base = _candles(utc("2021-02-28 22:00") + 900 * np.arange(1, 4_000))
    for granularity in COARSER:
        made = resample(base, granularity, CALENDAR)
        for i in range(len(made.ts)):
            total = 0.0
            for volume in _part(base, int(made.ts[i]), int(made.close_ts[i])).volume:
                total += volume
            assert made.volume[i] == total


def test_a_bucket_exists_once_the_base_reaches_its_end() -> None:
    ts = utc("2024-01-02 22:00") + 900 * np.arange(4)
    assert len(resample(_candles(ts[:3]), "H1", CALENDAR).ts) == 0
    assert texts(resample(_candles(ts), "H1", CALENDAR).ts) == ["2024-01-02 22:00"]
    # The last quarter is missing: the bucket appears with the next base candle, here an hour and a half later.
    assert texts(resample(_candles(np.append(ts[:3], ts[0] + 5_400)), "H1", CALENDAR).ts) == ["2024-01-02 22:00"]


def test_a_bucket_whose_data_begin_in_its_middle_exists() -> None:
    ts = utc("2024-01-02 22:30", "2024-01-02 22:45")
    made = resample(_candles(ts), "H1", CALENDAR)
    assert texts(made.ts) == ["2024-01-02 22:00"]
    assert texts(made.close_ts) == ["2024-01-02 23:00"]
    assert made.open[0] == _candles(ts).open[0]


def test_empty_base() -> None:
    for made in ladder(_candles(np.empty(0, np.int64)), "M15", CALENDAR).values():
        assert [len(column) for column in made] == [0] * 7


def test_ladder_has_all_coarser_granularities_each_from_the_base() -> None:
    base = _candles(utc("2024-01-01 22:00") + 900 * np.arange(4_000))
    made = ladder(base, "M15", CALENDAR)
    assert list(made) == ["H1", "H4", "D", "W"]
    for granularity, candles in made.items():
        _assert_equal(candles, resample(base, granularity, CALENDAR))
        assert math.isclose(candles.high.max(), _part(base, 0, int(candles.close_ts[-1])).high.max())


def test_unsorted_or_coarser_base_is_an_error() -> None:
    base = _candles(utc("2024-01-02 22:00") + 900 * np.arange(40))
    with pytest.raises(CandleError, match="strictly increasing"):
        resample(Candles._make(column[::-1] for column in base), "H1", CALENDAR)
    with pytest.raises(CandleError, match="strictly increasing"):
        resample(Candles._make(np.repeat(column, 2) for column in base), "H1", CALENDAR)
    with pytest.raises(CandleError, match="over the bucket's end"):
        resample(resample(base, "H1", CALENDAR), "M15", CALENDAR)
    with pytest.raises(CandleError, match="1990 to 2037"):
        resample(base._replace(ts=base.ts - 2**31), "H1", CALENDAR)
