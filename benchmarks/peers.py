"""Part `peers`: the triple barrier of other libraries against ours: same series, same horizon, outcomes compared first.

Kernel against kernel (arrays in, arrays out, indices prepared) and call against call (what their documentation shows,
from a frame of prices). Each library runs in a virtual environment of its own; one that does not install or fails is
reported with its reason.

Belongs here: environments, series, our own side, agreement. Does not belong here: how each library is called
(`peer_calls`), which they are (`peers.toml`).
"""

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import Figure, Measured, Size, figure
from benchmarks.homes import market_candles
from benchmarks.machine import ROOT
from label_assets.assets.partitions import month_start
from label_assets.kernels.arrays import Candles
from label_assets.kernels.barriers import Barriers, BarrierWidth, barriers
from label_assets.kernels.windows import WindowParameters, Windows, path_windows

ENVIRONMENTS = ROOT / ".label_assets" / "peers"
DECLARED = Path(__file__).with_suffix(".toml")
CALLS = Path(__file__).with_name("peer_calls.py")

INSTALL_S = 900
BUDGET_S: dict[Size, float] = {"tiny": 0.5, "bench": 3.0, "full": 20.0}
"""For kernel and for call of one library [s of CPU time]; slow ones get fewer rows."""

PATIENCE_S = 600
YEARS_FROM: dict[Size, str] = {"tiny": "2024-11", "bench": "2015-01", "full": "2005-01"}
HORIZON = 24
WIDTH = 0.002
"""Distance of the barriers, a share of the entry price."""

BAR_S = 900
NEVER_A_GAP_S = 10**9


class Outcomes(NamedTuple):
    """Our outcomes on one series.

    Attributes:
        label: 1, 0, −1; −9 where the window is not complete.
        ambiguous: A bar reached both barriers.
    """

    label: NDArray[np.int64]
    ambiguous: NDArray[np.bool_]


def measure(size: Size, home: Path) -> Measured:
    """Ours, then every library of the list."""
    start = month_start(YEARS_FROM[size])
    market = market_candles("EURUSD", start, month_start("2025-01"))
    series = {"high_low": _regular(market), "close": _closes_only(_regular(market))}
    files = {sees: _store(candles, home / f"{sees}.npz") for sees, candles in series.items()}
    ours = {sees: _our_outcomes(candles) for sees, candles in series.items()}
    figures = [made for sees, candles in series.items() for made in _our_rates(sees, candles, BUDGET_S[size] / 4)]
    notes = [
        f"{len(market.ts):,} M15 closes of the synthetic EURUSD, horizon {HORIZON} bars, barriers at ± {WIDTH:.1%} of "
        "the entry price. CPU time, one thread. For libraries that see only closes, our kernel gets bars whose open, "
        "high and low are the close.",
        "Ours has more in its call than the kernel: windows with gaps, coverage and ATR. The kernel alone gives label, "
        "time, end, return and ambiguity.",
    ]
    details = {}
    for name, declared in tomllib.loads(DECLARED.read_text(encoding="utf-8")).items():
        error = _install(name, declared["requirement"])
        told: dict[str, Any] = {"error": error} if error else _call(name, files[declared["sees"]], home, BUDGET_S[size])
        details[name] = {key: value for key, value in told.items() if key != "rates"}
        if "error" in told:
            notes.append(f"**{declared['requirement']}**: not measured. {told['error']}")
            continue
        figures += list(_peer_rates(declared["requirement"], told["rates"]))
        agreement = _agreement(home / f"{name}.npy", ours[declared["sees"]])
        notes.append(
            f"**{declared['requirement']}** (sees {declared['sees']}): {agreement} {declared['differs']}".strip()
        )
    return Measured(figures, notes, details=details)


def _regular(candles: Candles) -> Candles:
    """The same bars at regular times: none of the others knows gaps, and no window shall be one."""
    ts = np.arange(len(candles.ts), dtype=np.int64) * BAR_S
    return candles._replace(ts=ts, close_ts=ts + BAR_S)


def _closes_only(candles: Candles) -> Candles:
    return candles._replace(open=candles.close, high=candles.close, low=candles.close)


def _store(candles: Candles, file: Path) -> Path:
    np.savez(file, **{name: getattr(candles, name) for name in ("ts", "open", "high", "low", "close", "volume")})
    return file


def _windows(candles: Candles) -> Windows:
    parameters = WindowParameters(
        horizon=HORIZON, bars_per_bar=1, gap_limit_s=NEVER_A_GAP_S, minimum_coverage=0.5, atr_period=14
    )
    return path_windows(candles, candles, parameters)


def _barriers(candles: Candles, windows: Windows) -> Barriers:
    return barriers(candles, windows, BarrierWidth(price_share=WIDTH))


def _our_outcomes(candles: Candles) -> Outcomes:
    made = _barriers(candles, _windows(candles))
    label = np.full(len(candles.ts), -9, np.int64)
    is_whole = np.arange(len(label)) < len(label) - HORIZON
    label[is_whole] = made.triple_barrier_label[is_whole]
    return Outcomes(label, made.triple_barrier_ambiguous == 1)


def _our_rates(sees: str, candles: Candles, budget_s: float) -> Iterator[Figure]:
    windows = _windows(candles)
    group = "kernel", "call"
    runs: tuple[Callable[[], object], ...] = (
        lambda: _barriers(candles, windows),
        lambda: _barriers(candles, _windows(candles)),
    )
    for kind, run in zip(group, runs, strict=True):
        yield _rate(f"label_assets, sees {sees}", kind, _repeat(run, budget_s), len(candles.ts))


def _repeat(run: Callable[[], object], budget_s: float) -> list[float]:
    """CPU times of repetitions, at least 3 [s]."""
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < budget_s:
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return seconds


def _rate(name: str, kind: str, seconds: list[float], rows: int) -> Figure:
    unit = "M rows/s"
    return figure(f"{name}: {kind}", unit, "CPU", [rows / each / 1e6 for each in seconds], f"triple barrier, {kind}")


def _peer_rates(name: str, rates: Mapping[str, Any]) -> Iterator[Figure]:
    for kind, told in rates.items():
        yield _rate(name, kind, told["seconds"], told["rows"])


def _python(name: str) -> Path:
    return ENVIRONMENTS / name / "bin" / "python"


def _install(name: str, requirement: str) -> str | None:
    """Make the environment where there is none; what went wrong, or None."""
    done = ENVIRONMENTS / name / "installed"
    if done.exists() and done.read_text(encoding="utf-8") == requirement:
        return None
    try:
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENTS / name)], check=True, timeout=INSTALL_S)
        subprocess.run(
            [str(_python(name)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
            check=True, timeout=INSTALL_S, capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"its installation took longer than {INSTALL_S} s"
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        return f"it does not install: {said[-1] if said else error}"
    done.write_text(requirement, encoding="utf-8")
    return None


def _call(name: str, series: Path, home: Path, budget_s: float) -> dict[str, Any]:
    """Rates of a library, and its labels in a file; or the error."""
    target = home / f"{name}.json"
    command = [str(_python(name)), str(CALLS), name, str(series), str(target), str(HORIZON), str(WIDTH), str(budget_s)]
    try:
        done = subprocess.run(
            command,
            cwd=home,
            env={**os.environ, "NUMBA_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"it took longer than {PATIENCE_S} s"}
    if done.returncode or not target.exists():
        said = done.stderr.strip().splitlines()
        return {"error": f"it fails: {said[-1] if said else f'exit code {done.returncode}'}"}
    told: dict[str, Any] = json.loads(target.read_text(encoding="utf-8"))
    return told


def _agreement(file: Path, ours: Outcomes) -> str:
    """How many outcomes are the same, and how many of the others have a reason that can be counted."""
    theirs = np.load(file)
    label, ambiguous = ours.label[: len(theirs)], ours.ambiguous[: len(theirs)]
    counts = label != -9
    counts[max(0, len(theirs) - HORIZON) :] = False  # its own series may have ended here
    counts &= theirs != -9
    different = counts & (theirs != label)
    to_zero = different & (label == 0)
    of_reason = (
        f"{int((different & ambiguous).sum()):,} where one bar reaches both barriers, {int(to_zero.sum()):,} where "
        f"neither is touched, {int((different & ~ambiguous & ~to_zero).sum()):,} others"
    )
    share = 1 - different.sum() / max(1, counts.sum())
    return f"{share:.4%} of {int(counts.sum()):,} outcomes are the same; different are {of_reason}."
