"""Labels 16 to 21, 24 and 35 to 37."""

from label_assets_tests.oracles.level_touches import first_break, touch_times
from label_assets_tests.oracles.levels import (
    RESISTANCE,
    SUPPORT,
    Interval,
    Zone,
    active_levels,
    considered_levels,
)
from label_assets_tests.oracles.windows import Row, Window, divide

COLUMNS = (
    "breakout_occurred",
    "breakout_side",
    "breakout_distance",
    "breakout_time",
    "flip_occurred",
    "flip_count",
    "flip_time",
    "level_holds",
    "false_breakout",
    "next_event_type",
    "time_to_next_event",
    "event_count",
    "event_burst",
    "max_penetration_depth",
    "nearest_level_distance",
    "nearest_level_role",
    "first_level_reached",
    "first_level_baseline",
)


def returns_through_zone(zone: Zone, window: Window) -> int | None:
    """First t₂ after the break at which the close is back through the whole zone."""
    broken = first_break(zone, window)
    if broken is None:
        return None
    for t in range(broken + 1, window.n + 1):
        if zone.goes_back(window.bars[t - 1]):
            return t
    return None


def flip_time(zone: Zone, window: Window) -> int | None:
    """First retest after the break with no close back through the zone until then."""
    broken = first_break(zone, window)
    if broken is None:
        return None
    for t in range(broken + 1, window.n + 1):
        if zone.goes_back(window.bars[t - 1]):
            return None
        if zone.retests(window.bars[t - 1]):
            return t
    return None


def breakout_columns(zones: list[Zone], window: Window) -> Row:
    breaks = [(first_break(zone, window), order) for order, zone in enumerate(zones)]
    breaks = [(t, order) for t, order in breaks if t is not None]
    if not breaks:
        return {
            "breakout_occurred": False,
            "breakout_side": "none",
            "breakout_distance": None,
            "breakout_time": None,
        }
    t, order = min(breaks)
    zone = zones[order]
    return {
        "breakout_occurred": True,
        "breakout_side": zone.role,
        "breakout_distance": abs(window.bars[t - 1].close - zone.price) / zone.price,
        "breakout_time": t,
    }


def flip_columns(zones: list[Zone], window: Window) -> Row:
    times = [flip_time(zone, window) for zone in zones]
    times = [t for t in times if t is not None]
    return {
        "flip_occurred": len(times) > 0,
        "flip_count": len(times),
        "flip_time": min(times, default=None),
    }


def level_holds(zones: list[Zone], window: Window) -> bool | None:
    if not zones:
        return None
    if first_break(zones[0], window) is not None:
        return False
    return True if touch_times(zones[0], window) else None


def next_event_columns(zones: list[Zone], window: Window) -> Row:
    breaks = [t for zone in zones if (t := first_break(zone, window)) is not None]
    touches = [t for zone in zones for t in touch_times(zone, window)]
    if not breaks and not touches:
        return {"next_event_type": "none", "time_to_next_event": None}
    first = min(breaks + touches)
    return {"next_event_type": "break" if first in breaks else "touch", "time_to_next_event": first}


def event_count(zones: list[Zone], window: Window) -> int:
    touches = sum(len(touch_times(zone, window)) for zone in zones)
    breaks = sum(first_break(zone, window) is not None for zone in zones)
    flips = sum(flip_time(zone, window) is not None for zone in zones)
    return touches + breaks + flips


def event_burst(counts: list[int | None], i: int, horizon: int, sample_length: int, fewest: int) -> bool | None:
    """Whether count i is above mean + 2 population standard deviations of the earlier windows, in integers.

    `counts[k]` is None unless window k is complete with a defined ATR.
    """
    if counts[i] is None:
        return None
    newest = i - horizon
    sample = [counts[k] for k in range(max(0, newest - sample_length + 1), newest + 1)]
    sample = [count for count in sample if count is not None]
    m = len(sample)
    if m < fewest:
        return None
    total = sum(sample)
    squares = sum(count**2 for count in sample)
    d = m * counts[i] - total
    return d > 0 and d**2 > 4 * (m * squares - total**2)


def deepest_penetration(zones: list[Zone], window: Window) -> float | None:
    if not zones:
        return None
    return max(zone.penetration(bar) for zone in zones for bar in window.bars)


def ahead(zones: list[Zone], price: float) -> tuple[float | None, float | None]:
    """(R⁺, S⁻): nearest considered resistance above P and nearest considered support below it."""
    resistances = [zone.price for zone in zones if zone.role == RESISTANCE and zone.price > price]
    supports = [zone.price for zone in zones if zone.role == SUPPORT and zone.price < price]
    return (resistances[0] if resistances else None, supports[0] if supports else None)


def first_level_reached(resistance: float | None, support: float | None, window: Window) -> int:
    for bar in window.bars:
        up = resistance is not None and bar.high >= resistance
        down = support is not None and bar.low <= support
        if up and down:
            return 1 if abs(resistance - bar.open) < abs(support - bar.open) else -1
        if up:
            return 1
        if down:
            return -1
    return 0


def known_at_entry(active: list[Zone], zones: list[Zone] | None, window: Window) -> Row:
    price = window.entry_price
    row: Row = {"nearest_level_distance": None, "nearest_level_role": "none", "first_level_baseline": None}
    if active:
        row["nearest_level_distance"] = abs(active[0].price - price) / price
        row["nearest_level_role"] = active[0].role
    if zones is not None:
        resistance, support = ahead(zones, price)
        if resistance is not None and support is not None:
            row["first_level_baseline"] = divide(price - support, resistance - support, price)
    return row


def level_breaks(
    windows: list[Window], intervals: list[Interval], burst_sample: int = 250, burst_minimum: int = 50
) -> list[Row]:
    """Without levels nearby: counts 0, booleans false. `burst_sample` is W: 156, `burst_minimum` W: 30."""
    rows: list[Row] = []
    counts: list[int | None] = []
    for window in windows:
        row: Row = dict.fromkeys(COLUMNS)
        zones = considered_levels(intervals, window)
        row |= known_at_entry(active_levels(intervals, window), zones, window)
        count = None
        if zones is not None and window.complete:
            row |= breakout_columns(zones, window)
            row |= flip_columns(zones, window)
            row |= next_event_columns(zones, window)
            row["level_holds"] = level_holds(zones, window)
            row["false_breakout"] = any(returns_through_zone(zone, window) is not None for zone in zones)
            row["max_penetration_depth"] = deepest_penetration(zones, window)
            row["first_level_reached"] = first_level_reached(*ahead(zones, window.entry_price), window)
            count = event_count(zones, window)
            row["event_count"] = count
        counts.append(count)
        rows.append(row)
    for i, row in enumerate(rows):
        row["event_burst"] = event_burst(counts, i, windows[i].horizon, burst_sample, burst_minimum)
    return rows
