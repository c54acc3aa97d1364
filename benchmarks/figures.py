"""What a part of the suite hands over: figures with least, median and most of their repetitions, and their notes.

Belongs here: the shapes. Does not belong here: what is measured (the parts), what is asked for (`targets`), how it is
shown (`report`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any, Literal

Size = Literal["tiny", "bench", "full"]
"""How much is measured: `tiny` only shows that it works, `bench` takes minutes, `full` up to forty."""

Clock = Literal["CPU", "wall", "none"]
"""What a figure counts: CPU time, which neighbors on the machine hardly change, or wall time, which they do. Sizes and
shares count neither."""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured.

    Attributes:
        name: Unique within its part.
        unit: Unit of the values.
        clock: Which time it counts.
        least: Smallest value of the repetitions.
        median: Their median.
        most: Largest value.
        count: Number of values.
        group: Figures of one group are shown together, each with a bar; "" for none.
    """

    name: str
    unit: str
    clock: Clock
    least: float
    median: float
    most: float
    count: int
    group: str = ""


def figure(name: str, unit: str, clock: Clock, values: Sequence[float], group: str = "") -> Figure:
    """A figure of some values.

    Raises:
        ValueError: without a value: nothing was measured.
    """
    if not values:
        raise ValueError(f"{name}: nothing was measured")
    return Figure(name, unit, clock, float(min(values)), float(median(values)), float(max(values)), len(values), group)


def inverted(made: Figure, name: str, unit: str, factor: float, group: str = "") -> Figure:
    """The rate that belongs to a time: factor divided by it, so that the least time is the most of the rate."""
    least, most = factor / made.most, factor / made.least
    return Figure(name, unit, made.clock, least, factor / made.median, most, made.count, group)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed: of few values, the largest for 0.99."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def quantiles(
    name: str, unit: str, values: Sequence[float], shares: Mapping[str, float], group: str = ""
) -> list[Figure]:
    """One figure for each named quantile of all values, for example "XADD to Redis, p99"."""
    return [
        figure(f"{name}, {label}", unit, "wall", [quantile(values, share)], group) for label, share in shares.items()
    ]


@dataclass(frozen=True)
class Measured:
    """What one part measured.

    Attributes:
        figures: Its figures.
        notes: Sentences a reader needs to understand them.
        peak_rss: Most resident memory of any process of a kind, by kind [bytes].
        series: Curves for plots, by name: pairs of x and y.
        details: Whatever else belongs into the JSON file.
    """

    figures: Sequence[Figure]
    notes: Sequence[str] = ()
    peak_rss: Mapping[str, int] = field(default_factory=dict)
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain dictionaries and lists."""
        return asdict(self)


def measured_from_json(text: Mapping[str, Any]) -> Measured:
    """What `Measured.as_json` wrote."""
    return Measured(**{**text, "figures": [Figure(**each) for each in text["figures"]]})


Part = Callable[[Size, Path], Measured]
"""`measure` of a part's module: takes the size and an empty folder of its own, in which servers may have their home."""
