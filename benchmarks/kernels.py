"""How fast the computations are: kernel by kernel, the chain of all of them, and rows as runs make them.

Run `python -m benchmarks.kernels`. Figures are CPU time (of the thread, for two threads of each), because wall time on
a shared machine measures the neighbors; every repetition measures all of them, so ratios within one report hold.

Belongs here: compute alone. Does not belong here: reading, writing and Dagster.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple

import numba
import numpy as np

from label_assets.catalog.granularities import granularity
from label_assets.compute.families import COMPUTED_TABLES, compute_rows, window_parameters
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.levels import level_history
from label_assets.kernels.active_levels import Consideration, considered_levels
from label_assets.kernels.barriers import BarrierWidth, barriers
from label_assets.kernels.excursions import excursions
from label_assets.kernels.level_barriers import LevelBarrierWidths, level_barriers
from label_assets.kernels.level_breaks import BurstParameters, level_breaks
from label_assets.kernels.level_touches import level_touches
from label_assets.kernels.path_shape import path_shape
from label_assets.kernels.returns import ReturnParameters, returns
from label_assets.kernels.sample_weights import WeightParameters, sample_weights
from label_assets.kernels.spans import path_spans
from label_assets.kernels.volatility import volatility
from label_assets.kernels.windows import path_windows
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.settings import LabelSettings, Settings, parse_width
from label_assets.sources.synthetic import SyntheticMarket

GRANULARITIES = ("H1", "H4", "D", "W")
BASE = "M15"
HORIZON = 6
START_TS = 1_072_915_200  # 2004-01-01
YEAR_S = 31_556_952
CHAIN_TARGET = 40.0
"""DESIGN.md §11 [M label rows/min on one thread]."""
BARRIER_TARGET = 35.0
"""DESIGN.md §11 [M rows/s]."""

Seconds = dict[str, float]
"""CPU seconds by name of what was run."""


def market_slices(instrument: str, years: float) -> list[MarketSlice]:
    """Slices of a synthetic instrument, one a labelled granularity, all rows inside."""
    calendar = SessionCalendar("17:00 America/New_York")
    market = SyntheticMarket(7, Settings().instruments, calendar, start_ts=START_TS)
    end_ts = START_TS + int(years * YEAR_S)
    base = market.read(instrument, BASE, START_TS, end_ts, 2**32).candles
    rungs = {BASE: base, **ladder(base, BASE, calendar)}
    return [
        MarketSlice(instrument, name, 0, 2**32 - 1, rungs[name], rungs[str(granularity(name).path)])
        for name in GRANULARITIES
    ]


def run_kernels(market: MarketSlice, labels: LabelSettings, horizon: int) -> Seconds:
    """Every kernel once, each on what the ones before it made."""
    rung = labels.granularity(market.granularity)
    seconds: Seconds = {}

    def timed(name: str, kernel: Callable[..., Any], *arguments: Any) -> Any:
        started = time.thread_time()
        made = kernel(*arguments)
        seconds[name] = time.thread_time() - started
        return made

    candles, path = market.candles, market.path
    windows = timed("path_windows", path_windows, candles, path, window_parameters(labels, market.granularity, horizon))
    sample = ReturnParameters(
        horizon, labels.flat_return, labels.clip_atr, rung.quantile_sample, min(100, rung.quantile_sample // 2)
    )
    timed("returns", returns, windows, sample)
    timed("barriers", barriers, path, windows, BarrierWidth(*parse_width(labels.barrier_width)))
    spans = timed("path_spans", path_spans, path, windows)
    timed("excursions", excursions, path, windows, labels.profit_factor_cap, spans)
    timed("volatility", volatility, candles, path, windows, horizon, spans)
    timed("path_shape", path_shape, path, windows, labels.end_extremum_gap_cap, spans)
    history = timed("levels", level_history, candles, windows.atr, labels, market.granularity)
    consideration = Consideration(labels.considered_atr, labels.merge_atr, labels.most_considered)
    found = history.levels
    near = timed("considered_levels", considered_levels, candles, windows, found, history.intervals, consideration)
    touches = timed("level_touches", level_touches, path, windows, found, near, spans)
    burst = BurstParameters(horizon, rung.burst_sample, rung.burst_minimum)
    timed("level_breaks", level_breaks, path, windows, found, near, touches, burst, spans)
    adjusted = timed("level_barriers", level_barriers, path, windows, found, near, LevelBarrierWidths(), spans)
    weights = WeightParameters(horizon, rung.gap_limit_s)
    timed("sample_weights", sample_weights, candles, path, windows, adjusted, weights, spans)
    return seconds


def run_rows(market: MarketSlice, labels: LabelSettings, horizon: int) -> Seconds:
    """Arrow rows of every computed table, as runs make them; a new slice has nothing computed."""
    fresh = replace(market, made={})
    seconds: Seconds = {}
    for table in COMPUTED_TABLES:
        started = time.thread_time()
        compute_rows(table, fresh, horizon, labels)
        seconds[table.name] = time.thread_time() - started
    return seconds


class Measured(NamedTuple):
    """Repetitions of one thing.

    Attributes:
        ns_a_row: CPU time of each repetition [ns a label row].
    """

    ns_a_row: Sequence[float]

    def figures(self) -> dict[str, float]:
        """Least, median and most, and what the least makes in a minute [M rows/min]."""
        low, middle, high = min(self.ns_a_row), median(self.ns_a_row), max(self.ns_a_row)
        return {
            "min_ns": round(low, 1),
            "median_ns": round(middle, 1),
            "max_ns": round(high, 1),
            "best_m_rows_per_min": round(60e3 / low, 2),
            "median_m_rows_per_min": round(60e3 / middle, 2),
        }


def _repetition(
    run: Callable[[MarketSlice, LabelSettings, int], Seconds], slices: Sequence[MarketSlice], horizon: int
) -> Seconds:
    labels, total = LabelSettings(), Seconds()
    for market in slices:
        for name, seconds in run(market, labels, horizon).items():
            total[name] = total.get(name, 0.0) + seconds
    return total


def _rows(slices: Sequence[MarketSlice]) -> int:
    return sum(len(market.candles.ts) for market in slices)


def measure(years: float, repetitions: int, horizon: int = HORIZON) -> dict[str, Any]:
    """Measure kernels, chain, rows and two threads.

    Args:
        years: Length of the series of each instrument.
        repetitions: How often everything is run, after one run that warms up.
        horizon: Horizon [candles].

    Returns:
        Figures as a dictionary that JSON can hold.
    """
    slices, others = market_slices("EURUSD", years), market_slices("GBPUSD", years)
    rows = _rows(slices)
    kernels: dict[str, list[float]] = {}
    tables: dict[str, list[float]] = {}
    threads: dict[str, list[float]] = {"cpu": [], "wall": []}
    gc.disable()
    for repetition in range(repetitions + 1):
        by_kernel, by_table = _repetition(run_kernels, slices, horizon), _repetition(run_rows, slices, horizon)
        cpu, wall = _two_threads(slices, others, horizon)
        if repetition == 0:
            continue
        by_kernel["chain"], by_table["all tables"] = sum(by_kernel.values()), sum(by_table.values())
        for kept, seconds in ((kernels, by_kernel), (tables, by_table)):
            for name, value in seconds.items():
                kept.setdefault(name, []).append(1e9 * value / rows)
        threads["cpu"].append(cpu)
        threads["wall"].append(wall)
        gc.collect()
    gc.enable()
    return {
        "rows": rows,
        "rows_by_granularity": {market.granularity: len(market.candles.ts) for market in slices},
        "horizon": horizon,
        "repetitions": repetitions,
        "versions": {"numba": numba.__version__, "numpy": np.__version__},
        "kernels": {name: Measured(values).figures() for name, values in kernels.items()},
        "tables": {name: Measured(values).figures() for name, values in tables.items()},
        "two_threads": {name: Measured(values).figures() for name, values in threads.items()},
    }


def _two_threads(slices: Sequence[MarketSlice], others: Sequence[MarketSlice], horizon: int) -> tuple[float, float]:
    """CPU and wall time of the chain on two instruments at once [ns a row of both]; CPU as if each had its core."""
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda each: _repetition(run_kernels, each, horizon), (slices, others)))
    wall = time.perf_counter() - started
    rows = _rows(slices) + _rows(others)
    return 1e9 * max(sum(result.values()) for result in results) / rows, 1e9 * wall / rows


def as_text(report: dict[str, Any]) -> str:
    """The report as a table."""
    lines = [f"{report['rows']} rows, horizon {report['horizon']}, {report['repetitions']} repetitions, CPU time"]
    for part in ("kernels", "tables", "two_threads"):
        lines.append(f"{part:<20}{'min':>9}{'median':>9}{'max':>9} ns a row{'best':>10} M rows/min")
        lines += [
            f"  {name:<18}{figures['min_ns']:>9.1f}{figures['median_ns']:>9.1f}{figures['max_ns']:>9.1f}"
            f"{figures['best_m_rows_per_min']:>19.1f}"
            for name, figures in report[part].items()
        ]
    chain, barrier = report["kernels"]["chain"], report["kernels"]["barriers"]
    lines += [
        f"chain, one thread: {chain['best_m_rows_per_min']:.1f} M rows/min of {CHAIN_TARGET:.0f}",
        f"chain, two threads: {report['two_threads']['cpu']['best_m_rows_per_min']:.1f} M rows/min of "
        f"{2 * CHAIN_TARGET:.0f} by CPU time, {report['two_threads']['wall']['best_m_rows_per_min']:.1f} by the clock",
        f"triple barrier: {1e3 / barrier['min_ns']:.1f} M/s of {BARRIER_TARGET:.0f}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=float, default=20.0)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--horizon", type=int, default=HORIZON)
    parser.add_argument("--json", default="", help="file to write the figures to")
    arguments = parser.parse_args()
    report = measure(arguments.years, arguments.repetitions, arguments.horizon)
    print(as_text(report))  # noqa: T201 - a program
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
