"""Plots of the report: throughput against its targets, growth with the data, memory over time.

Belongs here: from figures to pictures. Does not belong here: measuring.
"""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.figures import Figure, Measured
from benchmarks.targets import MEMORY_TARGET, TARGETS, Target


def draw(parts: Mapping[str, Measured], folder: Path) -> list[str]:
    """Write what there is something to draw of; returns the names of the files."""
    drawn = {"throughput.png": _throughput, "growth.png": _growth, "memory.png": _memory}
    return [name for name, draw_one in drawn.items() if draw_one(parts, folder / name)]


def _throughput(parts: Mapping[str, Measured], file: Path) -> bool:
    """Rates with their targets and comparisons, on a logarithmic axis."""
    rows: list[tuple[Target, Figure]] = [
        (target, each)
        for target in TARGETS
        if target.at_least and target.part in parts
        for each in parts[target.part].figures
        if each.name == target.figure
    ]
    if not rows:
        return False
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.7 * len(rows)), layout="constrained")
    for place, (target, each) in enumerate(reversed(rows)):
        is_met = target.is_met(each)
        axes.barh(place, each.median, height=0.5, color="tab:green" if is_met else "tab:orange")
        axes.plot([each.least, each.most], [place, place], color="black", linewidth=1.5)
        axes.plot([target.bound] * 2, [place - 0.35, place + 0.35], color="black", linewidth=2)
        for name, other in target.comparisons:
            axes.plot(other, place, "D", color="tab:blue", markersize=5)
            axes.annotate(name, (other, place + 0.3), fontsize=6, ha="center")
    axes.set_yticks(range(len(rows)), [f"{target.what}\n[{each.unit}]" for target, each in reversed(rows)], fontsize=8)
    axes.set_xscale("log")
    axes.set_title("Throughput: bar = measured (black: least to most), line = target, diamond = others", fontsize=9)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return True


def _growth(parts: Mapping[str, Measured], file: Path) -> bool:
    """Time and memory against the size of the data, both axes logarithmic."""
    series = parts["growth"].series if "growth" in parts else {}
    if not series:
        return False
    figure, panels = plt.subplots(1, len(series), figsize=(4.5 * len(series), 3.6), layout="constrained", squeeze=False)
    for axes, (name, points) in zip(panels[0], series.items(), strict=True):
        x, y = [point[0] for point in points], [point[1] for point in points]
        axes.loglog(x, y, "o-")
        axes.loglog(x, [y[-1] * value / x[-1] for value in x], ":", color="gray", label="proportional")
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("times the data")
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.legend(fontsize=8)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return True


def _memory(parts: Mapping[str, Measured], file: Path) -> bool:
    """Resident memory of the largest process of each kind while a backfill runs."""
    series = parts["backfill"].series if "backfill" in parts else {}
    if not series:
        return False
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for name, points in series.items():
        axes.plot([point[0] for point in points], [point[1] / 1e6 for point in points], label=name, linewidth=1)
    axes.axhline(MEMORY_TARGET / 1e6, color="black", linestyle=":", label="target")
    axes.set_xlabel("seconds")
    axes.set_ylabel("resident memory of the largest one [MB]")
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(file, dpi=110)
    plt.close(figure)
    return True
