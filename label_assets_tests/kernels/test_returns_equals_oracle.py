"""returns: kernel equals oracle, and the laws of LABELS.md §5."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.returns import ReturnParameters, returns
from label_assets_tests.oracles import laws
from label_assets_tests.oracles import returns as oracle
from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.comparison import differences
from label_assets_tests.strategies import (
    CHARACTERS,
    HORIZONS,
    LABELED,
    QUIET,
    START_TS,
    Market,
    any_large_market,
    any_small_market,
    as_columns,
    kernel_windows,
    law_cuts,
    market_of,
    oracle_windows,
    random_market,
)

CLIP_ATR = 3.0
SAMPLE = 24


def kernel_columns(
    market, horizon, atr_period=14, minimum_coverage=0.8, *, flat_return=0.0, sample=SAMPLE, clip=CLIP_ATR
):
    windows = kernel_windows(market, horizon, atr_period, minimum_coverage)
    parameters = ReturnParameters(horizon, flat_return, clip, sample, min(100, sample / 2))
    return as_columns(returns(windows, parameters))


def oracle_rows(market, horizon, atr_period=14, minimum_coverage=0.8, *, flat_return=0.0, sample=SAMPLE, clip=CLIP_ATR):
    windows = oracle_windows(market, horizon, atr_period, minimum_coverage)
    return oracle.returns(windows, flat_return, clip, sample)


@pytest.mark.parametrize("name", LABELED)
@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("character", CHARACTERS)
def test_kernel_equals_oracle(name, horizon, character):
    market = random_market(name, 60 + horizon, horizon, CHARACTERS[character])
    assert differences(oracle_rows(market, horizon), kernel_columns(market, horizon)) == []


@given(any_small_market(), st.sampled_from([1, 2, 3, 6]), st.sampled_from([1, 3]))
@settings(max_examples=150)
def test_kernel_equals_oracle_on_small_markets(market, horizon, atr_period):
    options = {"minimum_coverage": 0.5, "sample": 3, "clip": 1.0}
    rows = oracle_rows(market, horizon, atr_period, **options)
    assert not rows or differences(rows, kernel_columns(market, horizon, atr_period, **options)) == []


@given(any_large_market(60), st.sampled_from([1, 6, 24]))
@settings(max_examples=40)
def test_kernel_equals_oracle_on_large_markets(market, horizon):
    assert differences(oracle_rows(market, horizon), kernel_columns(market, horizon)) == []


@given(any_large_market(80), st.sampled_from([1, 6, 24]), st.data())
@settings(max_examples=20)
def test_laws(market, horizon, data):
    def compute(candles, path):
        return kernel_columns(Market(market.granularity, candles, path), horizon)

    cuts = data.draw(law_cuts(market))
    options = {"look_back": horizon + SAMPLE}
    assert laws.all_laws(compute, market.candles, market.path, horizon=horizon, **options, **cuts) == []


@pytest.mark.parametrize("sample", [1, 2, 7, 1000])
@pytest.mark.parametrize("flat_return", [0.0, 0.002])
def test_kernel_equals_oracle_for_other_samples(sample, flat_return):
    market = random_market("H1", 1300, 8, QUIET)
    rows = oracle_rows(market, 6, flat_return=flat_return, sample=sample)
    assert differences(rows, kernel_columns(market, 6, flat_return=flat_return, sample=sample)) == []


@pytest.mark.parametrize(("clip", "bounded"), [(1.0, False), (0.5, True), (2.0, False)])
def test_return_that_equals_the_clip_is_not_bounded(clip, bounded):
    closes = [4.0] * 4 + [5.0] * 4 + [6.0] * 4  # each hour moves by one true range
    bars = [
        Candle(START_TS + 900 * t, START_TS + 900 * (t + 1), price, price, price, price)
        for t, price in enumerate(closes)
    ]
    market = market_of("H1", bars)
    columns = kernel_columns(market, 1, 1, clip=clip)
    assert differences(oracle_rows(market, 1, 1, clip=clip), columns) == []
    assert columns["vol_scaled_return"][1] == min(clip, 1.0)
    assert columns["vol_scaled_bounded"][1] == bounded
