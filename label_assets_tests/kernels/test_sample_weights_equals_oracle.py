"""sample_weights: kernel equals oracle, and the laws of LABELS.md §5."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.level_barriers import level_barriers
from label_assets.kernels.sample_weights import WeightParameters, sample_weights
from label_assets_tests.kernels.test_levels_equals_oracle import BUSY, DEFAULT, TINY, WALKS, level_inputs
from label_assets_tests.oracles import laws
from label_assets_tests.oracles import sample_weights as oracle
from label_assets_tests.oracles.comparison import differences
from label_assets_tests.oracles.levels import all_intervals
from label_assets_tests.strategies import (
    CHARACTERS,
    Market,
    any_large_market,
    any_small_market,
    as_columns,
    law_cuts,
    oracle_windows,
    random_market,
)


def kernel_columns(market, horizon, setup=DEFAULT, minimum_coverage=0.8):
    inputs = level_inputs(market, horizon, setup, minimum_coverage)
    barriers = level_barriers(inputs.path, inputs.windows, inputs.levels, inputs.considered)
    parameters = WeightParameters(horizon, market.gap_limit_s)
    return as_columns(sample_weights(inputs.candles, inputs.path, inputs.windows, barriers, parameters))


def oracle_rows(market, horizon, setup=DEFAULT, minimum_coverage=0.8):
    windows = oracle_windows(market, horizon, setup.atr_period, minimum_coverage)
    intervals = all_intervals(market.candles, setup.oracle)
    return oracle.sample_weights(market.candles, windows, intervals, market.gap_limit_s)


@pytest.mark.parametrize(("name", "horizon", "character"), WALKS)
def test_kernel_equals_oracle(name, horizon, character):
    market = random_market(name, 100 + horizon, horizon, CHARACTERS[character])
    assert differences(oracle_rows(market, horizon, BUSY), kernel_columns(market, horizon, BUSY)) == []


@given(any_small_market(), st.sampled_from([1, 2, 3, 6]))
@settings(max_examples=80)
def test_kernel_equals_oracle_on_small_markets(market, horizon):
    rows = oracle_rows(market, horizon, TINY, 0.5)
    assert not rows or differences(rows, kernel_columns(market, horizon, TINY, 0.5)) == []


@given(any_large_market(90), st.sampled_from([1, 6, 24]))
@settings(max_examples=40)
def test_kernel_equals_oracle_on_large_markets(market, horizon):
    assert differences(oracle_rows(market, horizon, BUSY), kernel_columns(market, horizon, BUSY)) == []


@given(any_large_market(150), st.sampled_from([1, 6, 24]), st.data())
@settings(max_examples=20)
def test_laws(market, horizon, data):
    def compute(candles, path):
        return kernel_columns(Market(market.granularity, candles, path), horizon, BUSY)

    options = {"look_back": horizon + BUSY.look_back, **data.draw(law_cuts(market))}
    assert laws.all_laws(compute, market.candles, market.path, horizon=horizon, **options) == []
