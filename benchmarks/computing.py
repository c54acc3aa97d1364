"""Part `kernels`: the computations alone, as `benchmarks.kernels` measures them, as figures of the suite.

Belongs here: from its report to figures. Does not belong here: measuring.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import kernels
from benchmarks.figures import Clock, Figure, Measured, Size, inverted
from benchmarks.processes import peak_rss_here

YEARS: dict[Size, float] = {"tiny": 0.25, "bench": 20, "full": 20}
REPETITIONS: dict[Size, int] = {"tiny": 2, "bench": 7, "full": 21}


def measure(size: Size, _home: Path) -> Measured:
    """Kernels one by one, the chain on one and on two threads, and rows as runs make them."""
    report = kernels.measure(YEARS[size], REPETITIONS[size])
    count = report["repetitions"]

    def ns(name: str, summary: Mapping[str, Any], group: str, clock: Clock = "CPU") -> Figure:
        low, middle, high = (float(summary[f"{which}_ns"]) for which in ("min", "median", "max"))
        return Figure(name, "ns a row", clock, low, middle, high, count, group)

    one_by_one = [ns(name, found, "kernels") for name, found in report["kernels"].items()]
    tables = [ns(f"rows of {name}", found, "rows as runs make them") for name, found in report["tables"].items()]
    by_name = {made.name: made for made in one_by_one}
    two = {
        "cpu": ns("two threads", report["two_threads"]["cpu"], ""),
        "wall": ns("two threads", report["two_threads"]["wall"], "", "wall"),
    }
    rates = [
        inverted(by_name["chain"], "chain, one thread", "M label rows/min", 60e3),
        inverted(two["cpu"], "chain, two threads", "M label rows/min", 60e3),
        inverted(two["wall"], "chain, two threads, by the clock", "M label rows/min", 60e3),
        inverted(by_name["barriers"], "triple barrier", "M rows/s", 1e3),
    ]
    rows = ", ".join(f"{name} {number:,}" for name, number in report["rows_by_granularity"].items())
    return Measured(
        figures=[*rates, *one_by_one, *tables],
        notes=[
            f"{report['rows']:,} rows ({rows}), horizon {report['horizon']}. CPU time of the thread; of two threads, "
            "that of the slower one, as if each had a core to itself, and the clock beside it.",
            "All kernels of a repetition run one after the other, so ratios between them hold on a busy machine too.",
        ],
        peak_rss={"the benchmark itself": peak_rss_here()},
    )
