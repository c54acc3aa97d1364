"""Spans hold the extremes of every window, and wrong ones are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.arrays import Candles
from label_assets.kernels.excursions import excursions
from label_assets.kernels.spans import checked_spans, path_spans
from label_assets.kernels.windows import COMPLETE, Windows


def path_of(count, draw):
    ts = np.arange(count, dtype=np.int64) * 900
    prices = draw.permutation(count) + 100.0
    return Candles(ts, ts + 900, prices, prices + draw.random(count), prices - draw.random(count), prices, prices)


def windows_of(path, start, bars):
    count = len(start)
    real, stamps = np.ones(count), np.zeros(count, np.int64)
    entry_ts = start.astype(np.int64) * 900
    status = np.full(count, COMPLETE, np.int8)
    return Windows(entry_ts, real, real, stamps, real, bars.astype(np.int32), real, status)


@given(st.integers(0, 2**32), st.sampled_from([1, 3, 24, 100, 1500, 2048, 2049, 5000]))
@settings(max_examples=60)
def test_extremes_are_those_of_the_bars(seed, longest):
    """Windows of any length, none included, and more than are looked at together."""
    draw = np.random.default_rng(seed)
    path = path_of(int(draw.integers(longest, longest + 3000)), draw)
    start = np.sort(draw.integers(0, len(path.ts), int(draw.integers(0, 200))))
    bars = np.minimum(draw.integers(0, longest + 1, len(start)), len(path.ts) - start)
    if draw.random() < 0.5:  # as of candles without gaps
        bars = np.minimum(np.full(len(start), longest), len(path.ts) - start)
    spans = path_spans(path, windows_of(path, start, bars))
    assert spans.start.tolist() == start.tolist()
    fields = ("highest", path.high, np.max), ("lowest", path.low, np.min)
    of_closes = ("highest_close", path.close, np.max), ("lowest_close", path.close, np.min)
    for name, prices, extreme in (*fields, *of_closes):
        expected = [extreme(prices[first : first + n]) if n else np.nan for first, n in zip(start, bars, strict=True)]
        np.testing.assert_array_equal(getattr(spans, name), np.array(expected, float), name)


def test_spans_of_other_windows_are_refused():
    draw = np.random.default_rng(1)
    path = path_of(50, draw)
    near, far = windows_of(path, np.arange(10), np.full(10, 5)), windows_of(path, np.arange(40, 50), np.full(10, 1))
    spans = path_spans(path, far)
    assert checked_spans(path, far, spans).start.tolist() == list(range(40, 50))
    with pytest.raises(ValueError, match="the spans that were made from this path and windows"):
        excursions(Candles._make(column[:45] for column in path), near, 100.0, spans)
    with pytest.raises(ValueError, match=r"spans\.start"):
        checked_spans(path, near, spans._replace(start=spans.start[:5]))
    with pytest.raises(ValueError, match=r"spans\.lowest"):
        checked_spans(path, far, spans._replace(lowest=spans.lowest.astype(np.float32)))
