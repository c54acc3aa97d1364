"""Labels of the rows that new candles of a granularity can have changed: the same kernels as a run's, on short slices.

With n the newest candle, k of them new and a horizon H, those are rows n−H−k+1 … n: all older windows are over, and
nothing after its horizon end enters a row. They need windows of the reference sample, levels of one lifetime, and the
event counts of the sample of event_burst, which are final once a window is over and so are kept.

Belongs here: which slices suffice. Does not belong here: formulas (`kernels`), their wiring for runs
(`compute.families`), with whose rows these are compared in tests.
"""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.families.level_breaks import LEVEL_BREAKS
from label_assets.compute.families import compute_rows, window_parameters
from label_assets.compute.levels import level_history
from label_assets.compute.reach import level_reach
from label_assets.kernels.active_levels import Consideration, ConsideredLevels, considered_levels
from label_assets.kernels.arrays import NULL_INT, Candles, IntColumn
from label_assets.kernels.atr import average_true_range
from label_assets.kernels.barriers import BarrierWidth, barriers
from label_assets.kernels.excursions import excursions
from label_assets.kernels.level_barriers import LevelBarrierWidths, level_barriers
from label_assets.kernels.level_breaks import BurstParameters, event_bursts, level_breaks
from label_assets.kernels.level_touches import level_touches
from label_assets.kernels.levels import Levels
from label_assets.kernels.path_shape import path_shape
from label_assets.kernels.returns import ReturnParameters, returns
from label_assets.kernels.sample_weights import WeightParameters, sample_weights
from label_assets.kernels.volatility import volatility
from label_assets.kernels.windows import Windows, path_windows
from label_assets.live.tail import TailView, newest
from label_assets.settings import LabelSettings, parse_width


class NewestRows(NamedTuple):
    """Rows of `labels` of one instrument, granularity and horizon, in time order.

    Attributes:
        instrument_id: The instrument.
        granularity: The granularity.
        horizon: The horizon [candles].
        columns: `ts` and the columns of path windows and families; NaN and NULL_INT are NULL.
    """

    instrument_id: str
    granularity: str
    horizon: int
    columns: dict[str, NDArray[Any]]


class _AtEntry(NamedTuple):
    """What the newest entries know of levels, the same for every horizon; m entries."""

    levels: Levels
    considered: ConsideredLevels


class _Near(NamedTuple):
    """The newest candles with their path, windows and levels."""

    candles: Candles
    path: Candles
    windows: Windows
    at_entry: _AtEntry


class EventCounts:
    """Event counts of the windows that are over, of one instrument, granularity and horizon."""

    def __init__(self, tail: TailView, granularity_name: str, horizon: int) -> None:
        """Compute them as a run does, from all that the tail holds."""
        rung = tail.settings.labels.granularity(granularity_name)
        self._burst = BurstParameters(horizon, rung.burst_sample, rung.burst_minimum)
        self._counts = np.empty(0, np.int32)
        ts = tail.rungs[granularity_name].ts
        over = ts[: max(0, len(ts) - horizon)][-rung.burst_sample - horizon :]
        if len(over):
            back = level_reach(tail.settings, granularity_name).back
            market = tail.slice(granularity_name, int(over[0]), int(over[-1]) + 1, back)
            if market is None:
                raise ValueError(
                    f"the tail of {tail.instrument_id} {granularity_name} is shorter than its rows look back"
                )
            found = compute_rows(LEVEL_BREAKS.table, market, horizon, tail.settings.labels).rows["event_count"]
            self._counts = found.cast(pa.int32()).fill_null(NULL_INT).to_numpy().astype(np.int32)

    def bursts(self, over: IntColumn) -> IntColumn:
        """Take in the counts of windows that are over now; event_burst of these and of the open ones after them."""
        known = np.concatenate([self._counts, over])
        is_open = np.full(self._burst.horizon, NULL_INT, np.int32)
        self._counts = known[-self._burst.sample - self._burst.horizon :]
        return event_bursts(np.concatenate([known, is_open]), self._burst)


def newest_rows(tail: TailView, granularity_name: str, added: int, counts: dict[int, EventCounts]) -> list[NewestRows]:
    """Rows that the `added` newest candles of a granularity can have changed, of every horizon.

    Args:
        tail: Candles up to the newest.
        granularity_name: A labelled granularity.
        added: Candles that came since the last call, as many as `tail.MOST_ADDED` base candles make or fewer.
        counts: Event counts by horizon as of the last call; they are brought up to date.
    """
    settings = tail.settings
    at_entry = _levels_at_entries(tail, granularity_name, 2 * max(settings.horizons) + added)
    return [_rows_of_horizon(tail, granularity_name, horizon, added, counts[horizon], at_entry) for horizon in counts]


def _levels_at_entries(tail: TailView, granularity_name: str, entries: int) -> _AtEntry:
    labels = tail.settings.labels
    candles = newest(tail.rungs[granularity_name], entries + level_reach(tail.settings, granularity_name).back)
    atr = average_true_range(candles, labels.atr_period)
    history = level_history(candles, atr, labels, granularity_name)
    first = max(0, len(candles.ts) - entries)
    considered = considered_levels(
        candles,
        _known_at_entry(candles, atr),
        history.levels,
        history.intervals,
        Consideration(labels.considered_atr, labels.merge_atr, labels.most_considered),
        first,
    )
    return _AtEntry(history.levels, _newest_entries(considered, len(candles.ts) - first))


def _known_at_entry(candles: Candles, atr: NDArray[np.float64]) -> Windows:
    """Windows of which only what is known at entry is set: nothing else is read when levels are chosen."""
    count = len(candles.ts)
    return Windows(
        candles.close_ts,
        candles.close,
        atr,
        np.full(count, NULL_INT, np.int64),
        np.full(count, np.nan),
        np.zeros(count, np.int32),
        np.zeros(count, np.float64),
        np.zeros(count, np.int8),
    )


def _newest_entries(considered: ConsideredLevels, count: int) -> ConsideredLevels:
    offsets = considered.offsets[-count - 1 :]
    kept = slice(int(offsets[0]), int(offsets[-1]))
    return ConsideredLevels(
        offsets - offsets[0],
        considered.level[kept],
        considered.is_support[kept],
        considered.nearest_price[-count:],
        considered.nearest_role[-count:],
    )


def _rows_of_horizon(
    tail: TailView, granularity_name: str, horizon: int, added: int, counts: EventCounts, at_entry: _AtEntry
) -> NewestRows:
    labels = tail.settings.labels
    rung = labels.granularity(granularity_name)
    sample = newest(tail.rungs[granularity_name], rung.quantile_sample + 2 * horizon + added + labels.atr_period)
    sample_path = tail.path(granularity_name, sample)
    windows = path_windows(sample, sample_path, window_parameters(labels, granularity_name, horizon))
    decile = ReturnParameters(
        horizon, labels.flat_return, labels.clip_atr, rung.quantile_sample, min(100, rung.quantile_sample // 2)
    )
    columns: dict[str, NDArray[Any]] = {"ts": sample.ts, **windows._asdict(), **returns(windows, decile)._asdict()}
    # The other families look no further back than one horizon before the first row that is asked for.
    near = min(2 * horizon + added, len(sample.ts))
    candles = Candles._make(column[-near:] for column in sample)
    path = Candles._make(column[int(np.searchsorted(sample_path.ts, candles.close_ts[0])) :] for column in sample_path)
    inputs = _Near(
        candles,
        path,
        Windows._make(column[-near:] for column in windows),
        _AtEntry(at_entry.levels, _newest_entries(at_entry.considered, near)),
    )
    columns |= _families(inputs, labels, granularity_name, horizon)
    over = columns["event_count"][: near - horizon][-added:] if near > horizon else columns["event_count"][:0]
    columns["event_burst"] = counts.bursts(over)
    changed = min(horizon + added, near)
    rows = {name: column[-changed:] for name, column in columns.items()}
    return NewestRows(tail.instrument_id, granularity_name, horizon, rows)


def _families(inputs: _Near, labels: LabelSettings, granularity_name: str, horizon: int) -> dict[str, NDArray[Any]]:
    """Columns of the families that need no reference sample; event_burst lacks its own."""
    candles, path, windows, (levels, considered) = inputs
    rung = labels.granularity(granularity_name)
    widths = LevelBarrierWidths(labels.level_barrier_atr, labels.level_ahead_atr, labels.level_margin_atr)
    adjusted = level_barriers(path, windows, levels, considered, widths)
    touches = level_touches(path, windows, levels, considered)
    burst = BurstParameters(horizon, rung.burst_sample, rung.burst_minimum)
    return {
        **barriers(path, windows, BarrierWidth(*parse_width(labels.barrier_width)))._asdict(),
        **adjusted._asdict(),
        **excursions(path, windows, labels.profit_factor_cap)._asdict(),
        **volatility(candles, path, windows, horizon)._asdict(),
        **path_shape(path, windows, labels.end_extremum_gap_cap)._asdict(),
        **touches._asdict(),
        **level_breaks(path, windows, levels, considered, touches, burst)._asdict(),
        **sample_weights(candles, path, windows, adjusted, WeightParameters(horizon, rung.gap_limit_s))._asdict(),
    }
