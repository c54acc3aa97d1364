"""Labels of the rows that new candles of a granularity can have changed: the same kernels as a run's, on short slices.

With n the newest candle, k of them new and a horizon H, those are rows n−H−k+1 … n: all older windows are over, and
nothing after its horizon end enters a row. They need levels of one lifetime, and the returns and event counts of the
reference samples of return_quantile and event_burst, which are final once a window is over and so are kept.

Belongs here: which slices suffice. Does not belong here: formulas (`kernels`), how they are called without Python
between them (`live.fused`), their wiring for runs (`compute.families`), with whose rows these are compared in tests.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.families.level_breaks import LEVEL_BREAKS
from label_assets.compute.families import (
    barrier_width,
    compute_rows,
    level_barrier_widths,
    return_parameters,
    window_parameters,
)
from label_assets.compute.levels import consideration, level_parameters
from label_assets.compute.reach import level_reach
from label_assets.kernels.arrays import NULL_INT, FloatArray, IntColumn
from label_assets.kernels.level_breaks import BurstParameters, event_bursts
from label_assets.kernels.returns import returns
from label_assets.kernels.sample_weights import WeightParameters
from label_assets.kernels.windows import path_windows
from label_assets.live.fused import AtEntries, RowParameters, at_entries, newest_columns
from label_assets.live.tail import TailView, newest
from label_assets.settings import Settings


class NewestRows(NamedTuple):
    """Rows of `labels` of one instrument, granularity and horizon, in time order.

    Attributes:
        instrument_id: The instrument.
        granularity: The granularity.
        horizon: The horizon [candles].
        columns: `ts` and the columns of path windows and families; NaN and NULL_INT are NULL. The same candles for
            every horizon of the granularity.
        changed: So many of the newest can have changed; those before are as they were.
    """

    instrument_id: str
    granularity: str
    horizon: int
    columns: dict[str, NDArray[Any]]
    changed: int

    def after(self, earlier: "NewestRows") -> "NewestRows":
        """These, and those before them that were made earlier."""
        count = int(np.searchsorted(earlier.columns["ts"], self.columns["ts"][0]))
        columns = {
            name: np.concatenate([earlier.columns[name][:count], column]) for name, column in self.columns.items()
        }
        return self._replace(columns=columns, changed=count + self.changed)


class _Over:
    """What the windows that are over add to reference samples, of one instrument, granularity and horizon.

    Attributes:
        returns: forward_return of the last of them.
        event_counts: event_count of the last of them.
    """

    def __init__(self, tail: TailView, granularity_name: str, horizon: int) -> None:
        """Compute them as a run does, from all that the tail holds."""
        settings = tail.settings
        rung = settings.labels.granularity(granularity_name)
        longest = max(settings.horizons)  # rows of every horizon are those of the longest
        self._most_returns = rung.quantile_sample + longest
        self._most_counts = rung.burst_sample + longest
        self._burst = BurstParameters(horizon, rung.burst_sample, rung.burst_minimum)
        self.returns: FloatArray = np.empty(0)
        self.event_counts: IntColumn = np.empty(0, np.int32)
        candles = tail.rungs[granularity_name]
        count = len(candles.ts) - horizon
        if count <= 0:
            return
        parameters = window_parameters(settings.labels, granularity_name, horizon)
        recent = newest(candles, self._most_returns + horizon + settings.labels.atr_period)
        windows = path_windows(recent, tail.path(granularity_name, recent), parameters)
        forward = returns(windows, return_parameters(settings.labels, granularity_name, horizon)).forward_return
        self.returns = forward[:-horizon][-self._most_returns :]
        over = candles.ts[:count][-self._most_counts :]
        back = level_reach(settings, granularity_name).back
        market = tail.slice(granularity_name, int(over[0]), int(over[-1]) + 1, back)
        if market is None:
            raise ValueError(f"the tail of {tail.instrument_id} {granularity_name} is shorter than its rows look back")
        found = compute_rows(LEVEL_BREAKS.table, market, horizon, settings.labels).rows["event_count"]
        self.event_counts = found.cast(pa.int32()).fill_null(NULL_INT).to_numpy().astype(np.int32)

    def take(self, forward_returns: FloatArray, event_counts: IntColumn) -> IntColumn:
        """Take in windows that are over now; event_burst of these and of the open ones after them."""
        known = np.concatenate([self.event_counts, event_counts])
        is_open = np.full(self._burst.horizon, NULL_INT, np.int32)
        self.event_counts = known[-self._most_counts :]
        self.returns = np.concatenate([self.returns, forward_returns])[-self._most_returns :]
        return event_bursts(np.concatenate([known, is_open]), self._burst)


class RowMaker:
    """Makes the newest rows of one instrument and granularity, of every horizon. For one thread."""

    def __init__(self, tail: TailView, granularity_name: str) -> None:
        """Read the settings, and take in what all that the tail holds adds to reference samples."""
        settings = tail.settings
        self._granularity = granularity_name
        self._level_parameters = level_parameters(settings.labels, granularity_name)
        self._consideration = consideration(settings.labels)
        self._level_back = level_reach(settings, granularity_name).back
        self._atr_period = settings.labels.atr_period
        self._longest = max(settings.horizons)
        self._of_horizon = {
            horizon: (_row_parameters(settings, granularity_name, horizon), _Over(tail, granularity_name, horizon))
            for horizon in settings.horizons
        }

    def rows(self, tail: TailView, added: int) -> list[NewestRows]:
        """Rows that the newest candles can have changed, of every horizon.

        Args:
            tail: Candles up to the newest, and one at least.
            added: Candles that came since the last call, as many as `tail.MOST_ADDED` base candles make or fewer.
        """
        # ATR looks so far back; levels and every other family look no further than one horizon before the first row.
        count = 2 * self._longest + added
        known = at_entries(
            newest(tail.rungs[self._granularity], count + self._level_back),
            *(self._atr_period, self._level_parameters, self._consideration),
            count + self._atr_period,
        )
        return [self._rows_of_horizon(tail, horizon, added, known) for horizon in self._of_horizon]

    def _rows_of_horizon(self, tail: TailView, horizon: int, added: int, known: AtEntries) -> NewestRows:
        parameters, over = self._of_horizon[horizon]
        candles = newest(tail.rungs[self._granularity], horizon + self._longest + added + self._atr_period)
        changed = min(horizon + added, len(candles.ts))
        path = tail.path(self._granularity, candles)
        made = newest_columns(candles, path, known, over.returns, changed, parameters)
        columns: dict[str, NDArray[Any]] = {"ts": candles.ts}
        for family in made:
            columns |= family._asdict()
        ended = slice(max(0, len(candles.ts) - horizon - added), max(0, len(candles.ts) - horizon))
        bursts = over.take(columns["forward_return"][ended], columns["event_count"][ended])
        kept = min(self._longest + added, len(candles.ts))
        rows = {name: column[-kept:] for name, column in columns.items()}
        return NewestRows(
            tail.instrument_id, self._granularity, horizon, rows | {"event_burst": bursts[-kept:]}, changed
        )


def _row_parameters(settings: Settings, granularity_name: str, horizon: int) -> RowParameters:
    """Numbers in the types that compiled code is specialised for."""
    labels = settings.labels
    rung = labels.granularity(granularity_name)
    returned = return_parameters(labels, granularity_name, horizon)
    return RowParameters(
        window_parameters(labels, granularity_name, horizon),
        returned._replace(quantile_minimum=math.ceil(returned.quantile_minimum)),
        barrier_width(labels),
        level_barrier_widths(labels),
        WeightParameters(horizon, rung.gap_limit_s),
        (labels.profit_factor_cap, labels.end_extremum_gap_cap),
    )
