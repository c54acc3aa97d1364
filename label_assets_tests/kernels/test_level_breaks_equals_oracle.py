"""level_breaks: kernel equals oracle, and the laws of LABELS.md §5."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.level_breaks import NEXT_EVENTS, BurstParameters, level_breaks
from label_assets.kernels.level_touches import level_touches
from label_assets.kernels.levels import ROLES
from label_assets_tests.kernels.test_levels_equals_oracle import BUSY, DEFAULT, TINY, WALKS, level_inputs, named
from label_assets_tests.oracles import laws
from label_assets_tests.oracles import level_breaks as oracle
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

SAMPLE, MINIMUM = 40, 10
AT_ENTRY = ("nearest_level_distance", "nearest_level_role", "first_level_baseline")


def kernel_columns(market, horizon, setup=DEFAULT, minimum_coverage=0.8, burst=(SAMPLE, MINIMUM)):
    inputs = level_inputs(market, horizon, setup, minimum_coverage)
    touches = level_touches(inputs.path, inputs.windows, inputs.levels, inputs.considered)
    parameters = BurstParameters(horizon, *burst)
    columns = as_columns(
        level_breaks(inputs.path, inputs.windows, inputs.levels, inputs.considered, touches, parameters)
    )
    columns["breakout_side"] = named(columns["breakout_side"], ROLES)
    columns["nearest_level_role"] = named(columns["nearest_level_role"], ROLES)
    columns["next_event_type"] = named(columns["next_event_type"], NEXT_EVENTS)
    return columns


def oracle_rows(market, horizon, setup=DEFAULT, minimum_coverage=0.8, burst=(SAMPLE, MINIMUM)):
    windows = oracle_windows(market, horizon, setup.atr_period, minimum_coverage)
    return oracle.level_breaks(windows, all_intervals(market.candles, setup.oracle), *burst)


@pytest.mark.parametrize(("name", "horizon", "character"), WALKS)
def test_kernel_equals_oracle(name, horizon, character):
    market = random_market(name, 120 + horizon, horizon, CHARACTERS[character])
    assert differences(oracle_rows(market, horizon, BUSY), kernel_columns(market, horizon, BUSY)) == []


@given(any_small_market(), st.sampled_from([1, 2, 3, 6]))
@settings(max_examples=80)
def test_kernel_equals_oracle_on_small_markets(market, horizon):
    rows = oracle_rows(market, horizon, TINY, 0.5, (4, 2))
    assert not rows or differences(rows, kernel_columns(market, horizon, TINY, 0.5, (4, 2))) == []


@given(any_large_market(120), st.sampled_from([1, 6, 24]))
@settings(max_examples=40)
def test_kernel_equals_oracle_on_large_markets(market, horizon):
    assert differences(oracle_rows(market, horizon, BUSY), kernel_columns(market, horizon, BUSY)) == []


@given(any_large_market(200), st.sampled_from([1, 6, 24]), st.data())
@settings(max_examples=20)
def test_laws(market, horizon, data):
    def compute(candles, path):
        return kernel_columns(Market(market.granularity, candles, path), horizon, BUSY)

    look_back = horizon + SAMPLE - 1 + BUSY.look_back
    options = {"look_back": look_back, "at_entry": AT_ENTRY, **data.draw(law_cuts(market))}
    assert laws.all_laws(compute, market.candles, market.path, horizon=horizon, **options) == []


@pytest.mark.parametrize("character", CHARACTERS)
def test_kernel_equals_oracle_with_the_default_settings(character):
    market = random_market("H1", 700, 3, CHARACTERS[character])
    burst = (250, 50)
    assert differences(oracle_rows(market, 6, burst=burst), kernel_columns(market, 6, burst=burst)) == []
