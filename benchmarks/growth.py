"""Part `growth`: 1, 2, 4, 8, 16 times the history of one instrument: time and memory, and the exponents of both.

Every size is a whole first run of the graph in a process of its own, so that its memory is its own.

Belongs here: how cost grows with the data. Does not belong here: what a run of one size costs in detail (`history`).
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import psutil

from benchmarks.figures import Clock, Figure, Measured, Size, figure
from benchmarks.history import INSTRUMENT, in_database, own_work, whole_run
from benchmarks.homes import land_market, own_servers
from benchmarks.machine import ROOT
from benchmarks.processes import kind_of, peak_rss_here, peak_rss_of, processes_of
from label_assets.assets.partitions import months_between
from label_assets.compute.compilation import compile_kernels
from label_assets.materialize import dagster_instance
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import address

MOST_MONTHS: dict[Size, tuple[str, str]] = {
    "tiny": ("2024-01", "2024-02"),
    "bench": ("2005-01", "2024-12"),
    "full": ("2005-01", "2024-12"),
}
TIMES: dict[Size, tuple[int, ...]] = {"tiny": (1, 2), "bench": (1, 2, 4, 8, 16), "full": (1, 2, 4, 8, 16)}
REPETITIONS: dict[Size, int] = {"tiny": 1, "bench": 1, "full": 5}


class Quantity(NamedTuple):
    """What is measured of each size.

    Attributes:
        unit: Its unit.
        clock: Which time it counts.
        divisor: What it is divided by to be in that unit.
        is_drawn: It is one of the plots.
    """

    unit: str
    clock: Clock
    divisor: float = 1.0
    is_drawn: bool = True


QUANTITIES = {
    "whole run": Quantity("s", "wall"),
    "read, compute, upsert": Quantity("s", "wall"),
    "whole run, all processes": Quantity("s", "CPU", is_drawn=False),
    "peak RSS of the run": Quantity("MB", "none", 1e6),
    "peak RSS of ClickHouse": Quantity("MB", "none", 1e6, is_drawn=False),
}


def measure(size: Size, home: Path) -> Measured:
    """Time and peak memory of every size, and exponents by least squares of the logarithms."""
    first, last = MOST_MONTHS[size]
    months = months_between(first, last)
    found: dict[str, dict[int, list[float]]] = {name: {} for name in QUANTITIES}
    rows = 0.0
    with own_servers(home, instruments=[INSTRUMENT], first_month=first) as settings:
        land_market(home / "landing", [INSTRUMENT], (first, last))
        address(settings)  # starts ClickHouse before its memory is looked at
        for repetition in range(REPETITIONS[size]):
            for times in TIMES[size]:
                count = len(months) * times // TIMES[size][-1]
                one = _in_own_process(settings, (months[-count], last), f"x{times}_{repetition}")
                rows = one.pop("rows")
                for name, value in one.items():
                    found[name].setdefault(times, []).append(value / QUANTITIES[name].divisor)
    return Measured(
        figures=[made for name, values in found.items() for made in _figures(name, QUANTITIES[name], values)],
        notes=[
            f"{TIMES[size][-1]} × is {first} to {last} of {INSTRUMENT}, {rows:,.0f} label rows; the smaller ones are "
            "its last months. An exponent of 1 is proportional to the data; below 1, what every run costs is still "
            "seen.",
        ],
        peak_rss={
            "run": _largest(found["peak RSS of the run"]),
            "ClickHouse": _largest(found["peak RSS of ClickHouse"]),
        },
        series={
            f"{name} [{quantity.unit}]": [(times, median(values)) for times, values in found[name].items()]
            for name, quantity in QUANTITIES.items()
            if quantity.is_drawn
        },
    )


def _figures(name: str, quantity: Quantity, values: Mapping[int, Sequence[float]]) -> Iterator[Figure]:
    for times, repetitions in values.items():
        yield figure(f"{name}, {times} ×", quantity.unit, quantity.clock, repetitions, name)
    yield figure(f"{name}: exponent", "exponent", "none", [exponent(values)], "exponents")


def _largest(megabytes: Mapping[int, Sequence[float]]) -> int:
    return int(1e6 * max(max(values) for values in megabytes.values()))


def exponent(values: Mapping[int, Sequence[float]]) -> float:
    """Slope of the logarithms by least squares."""
    x = np.log([times for times, found in values.items() for _ in found])
    y = np.log([value for found in values.values() for value in found])
    return float(np.polyfit(x, y, 1)[0])


def _in_own_process(settings: Settings, months: tuple[str, str], database: str) -> dict[str, float]:
    """A whole first run, and the assets' own work, of some months, in a process of its own."""
    server = next(process for process in processes_of(settings.home) if _is_clickhouse(process))
    Path(f"/proc/{server.pid}/clear_refs").write_text("5", encoding="ascii")  # its peak begins anew
    target = settings.home / f"{database}.json"
    subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", str(settings.home), settings.first_month, *months, database,
         str(target)],
        cwd=ROOT, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(target.read_text(encoding="utf-8"))
    return found | {"peak RSS of ClickHouse": float(peak_rss_of(server))}


def _is_clickhouse(process: psutil.Process) -> bool:
    try:
        return kind_of(" ".join(process.cmdline())) == "ClickHouse"
    except psutil.Error:
        return False


def main() -> None:
    """One size: measure, and write it as JSON."""
    home, first_month, first, last, database, target = sys.argv[1:]
    compile_kernels()
    settings = load_settings(
        home=Path(home), source="landing", landing_folder=Path(home) / "landing", pictures=False,
        instruments=[INSTRUMENT], first_month=first_month,
    )  # fmt: skip
    with dagster_instance(settings) as instance:
        cost, _ = whole_run(in_database(settings, database), instance, (first, last))
    peak = peak_rss_here()
    own = own_work(in_database(settings, f"{database}_own"), (first, last))
    found = {
        "rows": cost.rows,
        "whole run": cost.wall_s,
        "whole run, all processes": cost.cpu_s,
        "read, compute, upsert": own.wall_s,
        "peak RSS of the run": peak,
    }
    Path(target).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
