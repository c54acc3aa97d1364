"""Labels 1 to 5."""

import math

from label_assets_tests.oracles.windows import Row, Window, divide

COLUMNS = ("forward_return", "vol_scaled_return", "vol_scaled_bounded", "return_sign", "return_quantile", "log_return")


def forward_return(window: Window) -> float | None:
    return window.exit_price / window.entry_price - 1 if window.complete else None


def return_quantile(windows: list[Window], i: int, sample_length: int, fewest: float) -> int | None:
    own = forward_return(windows[i])
    if own is None:
        return None
    newest = i - windows[i].horizon
    candidates = [forward_return(windows[k]) for k in range(max(0, newest - sample_length + 1), newest + 1)]
    sample = [value for value in candidates if value is not None]
    if len(sample) < fewest or not sample:
        return None
    less = sum(value < own for value in sample)
    equal = sum(value == own for value in sample)
    return min(10, 1 + (5 * (2 * less + equal)) // len(sample))


def returns(
    windows: list[Window],
    flat_return: float = 0.0,
    clip_atr: float = 10.0,
    quantile_sample: int = 1000,
    quantile_minimum: float | None = None,
) -> list[Row]:
    """`quantile_minimum` defaults to min(100, N/2)."""
    fewest = min(100, quantile_sample / 2) if quantile_minimum is None else quantile_minimum
    rows = []
    for i, window in enumerate(windows):
        row: Row = dict.fromkeys(COLUMNS)
        if window.complete:
            value = forward_return(window)
            row["forward_return"] = value
            row["log_return"] = math.log(window.exit_price / window.entry_price)
            row["return_sign"] = 0 if abs(value) <= flat_return else (1 if value > 0 else -1)
            row["return_quantile"] = return_quantile(windows, i, quantile_sample, fewest)
            if window.atr is not None:
                scaled = divide(window.exit_price - window.entry_price, window.atr, window.entry_price)
                if scaled is not None:
                    row["vol_scaled_return"] = max(-clip_atr, min(clip_atr, scaled))
                    row["vol_scaled_bounded"] = abs(scaled) > clip_atr
        rows.append(row)
    return rows
