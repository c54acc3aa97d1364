"""Weights of overlapping labels (LABELS.md §4, López de Prado 2018, chapter 4)."""

import math

from label_assets_tests.oracles.barriers import first_touch, level_barriers, outcome
from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.levels import Interval
from label_assets_tests.oracles.windows import Row, Window, has_gap

COLUMNS = ("concurrency", "average_uniqueness", "return_weight")


def last_candle_of_life(candles: list[Candle], end_ts: int) -> int | None:
    """The candle with ts < end_ts ≤ close_ts."""
    for j, candle in enumerate(candles):
        if candle.ts < end_ts <= candle.close_ts:
            return j
    return None


def touched_by(window: Window, intervals: list[Interval]) -> int | None:
    """Close time of the path bar that first touches a barrier, whatever the window's status; None without a touch."""
    pair = level_barriers(window, intervals)
    touch = first_touch(window.bars, pair.upper, pair.lower)
    return None if touch is None else touch.end_ts


def open_rows(candles: list[Candle], windows: list[Window], touched: dict[int, int | None], j: int) -> int:
    """N_j: rows k in j−H .. j−1 with a defined ATR whose barriers no bar has touched when candle j opens."""
    alive = 0
    for k in range(max(0, j - windows[j].horizon), j):
        if windows[k].atr is not None and (touched[k] is None or touched[k] > candles[j].ts):
            alive += 1
    return alive


def sample_weights(
    candles: list[Candle], windows: list[Window], intervals: list[Interval], gap_limit_s: int
) -> list[Row]:
    touched = {window.i: touched_by(window, intervals) for window in windows if window.atr is not None}
    n = {j: open_rows(candles, windows, touched, j) for j in range(len(candles))}
    rows = []
    for i, window in enumerate(windows):
        row: Row = dict.fromkeys(COLUMNS)
        h = window.horizon
        if window.complete and window.atr is not None and not has_gap(candles, i - h, i + h, gap_limit_s):
            pair = level_barriers(window, intervals)
            end = outcome(window, pair.upper, pair.lower)
            m = last_candle_of_life(candles[: i + h + 1], end.end_ts)
            life = range(i + 1, m + 1)
            row["concurrency"] = n[m]
            row["average_uniqueness"] = math.fsum(1 / n[j] for j in life) / len(life)
            weighted = [math.log(candles[j].close / candles[j - 1].close) / n[j] for j in life]
            row["return_weight"] = abs(math.fsum(weighted))
        rows.append(row)
    return rows
