"""What must be reached: DESIGN.md §11, row by row, with what each figure is compared with.

Belongs here: numbers that were asked for or published. Does not belong here: numbers that were measured.
"""

from typing import NamedTuple

from benchmarks.figures import Figure

MEMORY_TARGET = 1e9
"""No process may have more resident memory [bytes]."""

NOT_THE_PRODUCT = frozenset({"the benchmark itself"})
"""Kinds of processes of which no memory is asked for."""


class Target(NamedTuple):
    """One row of DESIGN.md §11.

    Attributes:
        what: What is asked for.
        part: Part of the suite that measures it.
        figure: Its figure there.
        unit: Unit of that figure.
        bound: The figure's bound.
        at_least: The figure must not be smaller; otherwise it must not be larger.
        comparisons: What others reach or claim, with its name, in the same unit.
    """

    what: str
    part: str
    figure: str
    unit: str
    bound: float
    at_least: bool
    comparisons: tuple[tuple[str, float], ...] = ()

    def is_met(self, measured: Figure) -> bool:
        """Whether the median of the repetitions meets the bound."""
        return measured.median >= self.bound if self.at_least else measured.median <= self.bound


_REPLACED = (("the system this replaces, in memory", 0.08), ("its claim", 1.2))

TARGETS = (
    Target(
        "compute chain, one thread",
        *("kernels", "chain, one thread", "M label rows/min"),
        bound=40,
        at_least=True,
        comparisons=(("prototype", 53), *_REPLACED),
    ),
    Target(
        "compute chain, two threads", *("kernels", "chain, two threads", "M label rows/min"), bound=80, at_least=True
    ),
    Target(
        "read → compute → upsert of one instrument's history",
        *("history", "read, compute, upsert", "M label rows/min"),
        bound=10,
        at_least=True,
        comparisons=_REPLACED,
    ),
    Target(
        "backfill launched from the UI, all overhead",
        *("backfill", "backfill, all overhead", "M label rows/min"),
        bound=3,
        at_least=True,
        comparisons=(("claim of the system this replaces, on a cluster", 1.2),),
    ),
    Target(
        "triple barrier alone",
        *("kernels", "triple barrier", "M rows/s"),
        bound=35,
        at_least=True,
        comparisons=(
            ("vectorbt, close only", 40),
            ("finmlkit", 7.4),
            ("RiskLabAI", 0.15),
            ("mlfinpy", 0.0016),
        ),
    ),
    Target(
        "landed file → labels in ClickHouse, sensor and run, idle",
        *("landing", "landed → labels, p99", "s"),
        bound=10,
        at_least=False,
    ),
    Target(
        "live: candle in stream → labels readable in Redis, one instrument",
        *("live", "one alone, p99", "ms"),
        bound=10,
        at_least=False,
        comparisons=(("claim of the system this replaces", 45), ("its target", 100)),
    ),
    Target(
        "live: the same, all instruments closing at once",
        *("live", "all at once, p99", "ms"),
        bound=10,
        at_least=False,
        comparisons=(("claim of the system this replaces", 45), ("its target", 100)),
    ),
    Target(
        "API: cached read, 50 clients",
        *("serving", "cached read, p99", "ms"),
        bound=10,
        at_least=False,
        comparisons=(("target of the system this replaces", 100),),
    ),
    Target(
        "API: compute on miss, 50 clients",
        *("serving", "computed on miss, p99", "ms"),
        bound=50,
        at_least=False,
        comparisons=(("target of the system this replaces", 100),),
    ),
)
"""Every row but the one of memory, which is over all parts."""
