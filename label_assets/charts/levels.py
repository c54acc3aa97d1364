"""Candles, the levels around an entry with their roles over time, and the entry's level-adjusted barriers.

Belongs here: drawing. Does not belong here: finding levels (`kernels.levels`), statements (`warehouse/sql`).
"""

import base64
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S
from label_assets.charts.candles import FALLING, NEUTRAL, OUTCOMES, RISING, day, draw_candles, time_axis
from label_assets.errors import SourceEmptyError
from label_assets.warehouse.client import Warehouse

BEFORE, AFTER = 60, 14
"""Candles drawn before and after the entry."""

ROLE_COLORS = {"support": RISING, "resistance": FALLING}
EVENT_MARKS = {"BREAK": ("x", "break"), "FLIP": ("D", "flip"), "TOUCH": (".", "touch")}


class Entry(NamedTuple):
    """The candle at whose close the drawn trade begins.

    Attributes:
        instrument_id: The instrument.
        granularity: Labelled granularity.
        horizon: Horizon [candles].
        ts: Open time of the candle [epoch s].
    """

    instrument_id: str
    granularity: str
    horizon: int
    ts: int


def draw_levels(warehouse: Warehouse, entry: Entry, *, small: bool = False) -> bytes:
    """Draw the candles around an entry, the levels active in that time and the entry's barriers.

    Args:
        warehouse: Where candles, levels and labels are.
        entry: The entry.
        small: A thumbnail for the metadata of a materialization, without legend.

    Returns:
        A PNG image.

    Raises:
        SourceEmptyError: if there is no candle at the entry.
    """
    scope = {"instrument": entry.instrument_id, "granularity": entry.granularity}
    candles = warehouse.query(
        "read_candles_around", start=entry.ts, end=entry.ts + 1, before=BEFORE, after=max(AFTER, entry.horizon), **scope
    )
    ts = candles["ts"].to_numpy().astype(np.int64)
    if entry.ts not in ts:
        raise SourceEmptyError(
            asked=f"a chart of {entry.instrument_id} {entry.granularity} at {day(entry.ts)}",
            found="no candle opens then",
            allowed="the open time of a stored candle of that granularity",
            action="materialize candles for its month, or name another time",
        )
    drawn = {"start": int(ts[0]), "end": int(candles["close_ts"].to_numpy()[-1]), **scope}
    intervals = warehouse.query("read_level_intervals_alive", **drawn)
    events = warehouse.query("read_level_events_between", **drawn)
    width = warehouse.settings.labels.level_barrier_atr
    labels = warehouse.query("read_level_barriers_at", horizon=entry.horizon, ts=entry.ts, width=width, **scope)
    figure = Figure(figsize=(7, 3.2) if small else (13, 6.4), dpi=75 if small else 110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw_candles(axes, candles)
    bounds = _price_bounds(candles)
    _draw_intervals(axes, candles, intervals, bounds)
    _draw_events(axes, candles, events, bounds)
    place = int(np.searchsorted(ts, entry.ts))
    if labels.num_rows:
        _draw_entry(axes, ts, (place, entry.horizon), labels.to_pylist()[0])
    axes.set_ylim(*bounds)
    time_axis(axes, ts, 6 if small else 12)
    axes.set_xlim(-1, max(len(ts), place + 1 + entry.horizon) + 1)  # an open window reaches beyond the last candle
    title = f"{entry.instrument_id} {entry.granularity}, entry {day(entry.ts)}, horizon {entry.horizon}"
    axes.set_title(title, loc="left", fontsize=9 if small else 12)
    if not small:
        _legend(axes)
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return image.getvalue()


def as_markdown(image: bytes) -> str:
    """A PNG image as Markdown that carries it, for the metadata of a materialization."""
    return f"![chart](data:image/png;base64,{base64.b64encode(image).decode()})"


def draw_entry(
    warehouse: Warehouse, instrument_id: str, granularity: str, until_ts: int, horizon: int | None, target: Path
) -> Path:
    """Draw the last entry whose candle opens at `until_ts` or before, within the two weeks before, into a file.

    Args:
        warehouse: Where candles, levels and labels are.
        instrument_id: The instrument.
        granularity: Labelled granularity.
        until_ts: Time [epoch s].
        horizon: Horizon [candles]; None for the first that is configured.
        target: PNG file; its folder is made.

    Returns:
        The file.

    Raises:
        SourceEmptyError: if no candle opens in that time.
    """
    scope = {"instrument": instrument_id, "granularity": granularity, "start": until_ts - 14 * DAY_S}
    last = warehouse.query("read_last_entry", end=until_ts + 1, **scope)["ts"][0].as_py()
    entry = Entry(instrument_id, granularity, horizon or warehouse.settings.horizons[0], last or until_ts)
    image = draw_levels(warehouse, entry)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(image)
    return target


def _price_bounds(candles: pa.Table) -> tuple[float, float]:
    low, high = candles["low"].to_numpy().min(), candles["high"].to_numpy().max()
    margin = 0.08 * (high - low) or 0.01 * high
    return float(low - margin), float(high + margin)


def _places(close_ts: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where a time lies on the axis of candles: the close of candle j is at j + 0.5."""
    return np.clip(np.searchsorted(close_ts, times) + 0.5, -0.5, len(close_ts) - 0.5)


def _draw_intervals(axes: Axes, candles: pa.Table, intervals: pa.Table, bounds: tuple[float, float]) -> None:
    close_ts = candles["close_ts"].to_numpy().astype(np.int64)
    end = int(close_ts[-1])
    for row in intervals.to_pylist():
        if not bounds[0] <= row["price"] <= bounds[1]:
            continue
        times = np.array([row["valid_from"], row["valid_to"] or end])
        left, right = _places(close_ts, times)
        left = -0.5 if row["valid_from"] < close_ts[0] else left
        color = ROLE_COLORS[row["role_name"]]
        axes.hlines(row["price"], left, right, colors=color, linewidth=1.1, alpha=0.85)
        zone = Rectangle(
            (left, row["price"] - row["touch_width"]), right - left, 2 * row["touch_width"], facecolor=color, alpha=0.12
        )
        axes.add_patch(zone)


def _draw_events(axes: Axes, candles: pa.Table, events: pa.Table, bounds: tuple[float, float]) -> None:
    close_ts = candles["close_ts"].to_numpy().astype(np.int64)
    for row in events.to_pylist():
        marker, _ = EVENT_MARKS.get(row["event_name"].split("_")[0], (None, ""))
        if marker and bounds[0] <= row["price"] <= bounds[1]:
            place = float(np.searchsorted(close_ts, row["ts"]))
            axes.plot(place, row["price"], marker=marker, color="#374151", markersize=4, linestyle="")


def _draw_entry(axes: Axes, ts: NDArray[np.int64], window: tuple[int, int], row: dict[str, Any]) -> None:
    if row["etb_upper"] is None:
        return
    place, horizon = window
    left = place + 0.5
    end = row["horizon_end_ts"]
    right = float(np.searchsorted(ts, end)) - 0.5 if end else left + horizon
    color = OUTCOMES.get(row["label"], ("", NEUTRAL))[1]
    box = Rectangle((left, row["etb_lower"]), right - left, row["etb_upper"] - row["etb_lower"], alpha=0.15)
    box.set_facecolor(color)
    axes.add_patch(box)
    axes.hlines([row["etb_upper"], row["etb_lower"]], left, right, colors=color, linewidth=1.8)
    for plain in (row["plain_upper"], row["plain_lower"]):
        axes.hlines(plain, left, right, colors=NEUTRAL, linewidth=0.9, linestyles="--")
    axes.plot(left, row["entry_price"], marker=">", color="black", markersize=7)
    if row["etb_end_ts"]:
        touched = max(left, float(np.searchsorted(ts, row["etb_end_ts"])) - 0.5)
        axes.plot(touched, row["etb_exit_price"], marker="o", color=color, markersize=8, markeredgecolor="black")


def _legend(axes: Axes) -> None:
    handles: list[Any] = [
        Line2D([], [], color=color, label=f"{role} while active") for role, color in ROLE_COLORS.items()
    ]
    handles += [
        Line2D([], [], marker=marker, color="#374151", linestyle="", label=text)
        for marker, text in EVENT_MARKS.values()
    ]
    handles += [
        Line2D([], [], marker=">", color="black", linestyle="", label="entry"),
        Line2D([], [], marker="o", color=NEUTRAL, markeredgecolor="black", linestyle="", label="first touch or end"),
        Line2D([], [], color=NEUTRAL, linestyle="--", label="barriers without levels"),
    ]
    axes.legend(handles=handles, ncols=len(handles), loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
