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

    The reference sample of `return_quantile` needs horizon + N candles, that of `event_burst` horizon + its length and
    levels for each of them, `sample_weights` levels for the rows of one horizon before.
    """
    rung = settings.labels.granularity(granularity_name)
    levels = level_reach(settings, granularity_name).back
    back = max(horizon + rung.quantile_sample, horizon + rung.burst_sample - 1 + levels, horizon + levels)
    return Reach(back=back, forward=horizon)


def level_reach(settings: Settings, granularity_name: str) -> Reach:
    """Reach of the levels that live at a candle: back to the candles of the oldest one's confirmation and its ATR.

    Forward: a pivot lives until its confirmation's lifetime is over.
    """
    rung = settings.labels.granularity(granularity_name)
    before_confirmation = max(settings.labels.atr_period, 2 * settings.labels.level_span)
    return Reach(
        back=rung.level_lifetime + before_confirmation, forward=settings.labels.level_span + rung.level_lifetime
    )


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
