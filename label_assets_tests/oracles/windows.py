"""True range, ATR, and the window of every entry (LABELS.md §1 and §2)."""

from bisect import bisect_left
from dataclasses import dataclass

from label_assets_tests.oracles.candle import Candle

SMALLEST_DENOMINATOR = 1e-12
SMALLEST_ATR_SHARE = 1e-9

Row = dict[str, object]


@dataclass(frozen=True)
class Window:
    """What candle i knows at its entry, and what happens until its horizon ends."""

    i: int
    horizon: int
    entry_ts: int  # E
    entry_price: float  # P
    atr: float | None
    horizon_end_ts: int | None  # X
    exit_price: float | None  # P_X
    bars: list[Candle]  # path bars t = 1..n stand at bars[t - 1]
    coverage: float
    status: str

    @property
    def n(self) -> int:
        return len(self.bars)

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    @property
    def closes(self) -> list[float]:
        """C_0, C_1 .. C_n."""
        return [self.entry_price] + [bar.close for bar in self.bars]


def true_range(candles: list[Candle], i: int) -> float:
    before = candles[i - 1].close
    return max(candles[i].high, before) - min(candles[i].low, before)


def average_true_range(candles: list[Candle], i: int, atr_period: int = 14) -> float | None:
    """Simple mean of the last true ranges, summed in time order; None while undefined."""
    if i < atr_period:
        return None
    total = 0.0
    for j in range(i - atr_period + 1, i + 1):
        total += true_range(candles, j)
    atr = total / atr_period
    if atr < SMALLEST_ATR_SHARE * candles[i].close:
        return None
    return atr


def divide(numerator: float, denominator: float, price: float | None = None) -> float | None:
    """The quotient, NULL when the denominator is too small.

    `price` is the entry price when the denominator is itself a price or a price difference.
    """
    size = abs(denominator) if price is None else abs(denominator / price)
    return None if size < SMALLEST_DENOMINATOR else numerator / denominator


def has_gap(candles: list[Candle], first: int, last: int, gap_limit_s: int) -> bool:
    """Two successive observed candles among first..last open further apart than the limit."""
    first, last = max(first, 0), min(last, len(candles) - 1)
    return any(candles[j].ts - candles[j - 1].ts > gap_limit_s for j in range(first + 1, last + 1))


def make_windows(
    candles: list[Candle],
    path: list[Candle],
    horizon: int,
    *,
    bars_per_bar: int,
    gap_limit_s: int,
    minimum_coverage: float = 0.8,
    atr_period: int = 14,
) -> list[Window]:
    """The window of every candle, in order."""
    path_opens = [bar.ts for bar in path]
    windows = []
    for i, entry in enumerate(candles):
        observed = i + horizon < len(candles)
        end = candles[i + horizon] if observed else candles[-1]
        first = bisect_left(path_opens, entry.close_ts)
        after = bisect_left(path_opens, end.close_ts)
        bars = [bar for bar in path[first:after] if bar.close_ts <= end.close_ts]
        coverage = min(1.0, len(bars) / (horizon * bars_per_bar))
        if has_gap(candles, i, i + horizon, gap_limit_s):
            status = "gap"
        elif not observed:
            status = "open"
        elif not bars or coverage < minimum_coverage:
            status = "gap"
        else:
            status = "complete"
        windows.append(
            Window(
                i=i,
                horizon=horizon,
                entry_ts=entry.close_ts,
                entry_price=entry.close,
                atr=average_true_range(candles, i, atr_period),
                horizon_end_ts=end.close_ts if observed else None,
                exit_price=end.close if observed else None,
                bars=bars,
                coverage=coverage,
                status=status,
            )
        )
    return windows


def path_windows(windows: list[Window]) -> list[Row]:
    return [
        {
            "entry_ts": window.entry_ts,
            "entry_price": window.entry_price,
            "atr": window.atr,
            "horizon_end_ts": window.horizon_end_ts,
            "exit_price": window.exit_price,
            "path_bars": window.n,
            "coverage": window.coverage,
            "window_status": window.status,
        }
        for window in windows
    ]
