"""How far a computation looks back and forward: the one place that says so.

Used by what reads inputs, the partition mapping of the assets, sensors, the live engine and tests. Distances are in
candles of the labelled granularity (LABELS.md §5), because trading time has holes; where Dagster needs months they are
derived from the longest span that a window may cover without being a gap.

Belongs here: distances. Does not belong here: reading (`compute.inputs`).
"""

import math
from dataclasses import dataclass

from label_assets.catalog.granularities import DAY_S
from label_assets.settings import Settings

SHORTEST_MONTH_S = 28 * DAY_S


@dataclass(frozen=True)
class Reach:
    """How far one row of a granularity looks, in its candles.

    Attributes:
        back: Candles before the row's own that may enter it.
        forward: Candles after the row's own that may enter it.
    """

    back: int
    forward: int


def row_reach(settings: Settings, granularity_name: str, horizon: int) -> Reach:
    """Reach of all families together for one granularity and horizon.

    The ATR needs `atr_period` candles, the reference sample of `return_quantile` horizon + N.
    """
    rung = settings.labels.granularity(granularity_name)
    return Reach(back=max(settings.labels.atr_period, horizon + rung.quantile_sample), forward=horizon)


def slice_reach(settings: Settings, granularity_name: str) -> Reach:
    """Reach that serves every configured horizon."""
    reaches = [row_reach(settings, granularity_name, horizon) for horizon in settings.horizons]
    return Reach(max(reach.back for reach in reaches), max(reach.forward for reach in reaches))


def forward_months(settings: Settings) -> int:
    """Months after its own whose candles may enter a row of a monthly partition.

    A window whose candles open further apart than the gap limit is a gap, so `horizon` gaps of that length, and the
    candle at the horizon end itself, are the longest that a candle ahead can still matter.
    """
    longest = max(
        max(settings.horizons) * rung.gap_limit_s + rung.seconds
        for rung in map(settings.labels.granularity, settings.granularities)
    )
    return math.ceil(longest / SHORTEST_MONTH_S)
