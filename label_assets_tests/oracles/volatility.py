"""Labels 22, 23, 25 and 26."""

import math

from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.windows import Row, Window, divide, true_range

COLUMNS = ("range_expansion", "realized_volatility", "volatility_ratio", "max_bar_move")


def range_share(candle: Candle) -> float:
    return (candle.high - candle.low) / candle.close


def volatility(candles: list[Candle], windows: list[Window]) -> list[Row]:
    rows = []
    for i, window in enumerate(windows):
        row: Row = dict.fromkeys(COLUMNS)
        if window.complete:
            ahead = range(i + 1, i + window.horizon + 1)
            closes = window.closes
            widest = max(range_share(candles[j]) for j in ahead)
            ratio = divide(widest, range_share(candles[i]))
            row["range_expansion"] = None if ratio is None else ratio - 1
            squares = [math.log(closes[t] / closes[t - 1]) ** 2 for t in range(1, window.n + 1)]
            row["realized_volatility"] = math.sqrt(math.fsum(squares))
            if window.atr is not None:
                mean_range = math.fsum(true_range(candles, j) for j in ahead) / window.horizon
                largest = max(abs(closes[t] - closes[t - 1]) for t in range(1, window.n + 1))
                row["volatility_ratio"] = divide(mean_range, window.atr, window.entry_price)
                row["max_bar_move"] = divide(largest, window.atr, window.entry_price)
        rows.append(row)
    return rows
