"""Small hand-made inputs for the golden rows, and what the kernels refuse."""

import math

import numpy as np
import pytest

from label_assets.kernels.arrays import NULL_INT, Candles
from label_assets.kernels.atr import average_true_range
from label_assets.kernels.barriers import BarrierWidth, barriers
from label_assets.kernels.excursions import excursions
from label_assets.kernels.returns import ReturnParameters, returns
from label_assets.kernels.volatility import volatility
from label_assets.kernels.windows import COMPLETE, WindowParameters, Windows, path_start, path_windows

Bar = tuple[float, float, float, float]

HOUR = 3600


def bars(rows: list[Bar], step: int = HOUR, opens: list[int] | None = None) -> Candles:
    """Bars open, high, low, close; they open every `step` seconds from 0, or at `opens`."""
    ts = np.array(opens if opens is not None else [step * k for k in range(len(rows))], np.int64)
    open_, high, low, close = np.array(rows, np.float64).reshape(-1, 4).T
    return Candles(ts, ts + step, open_, high, low, close, np.ones(len(rows)))


def flat(closes: list[float]) -> list[Bar]:
    """Bars without a range."""
    return [(close, close, close, close) for close in closes]


def window(path: Candles, price: float, exit_price: float, atr: float = math.nan, status: int = COMPLETE) -> Windows:
    """The one window that has all bars of `path`; `exit_price` NaN leaves X unknown."""
    known = not math.isnan(exit_price)
    return Windows(
        path.ts[:1].copy(),
        np.array([price]),
        np.array([atr]),
        np.array([path.close_ts[-1] if known else NULL_INT], np.int64),
        np.array([exit_price]),
        np.array([len(path.ts)], np.int32),
        np.array([1.0]),
        np.array([status], np.int8),
    )


PATH = bars(flat([100.0, 101.0, 102.0]))
PARAMETERS = WindowParameters(1, 1, 5 * 24 * HOUR)


def test_another_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match=r"candles\.close is float32 of shape \(3,\); it must be float64"):
        average_true_range(PATH._replace(close=PATH.close.astype(np.float32)))


def test_a_short_array_is_refused() -> None:
    with pytest.raises(ValueError, match=r"path\.high is float64 of shape \(2,\)"):
        excursions(PATH._replace(high=PATH.high[:2]), window(PATH, 100.0, 102.0))


def test_disorder_is_refused_with_its_row() -> None:
    with pytest.raises(ValueError, match=r"candles\.ts\[2\] is 3600 after 3600; it must be greater"):
        path_windows(PATH._replace(ts=np.array([0, 3600, 3600])), PATH, PARAMETERS)


def test_a_candle_that_closes_when_it_opens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"path\.close_ts\[0\] is 0; it must be > ts 0"):
        path_windows(PATH, PATH._replace(close_ts=np.array([0, 7200, 10800])), PARAMETERS)


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_cannot_divide_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match=r"candles\.close\[1\] is .*; a price must be finite and > 0"):
        path_windows(PATH._replace(close=np.array([1.0, price, 1.0])), PATH, PARAMETERS)


def test_a_window_outside_the_path_is_refused() -> None:
    # compiled code has no bounds checks: this would read foreign memory
    three_bars = window(PATH, 100.0, 102.0)
    with pytest.raises(ValueError, match=r"windows\.path_bars\[0\] is 3; it must be >= 0 and <= 2"):
        path_start(bars(flat([100.0, 101.0])), three_bars)


def test_path_start_is_the_first_bar_at_or_after_the_entry_in_any_order() -> None:
    rows = window(PATH, 100.0, 102.0)
    rows = Windows(*(np.repeat(field, 4) for field in rows))
    rows = rows._replace(entry_ts=np.array([3600, 1, 0, 99_999]), path_bars=np.zeros(4, np.int32))
    assert path_start(PATH, rows).tolist() == [1, 1, 0, 3]


@pytest.mark.parametrize("width", [BarrierWidth(), BarrierWidth(2.0, 0.01)])
def test_exactly_one_barrier_width(width: BarrierWidth) -> None:
    with pytest.raises(ValueError, match="exactly one of atr_multiple and price_share must be > 0"):
        barriers(PATH, window(PATH, 100.0, 102.0), width)


@pytest.mark.parametrize("width", [BarrierWidth(-1.0), BarrierWidth(math.nan), BarrierWidth(0.0, 1.0)])
def test_a_barrier_width_out_of_bounds_is_refused(width: BarrierWidth) -> None:
    with pytest.raises(ValueError, match=r"width\.(atr_multiple|price_share) is .*; it must be >= 0"):
        barriers(PATH, window(PATH, 100.0, 102.0), width)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (ReturnParameters(0), "horizon is 0; it must be >= 1 and <= 100"),
        (ReturnParameters(6, -0.1), "flat_return is -0.1; it must be >= 0"),
        (ReturnParameters(6, quantile_sample=50), "quantile_minimum is 100; it must be >= 1 and <= 50"),
    ],
)
def test_a_return_parameter_out_of_bounds_is_refused(parameters: ReturnParameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        returns(window(PATH, 100.0, 102.0), parameters)


def test_a_longer_horizon_than_that_of_the_windows_is_refused() -> None:
    candles = bars(flat([100.0, 101.0, 102.0]))
    windows = path_windows(candles, bars(flat([100.0, 101.0, 102.0])), PARAMETERS)
    with pytest.raises(ValueError, match="horizon is 2; it must be the horizon that the windows were made with"):
        volatility(candles, candles, windows, 2)


def test_read_only_and_strided_arrays_are_taken() -> None:
    # arrays from Arrow are read-only, columns of a matrix are strided; both must reach the one specialisation
    expected = average_true_range(bars(flat([100.0, 101.0, 103.0])), 1)
    strided = np.array([[100.0, 0.0], [101.0, 0.0], [103.0, 0.0]])[:, 0]
    strided.flags.writeable = False
    candles = bars(flat([100.0, 101.0, 103.0]))._replace(close=strided)
    np.testing.assert_array_equal(average_true_range(candles, 1), expected)


def test_no_candles_give_no_rows() -> None:
    empty = bars([])
    windows = path_windows(empty, empty, PARAMETERS)
    assert len(windows.entry_ts) == 0
    assert len(volatility(empty, empty, windows, 1).range_expansion) == 0
