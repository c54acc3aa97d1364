"""Calls of other libraries' triple barriers; runs in a library's own environment and imports nothing of ours.

`python peer_calls.py NAME SERIES.npz TARGET.json HORIZON WIDTH BUDGET_S` writes rates, and the labels beside them.

Belongs here: one function a library, which gives its kernel and its documented call. Does not belong here: comparing.
"""

# ruff: noqa: PLC0415 - an environment holds one of the libraries
# mypy: disable-error-code="import-not-found"

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Labels = np.ndarray[Any, Any]
UNKNOWN = -9
FIRST_ROWS = 2_000


class Task(NamedTuple):
    """What is to be labelled: an entry at every close, for the next `horizon` bars.

    Attributes:
        series: Columns ts [epoch s], open, high, low, close, volume.
        horizon: Bars after the entry.
        width: Distance of either barrier, a share of the entry price.
    """

    series: Mapping[str, Labels]
    horizon: int
    width: float

    def first(self, rows: int) -> "Task":
        """The same over the first rows."""
        return self._replace(series={name: values[:rows] for name, values in self.series.items()})


Run = Callable[[], Any]
"""Gives what the library gives. What is prepared once is prepared before."""


class Runs(NamedTuple):
    """One library.

    Attributes:
        kernel: Arrays in, arrays out; None where it has none of its own.
        call: What its documentation shows; None where that takes other data than prices of bars.
        labels: From what the kernel, or else the call, gives: 1, 0, −1 for every row, −9 where there is none.
    """

    kernel: Run | None
    call: Run | None
    labels: Callable[[Any], Labels]


def of_vectorbt(task: Task) -> Runs:
    """`BOLB`: breakout labels; its kernel is compiled by numba."""
    import pandas as pd
    import vectorbt as vbt
    from vectorbt.labels.nb import breakout_labels_nb

    close = task.series["close"]
    column, frame = close[:, None], pd.Series(close)
    return Runs(
        lambda: breakout_labels_nb(column, task.horizon, task.width, task.width),
        lambda: vbt.BOLB.run(frame, window=task.horizon, pos_th=task.width, neg_th=task.width).labels,
        lambda made: made[:, 0].astype(np.int64),
    )


def of_ml4t(task: Task) -> Runs:
    """`triple_barrier_labels` of a Polars frame; its kernel is compiled by numba."""
    import polars as pl
    from ml4t.engineer.config import LabelingConfig
    from ml4t.engineer.labeling import triple_barrier_labels
    from ml4t.engineer.labeling.numba_ops import _apply_triple_barrier_nb

    high, low, close = (task.series[name] for name in ("high", "low", "close"))
    rows = len(close)
    width = np.full(rows, task.width)
    arrays = (
        *(np.arange(rows, dtype=np.intp), width, width, np.full(rows, task.horizon, np.int64)),
        *(np.ones(rows, np.int32), np.zeros(rows)),
    )
    frame = pl.DataFrame({"close": close, "high": high, "low": low})
    config = LabelingConfig.triple_barrier(
        upper_barrier=task.width, lower_barrier=task.width, max_holding_period=task.horizon, side=1
    )
    return Runs(
        lambda: _apply_triple_barrier_nb(close, high, low, *arrays),
        lambda: triple_barrier_labels(frame, config, price_col="close", high_col="high", low_col="low"),
        lambda made: made[0].astype(np.int64),
    )


def of_finmlkit(task: Task) -> Runs:
    """`triple_barrier`, compiled by numba, on logarithmic returns; its documented call takes ticks."""
    from finmlkit.label.tbm import triple_barrier

    close = task.series["close"]
    stamps = task.series["ts"] * 10**9
    events = np.arange(len(close) - 1)  # it refuses the last one, which has no future
    barriers = (-np.log1p(-task.width), np.log1p(task.width))
    arguments = (
        *(stamps, close, events, np.ones(len(events)), barriers),
        *(float(task.horizon * (task.series["ts"][1] - task.series["ts"][0])), 1.0, None, 0.0),
    )

    def labels(made: Any) -> Labels:
        """It gives the sign of the return where no barrier is touched; here that is 0."""
        found = np.full(len(close), UNKNOWN)
        returns = made[2]
        found[:-1] = np.where(returns >= barriers[1], 1, np.where(returns <= -barriers[0], -1, 0))
        return found

    return Runs(lambda: triple_barrier(*arguments), None, labels)


def of_quantreo(task: Task) -> Runs:
    """`triple_barrier_labeling` of a frame: a Python loop over a compiled function, so it has no kernel of its own.

    It enters at the next open, which is made the close here, and searches without a bound of time. It asks when a bar
    had its high and its low: here both a second after it opened, for at the very open would count as never.
    """
    import pandas as pd
    from quantreo.target_engineering.directional.barriers import triple_barrier_labeling

    ts, close = task.series["ts"], task.series["close"]
    stamps = pd.to_datetime(ts * 10**9).astype("datetime64[ns]")
    a_second_later = pd.to_datetime((ts + 1) * 10**9).astype("datetime64[ns]")
    frame = pd.DataFrame(
        {
            "open": np.concatenate((close[:1], close[:-1])),
            "high": task.series["high"],
            "low": task.series["low"],
            "high_time": a_second_later,
            "low_time": a_second_later,
        },
        index=stamps,
    )
    hours = task.horizon * float(ts[1] - ts[0]) / 3600
    return Runs(
        None,
        lambda: triple_barrier_labeling(frame, max_duration_h=hours, tp=task.width, sl=-task.width),
        lambda made: made.to_numpy().astype(np.int64),
    )


def of_risklabai(task: Task) -> Runs:
    """`triple_barrier` is its worker, the call is `meta_events` and `meta_labeling`. Logarithmic returns."""
    import pandas as pd
    from RiskLabAI.data.labeling.labeling import meta_events, meta_labeling, triple_barrier

    close, ends = _prices_and_ends(task)
    # Of one width for both sides, as its call has: the lower barrier then lies a little further off than ours.
    width = [float(np.log1p(task.width))] * 2
    target = pd.Series(1.0, index=close.index)
    events = pd.DataFrame({"End Time": ends, "Base Width": target, "Side": 1.0})

    def labels(made: Any) -> Labels:
        """It gives the end alone: the return until then tells which barrier it was."""
        at = close.index.get_indexer(made["End Time"].fillna(close.index[-1]))
        returns = np.log(close.to_numpy()[at] / close.to_numpy())
        return np.where(returns > width[0], 1, np.where(returns < -width[1], -1, 0))

    return Runs(
        lambda: triple_barrier(close, events, width, list(close.index)),
        lambda: meta_labeling(meta_events(close, close.index, width, target, 0.0, 1, ends), close),
        labels,
    )


def of_mlfinpy(task: Task) -> Runs:
    """`triple_barriers` is its worker, the call is `get_events` and `get_bins`, in one process."""
    import pandas as pd
    from mlfinpy.labeling.labeling import get_bins, get_events, triple_barriers

    close, ends = _prices_and_ends(task)
    target = pd.Series(task.width, index=close.index)
    events = pd.DataFrame({"t1": ends, "trgt": target, "side": 1.0})

    def labels(made: Any) -> Labels:
        never = pd.Timestamp.max
        upper, lower = (pd.to_datetime(made[name]).fillna(never).to_numpy() for name in ("pt", "sl"))
        return np.where(upper < lower, 1, np.where(lower < upper, -1, 0))

    return Runs(
        lambda: triple_barriers(close, events, [1, 1], close.index),
        lambda: get_bins(get_events(close, close.index, [1, 1], target, 0.0, 1, ends, verbose=False), close),
        labels,
    )


def _prices_and_ends(task: Task) -> tuple[Any, Any]:
    """Closes by time, and the end of the horizon of each; the last ones have none."""
    import pandas as pd

    stamps = pd.to_datetime(task.series["ts"] * 10**9).astype("datetime64[ns]")
    ends = pd.Series(stamps, index=stamps).shift(-task.horizon)
    return pd.Series(task.series["close"], index=stamps), ends


LIBRARIES = {
    "vectorbt": of_vectorbt,
    "ml4t-engineer": of_ml4t,
    "finmlkit": of_finmlkit,
    "quantreo": of_quantreo,
    "RiskLabAI": of_risklabai,
    "mlfinpy": of_mlfinpy,
}


def cpu_s() -> float:
    """CPU time of this process and of its ended children [s]: one library computes in a process of its own."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def timed(make: Callable[[Task], Run], task: Task, budget_s: float) -> tuple[dict[str, Any], Any, int]:
    """CPU times of repetitions over as many rows as the budget allows, what the last one gave, and those rows."""
    run = make(task.first(FIRST_ROWS))
    run()  # compiles
    started = cpu_s()
    run()
    first_s = max(cpu_s() - started, 1e-6)
    rows = min(len(task.series["close"]), max(FIRST_ROWS, int(FIRST_ROWS * budget_s / 4 / first_s)))
    run = make(task.first(rows))
    seconds: list[float] = []
    while True:
        started = cpu_s()
        made = run()
        seconds.append(cpu_s() - started)
        if sum(seconds) >= budget_s or (len(seconds) >= 3 and sum(seconds) * (1 + 1 / len(seconds)) > budget_s):
            return {"rows": rows, "seconds": seconds}, made, rows


def _one_of(make: Callable[[Task], Runs], kind: str) -> Callable[[Task], Run]:
    def made(task: Task) -> Run:
        run: Run = getattr(make(task), kind)
        return run

    return made


def main() -> None:
    """Time kernel and call, and write both."""
    name, series, target, horizon, width, budget_s = sys.argv[1:]
    task = Task(dict(np.load(series)), int(horizon), float(width))
    make = LIBRARIES[name]
    rates: dict[str, Any] = {}
    for kind in ("kernel", "call"):
        if getattr(make(task.first(FIRST_ROWS)), kind) is not None:
            rates[kind], made, rows = timed(_one_of(make, kind), task, float(budget_s))
            if len(rates) == 1:
                np.save(Path(target).with_suffix(".npy"), make(task.first(rows)).labels(made))
    Path(target).write_text(json.dumps({"rates": rates}), encoding="utf-8")


if __name__ == "__main__":
    main()
