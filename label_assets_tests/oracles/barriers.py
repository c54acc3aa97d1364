"""First touch of two barriers on the path: labels 6 to 8 and 11.a."""

from dataclasses import dataclass

from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.levels import RESISTANCE, SUPPORT, Interval, considered_levels
from label_assets_tests.oracles.windows import Row, Window, divide

COLUMNS = ("triple_barrier_label", "triple_barrier_ambiguous", "time_to_barrier", "barrier_end_ts", "barrier_return")


@dataclass(frozen=True)
class Touch:
    """How a pair of barriers ended: label −1/0/1, t, time, exit price, and whether one bar reached both."""

    label: int
    t: int
    end_ts: int
    exit_price: float
    ambiguous: bool = False


def touched_price(bar: Candle, upper: float, lower: float) -> tuple[int, float, bool] | None:
    """(label, exit price, ambiguous) of one bar; None when it reaches neither barrier."""
    if bar.open >= upper:
        return 1, bar.open, False
    if bar.open <= lower:
        return -1, bar.open, False
    reaches_upper, reaches_lower = bar.high >= upper, bar.low <= lower
    both = reaches_upper and reaches_lower
    if both:
        reaches_upper = abs(upper - bar.open) < abs(lower - bar.open)
    if reaches_upper:
        return 1, upper, both
    return (-1, lower, both) if reaches_lower else None


def first_touch(bars: list[Candle], upper: float, lower: float) -> Touch | None:
    """The first barrier that the path bars reach; None while neither is."""
    for t, bar in enumerate(bars, start=1):
        found = touched_price(bar, upper, lower)
        if found is not None:
            label, exit_price, ambiguous = found
            return Touch(label, t, bar.close_ts, exit_price, ambiguous)
    return None


def outcome(window: Window, upper: float, lower: float) -> Touch | None:
    """What a barrier label says: None (NULL) in a gap, and in an open window while untouched."""
    if window.status == "gap":
        return None
    touch = first_touch(window.bars, upper, lower)
    if touch is None and window.complete:
        return Touch(0, window.n, window.horizon_end_ts, window.exit_price)
    return touch


def triple_barriers(
    window: Window, atr_multiple: float | None = 2.0, price_share: float | None = None
) -> tuple[float, float] | None:
    """(upper, lower) at a multiple of ATR or, when that is None, at a share of the price."""
    if atr_multiple is not None:
        if window.atr is None:
            return None
        width = atr_multiple * window.atr
    else:
        width = price_share * window.entry_price
    return window.entry_price + width, window.entry_price - width


def barriers(windows: list[Window], atr_multiple: float | None = 2.0, price_share: float | None = None) -> list[Row]:
    rows = []
    for window in windows:
        row: Row = dict.fromkeys(COLUMNS)
        pair = triple_barriers(window, atr_multiple, price_share)
        end = None if pair is None else outcome(window, *pair)
        if end is not None:
            row["triple_barrier_label"] = end.label
            row["triple_barrier_ambiguous"] = end.ambiguous
            row["time_to_barrier"] = end.t
            row["barrier_end_ts"] = end.end_ts
            row["barrier_return"] = end.exit_price / window.entry_price - 1
        rows.append(row)
    return rows


# 11.a: the same first touch with barriers that levels pull in.

LEVEL_COLUMNS = (
    "enhanced_triple_barrier_label",
    "etb_barrier_hit",
    "etb_time_to_barrier",
    "etb_end_ts",
    "etb_exit_price",
    "etb_return",
    "etb_ambiguous",
    "etb_upper",
    "etb_lower",
    "level_adjusted",
    "etb_baseline",
)
HIT = {1: "upper", -1: "lower", 0: "none"}


@dataclass(frozen=True)
class LevelBarriers:
    """Barriers of 11.a, known at entry."""

    upper: float
    lower: float
    adjusted: bool


def level_barriers(
    window: Window,
    intervals: list[Interval],
    atr_multiple: float = 2.0,
    nearest_atr: float = 0.5,
    inside_atr: float = 0.1,
) -> LevelBarriers | None:
    """None while ATR is undefined."""
    zones = considered_levels(intervals, window)
    if zones is None:
        return None
    price, atr = window.entry_price, window.atr
    far_upper = upper = price + atr_multiple * atr
    far_lower = lower = price - atr_multiple * atr
    resistances = [z.price for z in zones if z.role == RESISTANCE and z.price - price >= nearest_atr * atr]
    supports = [z.price for z in zones if z.role == SUPPORT and price - z.price >= nearest_atr * atr]
    if resistances:
        upper = min(far_upper, resistances[0] - inside_atr * atr)
    if supports:
        lower = max(far_lower, supports[0] + inside_atr * atr)
    return LevelBarriers(upper, lower, adjusted=upper != far_upper or lower != far_lower)


def enhanced_triple_barrier(windows: list[Window], intervals: list[Interval]) -> list[Row]:
    rows = []
    for window in windows:
        row: Row = dict.fromkeys(LEVEL_COLUMNS)
        pair = level_barriers(window, intervals)
        if pair is not None:
            row["etb_upper"] = pair.upper
            row["etb_lower"] = pair.lower
            row["level_adjusted"] = pair.adjusted
            row["etb_baseline"] = divide(window.entry_price - pair.lower, pair.upper - pair.lower, window.entry_price)
            end = outcome(window, pair.upper, pair.lower)
            if end is not None:
                row["enhanced_triple_barrier_label"] = end.label
                row["etb_barrier_hit"] = HIT[end.label]
                row["etb_time_to_barrier"] = end.t
                row["etb_end_ts"] = end.end_ts
                row["etb_exit_price"] = end.exit_price
                row["etb_return"] = end.exit_price / window.entry_price - 1
                row["etb_ambiguous"] = end.ambiguous
        rows.append(row)
    return rows
