"""barriers: kernel equals oracle, and the laws of LABELS.md §5."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.barriers import BarrierWidth, barriers
from label_assets_tests.oracles import barriers as oracle
from label_assets_tests.oracles import laws
from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.comparison import differences
from label_assets_tests.strategies import (
    CHARACTERS,
    HORIZONS,
    LABELED,
    START_TS,
    Market,
    any_large_market,
    any_small_market,
    as_arrays,
    as_columns,
    kernel_windows,
    law_cuts,
    market_of,
    oracle_windows,
    random_market,
)

ATR_LOOK_BACK = 14
WIDTHS = [(2.0, None), (0.5, None), (None, 0.01), (None, 0.1)]


def kernel_columns(market, horizon, atr_period=14, minimum_coverage=0.8, *, width=(2.0, None)):
    windows = kernel_windows(market, horizon, atr_period, minimum_coverage)
    atr_multiple, price_share = width
    return as_columns(barriers(as_arrays(market.path), windows, BarrierWidth(atr_multiple or 0.0, price_share or 0.0)))


def oracle_rows(market, horizon, atr_period=14, minimum_coverage=0.8, *, width=(2.0, None)):
    return oracle.barriers(oracle_windows(market, horizon, atr_period, minimum_coverage), *width)


@pytest.mark.parametrize("name", LABELED)
@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("character", CHARACTERS)
def test_kernel_equals_oracle(name, horizon, character):
    market = random_market(name, 60 + horizon, horizon, CHARACTERS[character])
    assert differences(oracle_rows(market, horizon), kernel_columns(market, horizon)) == []


@given(any_small_market(), st.sampled_from([1, 2, 3, 6]), st.sampled_from([1, 3]))
@settings(max_examples=150)
def test_kernel_equals_oracle_on_small_markets(market, horizon, atr_period):
    rows = oracle_rows(market, horizon, atr_period, 0.5)
    assert not rows or differences(rows, kernel_columns(market, horizon, atr_period, 0.5)) == []


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
    options = {"look_back": ATR_LOOK_BACK}
    assert laws.all_laws(compute, market.candles, market.path, horizon=horizon, **options, **cuts) == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("character", CHARACTERS)
def test_kernel_equals_oracle_for_other_widths(width, character):
    market = random_market("H4", 150, 8, CHARACTERS[character])
    assert differences(oracle_rows(market, 6, width=width), kernel_columns(market, 6, width=width)) == []


@given(any_small_market(), st.sampled_from([1, 2, 3, 6]), st.sampled_from([(0.5, None), (1.0, None), (None, 0.25)]))
@settings(max_examples=150)
def test_kernel_equals_oracle_where_barriers_are_near(market, horizon, width):
    rows = oracle_rows(market, horizon, 1, 0.5, width=width)
    assert not rows or differences(rows, kernel_columns(market, horizon, 1, 0.5, width=width)) == []


@pytest.mark.parametrize(
    ("opened", "high", "low", "expected"),
    [
        (5.0, 5.0, 3.0, (1, False, 0.25)),  # opens on the upper barrier: no doubt, although it reaches the lower one
        (3.0, 5.0, 3.0, (-1, False, -0.25)),  # opens on the lower barrier
        (6.0, 6.0, 2.0, (1, False, 0.5)),  # opens beyond: exit at the open
        (2.0, 6.0, 2.0, (-1, False, -0.5)),
        (4.0, 5.0, 3.0, (-1, True, -0.25)),  # both equally near: the lower one
        (4.25, 5.0, 3.0, (1, True, 0.25)),
        (3.75, 5.0, 3.0, (-1, True, -0.25)),
        (4.0, 4.75, 3.25, (0, False, 0.0)),
    ],
)
def test_bar_that_reaches_both_barriers(opened, high, low, expected):
    quarter_hours = [Candle(START_TS + 900 * t, START_TS + 900 * (t + 1), 4.0, 4.0, 4.0, 4.0) for t in range(8)]
    bar = quarter_hours[4]
    quarter_hours[4] = Candle(bar.ts, bar.close_ts, opened, high, low, 4.0)
    market = market_of("H1", quarter_hours)
    columns = kernel_columns(market, 1, width=(None, 0.25))
    assert differences(oracle_rows(market, 1, width=(None, 0.25)), columns) == []
    found = [columns[name][0] for name in ("triple_barrier_label", "triple_barrier_ambiguous", "barrier_return")]
    assert found == list(expected)
