"""The granularities of LABELS.md §1 and §2: lengths, path granularities, gap limits.

Belongs here: facts about a granularity that no setting changes. Does not belong here: when a session opens
(`market.calendar`), which granularities are labelled (`settings`).
"""

from dataclasses import dataclass

from label_assets.errors import CatalogError

DAY_S = 86_400


@dataclass(frozen=True)
class Granularity:
    """One candle length.

    Attributes:
        name: Name of the field: M1 … W.
        seconds: Nominal length [s]. Buckets that follow the session may be an hour longer or shorter.
        path: Name of the path granularity, on which first touches are checked; None for the finest.
        bars_per_bar: Path bars in one candle that has all of them.
        follows_session: The bucket opens at the trading session's times (H4, D, W), not at multiples of its length.
        gap_limit_s: Two successive candles that open further apart than this make a window a `gap` [s].
        level_lifetime: Life of a support or resistance level [candles].
        quantile_sample: Candles in the reference sample of `return_quantile` (N of LABELS.md §4).
        burst_sample: Candles in the reference sample of `event_burst`.
        burst_minimum: Fewest complete windows in that sample.
    """

    name: str
    seconds: int
    path: str | None
    bars_per_bar: int
    follows_session: bool = False
    gap_limit_s: int = 5 * DAY_S
    level_lifetime: int = 500
    quantile_sample: int = 1000
    burst_sample: int = 250
    burst_minimum: int = 50


_ALL = (
    Granularity("M1", 60, None, 0),
    Granularity("M5", 300, "M1", 5),
    Granularity("M15", 900, "M5", 3),
    Granularity("H1", 3_600, "M15", 4),
    Granularity("H4", 14_400, "H1", 4, follows_session=True),
    Granularity("D", DAY_S, "H4", 6, follows_session=True, level_lifetime=250, quantile_sample=500),
    Granularity(
        "W",
        7 * DAY_S,
        "D",
        5,
        follows_session=True,
        gap_limit_s=21 * DAY_S,
        level_lifetime=104,
        quantile_sample=156,
        burst_sample=156,
        burst_minimum=30,
    ),
)

GRANULARITIES: dict[str, Granularity] = {granularity.name: granularity for granularity in _ALL}
"""Every granularity by name, finest first."""


def granularity(name: str) -> Granularity:
    """Look a granularity up.

    Raises:
        CatalogError: for a name that does not exist.
    """
    try:
        return GRANULARITIES[name]
    except KeyError:
        raise CatalogError(
            asked=f"granularity {name!r}",
            found="no such granularity",
            allowed=", ".join(GRANULARITIES),
            action="use one of these names, in capitals",
        ) from None


def ladder(base: str, coarsest: str = "W") -> tuple[Granularity, ...]:
    """All granularities from `base` to `coarsest`, finest first, both ends included."""
    names = list(GRANULARITIES)
    first, last = names.index(granularity(base).name), names.index(granularity(coarsest).name)
    return tuple(GRANULARITIES[name] for name in names[first : last + 1])
