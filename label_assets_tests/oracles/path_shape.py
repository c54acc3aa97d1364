"""Labels 27 to 34."""

import math

from label_assets_tests.oracles.windows import SMALLEST_DENOMINATOR, Row, Window, divide

COLUMNS = (
    "path_sharpe",
    "drawdown_depth",
    "time_underwater",
    "path_skewness",
    "end_extremum_gap",
    "path_efficiency",
    "runup_height",
    "trend_t_value",
)


def central_moment(values: list[float], power: int) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** power for value in values) / len(values)


def skewness(values: list[float]) -> float | None:
    if len(values) < 3:
        return None
    sigma = math.sqrt(central_moment(values, 2))
    if sigma < SMALLEST_DENOMINATOR:
        return None
    return central_moment(values, 3) / sigma**3


def skewness_rounding(window: Window) -> float:
    """How far a correct path_skewness may be off in float64.

    The mean of r is rounded, by up to one part in 2⁵² for each of its terms; the third moment takes three times that
    over σ. It matters where a far jump precedes tiny moves.
    """
    r = [bar.close / window.entry_price - 1 for bar in window.bars]
    sigma = math.sqrt(central_moment(r, 2)) if r else 0.0
    if sigma < SMALLEST_DENOMINATOR:
        return 0.0
    return 1e-12 + 3 * len(r) * 2**-52 * max(abs(value) for value in r) / sigma


def trend_t_value(closes: list[float], price: float) -> float | None:
    """Slope over its standard error in the OLS of C_t/P on t = 0..n, n ≥ 3, n − 1 degrees of freedom."""
    n = len(closes) - 1
    if n < 3:
        return None
    values = [close / price for close in closes]
    mean_t = n / 2
    mean_value = math.fsum(values) / (n + 1)
    sum_tt = math.fsum((t - mean_t) ** 2 for t in range(n + 1))
    slope = math.fsum((t - mean_t) * (values[t] - mean_value) for t in range(n + 1)) / sum_tt
    residuals = [(values[t] - mean_value) - slope * (t - mean_t) for t in range(n + 1)]
    residual_squares = math.fsum(residual**2 for residual in residuals)
    standard_error = math.sqrt(residual_squares / (n - 1) / sum_tt)
    return divide(slope, standard_error)


def end_extremum_gap(window: Window, largest: float) -> float | None:
    price, end = window.entry_price, window.exit_price
    if end == price:
        return None
    extremum = max(bar.high for bar in window.bars) if end > price else min(bar.low for bar in window.bars)
    gap = divide(abs(end - extremum), abs(end - price), price)
    return None if gap is None else min(largest, gap)


def path_shape(windows: list[Window], largest_extremum_gap: float = 10.0) -> list[Row]:
    rows = []
    for window in windows:
        row: Row = dict.fromkeys(COLUMNS)
        if window.complete:
            price, end, n, closes = window.entry_price, window.exit_price, window.n, window.closes
            r = [closes[t] / price - 1 for t in range(1, n + 1)]
            row["path_sharpe"] = divide(end / price - 1, math.sqrt(central_moment(r, 2)))
            row["path_skewness"] = skewness(r)
            row["time_underwater"] = sum(closes[t] < price for t in range(1, n + 1))
            highest = lowest = closes[0]
            drawdown = runup = 0.0
            for t in range(1, n + 1):
                highest = max(highest, closes[t])
                lowest = min(lowest, closes[t])
                drawdown = min(drawdown, closes[t] / highest - 1)
                runup = max(runup, closes[t] / lowest - 1)
            row["drawdown_depth"] = drawdown
            row["runup_height"] = runup
            travelled = math.fsum(abs(closes[t] - closes[t - 1]) for t in range(1, n + 1))
            row["path_efficiency"] = divide(abs(end - price), travelled, price)
            row["end_extremum_gap"] = end_extremum_gap(window, largest_extremum_gap)
            row["trend_t_value"] = trend_t_value(closes, price)
        rows.append(row)
    return rows
