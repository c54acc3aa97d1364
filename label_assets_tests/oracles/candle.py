"""One candle (LABELS.md §1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candle:
    """A finished candle that covers [ts, close_ts), both in epoch seconds UTC."""

    ts: int
    close_ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
