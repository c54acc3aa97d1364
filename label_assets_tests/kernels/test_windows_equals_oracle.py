"""windows: kernel equals oracle, and the laws of LABELS.md §5."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from label_assets.kernels.windows import WINDOW_STATUS
from label_assets_tests.oracles import laws, windows
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
    as_columns,
    kernel_windows,
    law_cuts,
    market_of,
    oracle_windows,
    random_market,
)

ATR_LOOK_BACK = 14
HOUR_S, QUARTER_S, DAY_S = 3600, 900, 86_400
AT_ENTRY = ("entry_ts", "entry_price", "atr")
PRICES = ("entry_price", "atr", "exit_price")


def kernel_columns(market, horizon, atr_period=14, minimum_coverage=0.8):
    columns = as_columns(kernel_windows(market, horizon, atr_period, minimum_coverage))
    columns["window_status"] = [WINDOW_STATUS[code] for code in columns["window_status"]]
    return columns


def oracle_rows(market, horizon, atr_period=14, minimum_coverage=0.8):
    return windows.path_windows(oracle_windows(market, horizon, atr_period, minimum_coverage))


@pytest.mark.parametrize("name", LABELED)
@pytest.mark.parametrize("horizon", HORIZONS)
@pytest.mark.parametrize("character", CHARACTERS)
def test_kernel_equals_oracle(name, horizon, character):
    market = random_market(name, 60 + horizon, horizon, CHARACTERS[character])
    assert differences(oracle_rows(market, horizon), kernel_columns(market, horizon), relative=0.0) == []


@given(any_small_market(), st.sampled_from([1, 2, 3, 6]), st.sampled_from([1, 3]))
@settings(max_examples=150)
def test_kernel_equals_oracle_on_small_markets(market, horizon, atr_period):
    rows = oracle_rows(market, horizon, atr_period, 0.5)
    assert not rows or differences(rows, kernel_columns(market, horizon, atr_period, 0.5), relative=0.0) == []


@given(any_large_market(60), st.sampled_from([1, 6, 24]))
@settings(max_examples=40)
def test_kernel_equals_oracle_on_large_markets(market, horizon):
    assert differences(oracle_rows(market, horizon), kernel_columns(market, horizon), relative=0.0) == []


@given(any_large_market(80), st.sampled_from([1, 6, 24]), st.data())
@settings(max_examples=20)
def test_laws(market, horizon, data):
    def compute(candles, path):
        return kernel_columns(Market(market.granularity, candles, path), horizon)

    cuts = data.draw(law_cuts(market))
    options = {"look_back": ATR_LOOK_BACK, "at_entry": AT_ENTRY, "prices": PRICES}
    assert laws.all_laws(compute, market.candles, market.path, horizon=horizon, **options, **cuts) == []


def quarter_hours(opens, high, low, close):
    return [Candle(ts, ts + QUARTER_S, close, high, low, close) for ts in opens]


@pytest.mark.parametrize(
    ("hole_s", "status"), [(5 * DAY_S, "complete"), (5 * DAY_S + HOUR_S, "gap"), (5 * DAY_S - HOUR_S, "complete")]
)
def test_gap_is_more_than_the_limit_from_open_to_open(hole_s, status):
    opens = [START_TS + QUARTER_S * t for t in range(8)]
    later = [ts - 4 * QUARTER_S + hole_s for ts in opens]  # the first of these opens hole_s after the last hour
    market = market_of("H1", quarter_hours(opens[:4] + [ts + 4 * QUARTER_S for ts in later], 2.0, 1.0, 1.5))
    assert market.candles[1].ts - market.candles[0].ts == hole_s
    columns = kernel_columns(market, 1)
    assert columns["window_status"][0] == status
    assert differences(oracle_rows(market, 1), columns, relative=0.0) == []


@pytest.mark.parametrize(("price", "defined"), [(1e9, True), (2e9, False)])
def test_atr_is_undefined_below_a_billionth_of_the_price(price, defined):
    opens = [START_TS + QUARTER_S * t for t in range(80)]
    market = market_of("H1", quarter_hours(opens, price + 0.5, price - 0.5, price))
    columns = kernel_columns(market, 1)
    assert (columns["atr"][14] == 1.0) is defined
    assert differences(oracle_rows(market, 1), columns, relative=0.0) == []
