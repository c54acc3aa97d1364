"""Support and resistance levels: pivots, life, events, intervals, and which levels an entry sees (LABELS.md §3)."""

from dataclasses import dataclass, field

from label_assets_tests.oracles.candle import Candle
from label_assets_tests.oracles.windows import Row, Window, average_true_range

RESISTANCE, SUPPORT = "resistance", "support"


@dataclass(frozen=True)
class LevelSettings:
    """Widths are multiples of ATR_c, or shares of the level's price when `width_unit` is "share"."""

    instrument: str = "TEST"
    granularity: str = "H1"
    lifetime: int = 500
    span: int = 5
    atr_period: int = 14
    touch_width: float = 0.1
    break_width: float = 0.25
    width_unit: str = "atr"
    retest_patience: int = 50


@dataclass(frozen=True)
class Zone:
    """A level as it stands at one time: price, role, touch width w and break width b."""

    level_id: str
    price: float
    role: str
    touch_width: float
    break_width: float

    def in_contact(self, candle: Candle) -> bool:
        return candle.low <= self.price + self.touch_width and candle.high >= self.price - self.touch_width

    def breaks(self, candle: Candle) -> bool:
        if self.role == RESISTANCE:
            return candle.close > self.price + self.break_width
        return candle.close < self.price - self.break_width

    def retests(self, candle: Candle) -> bool:
        """Of a broken level, `role` being the role that was broken."""
        if self.role == RESISTANCE:
            return candle.low <= self.price + self.touch_width and candle.close > self.price
        return candle.high >= self.price - self.touch_width and candle.close < self.price

    def goes_back(self, candle: Candle) -> bool:
        """Of a broken level: the close is back through the whole zone."""
        if self.role == RESISTANCE:
            return candle.close < self.price - self.break_width
        return candle.close > self.price + self.break_width

    def penetration(self, candle: Candle) -> float:
        beyond = candle.high - self.price if self.role == RESISTANCE else self.price - candle.low
        return max(0.0, beyond / self.price)


@dataclass(frozen=True)
class Interval:
    """A stretch [valid_from, valid_to) as active support or resistance; None while open at the end of the data."""

    zone: Zone
    pivot_ts: int
    created_at: int
    valid_from: int
    valid_to: int | None
    touches_before: int

    def active_at(self, ts: int) -> bool:
        return self.valid_from <= ts and (self.valid_to is None or ts < self.valid_to)


@dataclass
class Life:
    """Everything that happens to one level."""

    zone: Zone
    pivot_ts: int
    created_at: int
    events: list[Row] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)
    touches: int = 0
    touches_at_start: int = 0
    active_from: int | None = None

    def record(self, event_type: str, candle: Candle, penetration: float) -> None:
        self.events.append(
            {
                "level_id": self.zone.level_id,
                "ts": candle.close_ts,
                "event_type": event_type,
                "price": self.zone.price,
                "open": candle.open,
                "high": candle.high,
                "low": candle.low,
                "close": candle.close,
                "penetration": penetration,
            }
        )

    def begin(self, ts: int) -> None:
        self.active_from = ts
        self.touches_at_start = self.touches

    def end(self, ts: int | None) -> None:
        if self.active_from is not None and self.active_from != ts:
            interval = Interval(self.zone, self.pivot_ts, self.created_at, self.active_from, ts, self.touches_at_start)
            self.intervals.append(interval)
        self.active_from = None


def is_pivot_high(candles: list[Candle], p: int, span: int) -> bool:
    if p - span < 0 or p + span >= len(candles):
        return False
    before = [candle.high for candle in candles[p - span : p]]
    after = [candle.high for candle in candles[p + 1 : p + span + 1]]
    return candles[p].high > max(before) and candles[p].high >= max(after)


def is_pivot_low(candles: list[Candle], p: int, span: int) -> bool:
    if p - span < 0 or p + span >= len(candles):
        return False
    before = [candle.low for candle in candles[p - span : p]]
    after = [candle.low for candle in candles[p + 1 : p + span + 1]]
    return candles[p].low < min(before) and candles[p].low <= min(after)


def other(role: str) -> str:
    return SUPPORT if role == RESISTANCE else RESISTANCE


def with_role(zone: Zone, role: str) -> Zone:
    return Zone(zone.level_id, zone.price, role, zone.touch_width, zone.break_width)


def live(candles: list[Candle], p: int, zone: Zone, settings: LevelSettings) -> Life:
    """Follow one level from its confirmation to its death or the end of the data.

    While the level is broken, `life.zone.role` is the role that was broken.
    """
    c = p + settings.span
    life = Life(zone, candles[p].ts, candles[c].close_ts)
    life.record(f"NEW_{zone.role.upper()}", candles[c], 0.0)
    life.begin(candles[c].close_ts)
    broken_at: int | None = None
    for j in range(c + 1, c + settings.lifetime + 1):
        if j >= len(candles):
            life.end(None)
            return life
        candle, now = candles[j], life.zone
        if broken_at is None:
            if now.breaks(candle):
                life.record(f"BREAK_{now.role.upper()}", candle, now.penetration(candle))
                life.end(candle.close_ts)
                broken_at = j
            elif now.in_contact(candle) and not now.in_contact(candles[j - 1]):
                direction = "UP" if now.role == RESISTANCE else "DOWN"
                life.record(f"TOUCH_{direction}", candle, now.penetration(candle))
                life.touches += 1
        elif now.goes_back(candle):
            direction = "DOWN" if now.role == RESISTANCE else "UP"
            life.record(f"DEACTIVATE_{direction}", candle, now.penetration(candle))
            return life
        elif now.retests(candle):
            life.record(f"FLIP_TO_{other(now.role).upper()}", candle, now.penetration(candle))
            life.zone = with_role(now, other(now.role))
            life.begin(candle.close_ts)
            broken_at = None
        elif j - broken_at >= settings.retest_patience:
            direction = "UP" if now.role == RESISTANCE else "DOWN"
            life.record(f"DEACTIVATE_{direction}", candle, now.penetration(candle))
            return life
    last = candles[c + settings.lifetime]
    direction = "UP" if last.close > life.zone.price else "DOWN"
    life.record(f"DEACTIVATE_{direction}", last, life.zone.penetration(last))
    life.end(last.close_ts)
    return life


def lives(candles: list[Candle], settings: LevelSettings) -> list[Life]:
    """Every level of the candles, by pivot, resistance before support."""
    found = []
    for p in range(len(candles)):
        c = p + settings.span
        atr = average_true_range(candles, c, settings.atr_period) if c < len(candles) else None
        if atr is None:
            continue
        for role, is_pivot, price in (
            (RESISTANCE, is_pivot_high(candles, p, settings.span), candles[p].high),
            (SUPPORT, is_pivot_low(candles, p, settings.span), candles[p].low),
        ):
            if is_pivot:
                unit = atr if settings.width_unit == "atr" else price
                letter = "R" if role == RESISTANCE else "S"
                zone = Zone(
                    level_id=f"{settings.instrument}:{settings.granularity}:{candles[p].ts}:{letter}",
                    price=price,
                    role=role,
                    touch_width=settings.touch_width * unit,
                    break_width=settings.break_width * unit,
                )
                found.append(live(candles, p, zone, settings))
    return found


def all_intervals(candles: list[Candle], settings: LevelSettings) -> list[Interval]:
    return [interval for life in lives(candles, settings) for interval in life.intervals]


def level_events(candles: list[Candle], settings: LevelSettings) -> list[Row]:
    """The table without instrument and granularity, ordered by level (pivot, R before S), then as it happened."""
    return [event for life in lives(candles, settings) for event in life.events]


def level_intervals(candles: list[Candle], settings: LevelSettings) -> list[Row]:
    return [
        {
            "level_id": interval.zone.level_id,
            "role": interval.zone.role,
            "price": interval.zone.price,
            "touch_width": interval.zone.touch_width,
            "break_width": interval.zone.break_width,
            "created_at": interval.created_at,
            "valid_from": interval.valid_from,
            "valid_to": interval.valid_to,
            "touches_before": interval.touches_before,
        }
        for interval in all_intervals(candles, settings)
    ]


def outward(zones: list[Zone], price: float) -> list[Zone]:
    """Nearest first; ties: lower price, then level_id."""
    return sorted(zones, key=lambda zone: (abs(zone.price - price), zone.price, zone.level_id))


def active_levels(intervals: list[Interval], window: Window) -> list[Zone]:
    """Levels active at the entry, with the role that they have then, nearest first."""
    zones = [interval.zone for interval in intervals if interval.active_at(window.entry_ts)]
    return outward(zones, window.entry_price)


def considered_levels(
    intervals: list[Interval],
    window: Window,
    reach_atr: float = 3.0,
    same_atr: float = 0.1,
    most: int = 32,
) -> list[Zone] | None:
    """Active levels near the entry without near-duplicates, nearest first; None while ATR is undefined."""
    if window.atr is None:
        return None
    kept: list[Zone] = []
    for zone in active_levels(intervals, window):
        if abs(zone.price - window.entry_price) > reach_atr * window.atr:
            continue
        if any(zone.role == near.role and abs(zone.price - near.price) <= same_atr * window.atr for near in kept):
            continue
        if len(kept) < most:
            kept.append(zone)
    return kept
