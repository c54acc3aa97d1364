"""A month of candles with the barriers of a few entries.

Belongs here: drawing. Does not belong here: where barriers are (`kernels.barriers`), statements (`warehouse/sql`).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from label_assets.errors import SourceEmptyError
from label_assets.settings import Settings, parse_width
from label_assets.warehouse.client import Warehouse

RISING, FALLING, NEUTRAL = "#2a9d8f", "#c1432e", "#6b7280"
ENTRIES = 4
OUTCOMES = {1: ("upper first", RISING), -1: ("lower first", FALLING), 0: ("neither", NEUTRAL)}


def draw_month(
    warehouse: Warehouse, instrument_id: str, granularity: str, month: tuple[int, int], horizon: int, target: Path
) -> Path:
    """Draw candles of a range of time and the triple barriers of a few complete entries into a PNG file.

    Candles stand at successive places, as traders draw them: weekends take no room.

    Args:
        warehouse: Where candles and labels are.
        instrument_id: The instrument.
        granularity: Labelled granularity.
        month: Start and end of the open times [epoch s], end not included.
        horizon: Horizon of the labels [candles].
        target: File to write; its folder is made.

    Returns:
        The file.

    Raises:
        SourceEmptyError: if there are no candles.
    """
    scope = {"instrument": instrument_id, "granularity": granularity, "start": month[0], "end": month[1]}
    candles = warehouse.query("read_candles_between", **scope)
    if not candles.num_rows:
        raise SourceEmptyError(
            asked=f"a chart of {instrument_id} {granularity} from {day(month[0])} to {day(month[1])}",
            found="no candles",
            allowed="a range that was materialized",
            action="materialize raw_candles and candles for it",
        )
    labels = warehouse.query("read_barriers_between", horizon=horizon, **scope)
    figure = Figure(figsize=(13, 6.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ts = candles["ts"].to_numpy().astype(np.int64)
    draw_candles(axes, candles)
    _draw_entries(axes, ts, labels, warehouse.settings)
    _label(
        axes, ts, f"{instrument_id} {granularity}, {day(month[0])} to {day(int(ts[-1]))}", horizon, warehouse.settings
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(target)
    return target


def draw_candles(axes: Axes, candles: pa.Table) -> None:
    """Draw candles at places 0, 1, …: weekends take no room."""
    places = np.arange(candles.num_rows)
    opened, high, low, close = (candles[name].to_numpy() for name in ("open", "high", "low", "close"))
    colors = np.where(close >= opened, RISING, FALLING)
    axes.vlines(places, low, high, colors=list(colors), linewidth=0.8)
    axes.bar(
        places,
        np.maximum(np.abs(close - opened), (high.max() - low.min()) * 5e-4),
        bottom=np.minimum(opened, close),
        width=0.7,
        color=list(colors),
    )


def _chosen(labels: pa.Table) -> list[dict[str, Any]]:
    """A few entries, spread over the time and over the outcomes."""
    rows = labels.to_pylist()
    if not rows:
        return []
    chosen = []
    for part, wanted in zip(np.array_split(np.arange(len(rows)), ENTRIES), (1, -1, 0, 1), strict=True):
        middle = sorted(part, key=lambda index: abs(index - part[len(part) // 2])) if len(part) else []
        fitting = [index for index in middle if rows[index]["triple_barrier_label"] == wanted] or middle
        chosen += [rows[index] for index in fitting[:1]]
    return chosen


def _draw_entries(axes: Axes, ts: NDArray[np.int64], labels: pa.Table, settings: Settings) -> None:
    atr_multiple, price_share = parse_width(settings.labels.barrier_width)
    for row in _chosen(labels):
        price = row["entry_price"]
        distance = atr_multiple * (row["atr"] or 0.0) + price_share * price
        # The entry is the candle's close, so the box begins at its right edge.
        left = float(np.searchsorted(ts, row["ts"])) + 0.5
        right = float(np.searchsorted(ts, row["horizon_end_ts"])) - 0.5
        touched = float(np.searchsorted(ts, row["barrier_end_ts"])) - 0.5
        color = OUTCOMES[row["triple_barrier_label"]][1]
        box = Rectangle((left, price - distance), right - left, 2 * distance, facecolor=color, alpha=0.10)
        axes.add_patch(box)
        axes.hlines([price + distance, price - distance], left, right, colors=color, linewidth=1.4)
        axes.hlines(price, left, right, colors=color, linewidth=0.8, linestyles=":")
        axes.vlines(right, price - distance, price + distance, colors=color, linewidth=0.8, linestyles="--")
        axes.plot(left, price, marker=">", color=color, markersize=7, markeredgecolor="white")
        exit_price = price * (1.0 + row["barrier_return"])
        axes.plot(max(touched, left), exit_price, marker="o", color=color, markersize=7, markeredgecolor="black")


def _label(axes: Axes, ts: NDArray[np.int64], title: str, horizon: int, settings: Settings) -> None:
    time_axis(axes, ts, 12)
    axes.set_ylabel("price")
    axes.set_xlabel("open time, UTC; weekends take no room")
    axes.set_title(
        f"{title}: triple barriers at ± {settings.labels.barrier_width}, horizon {horizon} candles", loc="left"
    )
    handles = [Rectangle((0, 0), 1, 1, facecolor=color, alpha=0.4, label=text) for text, color in OUTCOMES.values()]
    marks = [
        Line2D([], [], marker=">", color=NEUTRAL, linestyle="", label="entry (close of its candle)"),
        Line2D([], [], marker="o", color=NEUTRAL, linestyle="", label="first touch, or horizon end"),
    ]
    axes.legend(handles=[*handles, *marks], ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)


def time_axis(axes: Axes, ts: NDArray[np.int64], ticks: int) -> None:
    """Label the places of candles with their open times."""
    places = np.unique(np.linspace(0, len(ts) - 1, ticks).astype(int))
    axes.set_xticks(places, [datetime.fromtimestamp(ts[place], UTC).strftime("%d %b\n%H:%M") for place in places])
    axes.set_xlim(-1, len(ts) + 1)
    axes.grid(axis="y", alpha=0.25)


def day(ts: int) -> str:
    """The UTC day of an epoch second."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d")
