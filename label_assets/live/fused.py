"""Every kernel of the newest rows behind two compiled calls, without Python between them.

A run calls one checked function a family for thousands of rows. A candle changes a dozen rows, of which the kernels
take a tenth of the time that the calls, checks and copies around them take; so here compiled code calls the kernels of
`kernels` itself. What it is given comes from a tail, whose candles are in order and were held against every rule.

Belongs here: which kernel is given what. Does not belong here: formulas (`kernels`), which slices suffice
(`live.newest`).
"""

from typing import Any, NamedTuple

import numpy as np

from label_assets.kernels import (
    active_levels,
    atr,
    barriers,
    excursions,
    level_barriers,
    level_breaks,
    level_touches,
    levels,
    path_shape,
    returns,
    sample_weights,
    spans,
    volatility,
    windows,
)
from label_assets.kernels.active_levels import Consideration, ConsideredLevels
from label_assets.kernels.arrays import NULL_INT, Candles, FloatArray
from label_assets.kernels.barriers import Barriers, BarrierWidth
from label_assets.kernels.caching import njit
from label_assets.kernels.excursions import Excursions
from label_assets.kernels.level_barriers import LevelBarriers, LevelBarrierWidths
from label_assets.kernels.level_breaks import LevelBreaks
from label_assets.kernels.level_touches import LevelTouches
from label_assets.kernels.levels import LevelParameters, Levels
from label_assets.kernels.path_shape import PathShape
from label_assets.kernels.returns import ReturnParameters, Returns
from label_assets.kernels.sample_weights import SampleWeights, WeightParameters
from label_assets.kernels.volatility import Volatility
from label_assets.kernels.windows import WindowParameters, Windows


class AtEntries(NamedTuple):
    """What the newest entries know of levels, the same for every horizon.

    Attributes:
        levels: Levels.
        considered: Those that each of the entries considers.
    """

    levels: Levels
    considered: ConsideredLevels


class RowParameters(NamedTuple):
    """Settings of one granularity and horizon, by kernel.

    Attributes:
        window: Of `path_windows`.
        returned: Of `returns`.
        width: Of `barriers`.
        level_widths: Of `level_barriers`.
        weight: Of `sample_weights`.
        caps: Bounds of profit_factor and end_extremum_gap.
    """

    window: WindowParameters
    returned: ReturnParameters
    width: BarrierWidth
    level_widths: LevelBarrierWidths
    weight: WeightParameters
    caps: tuple[float, float]


class RowColumns(NamedTuple):
    """Columns of path windows and of every family; of level_breaks event_burst is not set."""

    windows: Windows
    returns: Returns
    barriers: Barriers
    level_barriers: LevelBarriers
    excursions: Excursions
    volatility: Volatility
    path_shape: PathShape
    level_touches: LevelTouches
    level_breaks: LevelBreaks
    sample_weights: SampleWeights


@njit(cache=True, nogil=True)
def _newest_considered(considered: ConsideredLevels, entries: int) -> ConsideredLevels:
    count = len(considered.nearest_price)
    offsets = considered.offsets[count - entries :]
    return ConsideredLevels(
        offsets - offsets[0],
        considered.level[offsets[0] : offsets[entries]],
        considered.is_support[offsets[0] : offsets[entries]],
        considered.nearest_price[count - entries :],
        considered.nearest_role[count - entries :],
    )


@njit(cache=True, nogil=True, error_model="numpy")
def at_entries(
    candles: Candles, atr_period: int, level: LevelParameters, consideration: Consideration, entries: int
) -> AtEntries:
    """Levels of candles, and those that the last so many entries consider."""
    count = len(candles.ts)
    ranges = atr._true_range(candles.high, candles.low, candles.close)
    mean_range = atr._average(ranges, candles.close, atr_period)
    found = levels._confirmed(candles, mean_range, level)
    log = levels._lives(levels._Bars(candles.high, candles.low, candles.close), found, level)
    intervals = levels._intervals(candles.close_ts, log)
    known = Windows(  # of which nothing else is read when levels are chosen
        candles.close_ts,
        candles.close,
        mean_range,
        np.full(count, NULL_INT, np.int64),
        np.full(count, np.nan),
        np.zeros(count, np.int32),
        np.zeros(count, np.float64),
        np.zeros(count, np.int8),
    )
    first = max(0, count - entries)
    sweep = active_levels._sweep(candles.ts, found, intervals)
    considered = active_levels._kernel(known, found, intervals, sweep, consideration, first)
    return AtEntries(found, _newest_considered(considered, count - first))


@njit(cache=True, nogil=True, error_model="numpy")
def _windows(candles: Candles, path: Candles, parameters: WindowParameters) -> Windows:
    ranges = atr._true_range(candles.high, candles.low, candles.close)
    mean_range = atr._average(ranges, candles.close, parameters.atr_period)
    return windows._kernel(candles, path.ts, path.close_ts, mean_range, parameters)


@njit(cache=True, nogil=True)
def _returns(made: Windows, known: FloatArray, fresh: int, parameters: ReturnParameters) -> Returns:
    """Of the decile only the rows of the windows that are made; the sample are the returns that are known."""
    forward, vol_scaled, bounded, sign, log_return = returns._scaled(made, parameters.flat_return, parameters.clip_atr)
    count = len(forward)
    value = np.concatenate((known, forward[count - fresh :]))
    decile = returns._decile(
        value,
        parameters.horizon,
        parameters.quantile_sample,
        int(parameters.quantile_minimum),
        len(value) - count,
    )
    return Returns(forward, vol_scaled, bounded, sign, decile[len(value) - count :], log_return)


@njit(cache=True, nogil=True, error_model="numpy")
def _volatility(candles: Candles, path_close: Any, made: Windows, start: Any, horizon: int) -> Volatility:
    relative_range = (candles.high - candles.low) / candles.close
    ranges = atr._true_range(candles.high, candles.low, candles.close)
    return volatility._kernel(
        volatility._Ahead(candles.close, relative_range, ranges), path_close, made, start, horizon
    )


@njit(cache=True, nogil=True)
def _weights(
    candles: Candles, path: Candles, made: Windows, start: Any, adjusted: LevelBarriers, parameters: WeightParameters
) -> SampleWeights:
    touches = sample_weights._Touches(adjusted.etb_end_ts, adjusted.etb_upper, adjusted.etb_lower)
    alive = sample_weights._alive(candles, path, made, start, touches, parameters.horizon)
    return sample_weights._kernel(candles, made, adjusted.etb_end_ts, alive, parameters)


@njit(cache=True, nogil=True, error_model="numpy")
def newest_columns(
    candles: Candles, path: Candles, entry: AtEntries, known_returns: FloatArray, fresh: int, parameters: RowParameters
) -> RowColumns:
    """Columns of the rows of some candles; the first `parameters.window.atr_period` have no ATR.

    Args:
        candles: n candles, the last of which are n entries of `entry` or fewer.
        path: Their path bars.
        entry: What entries know of levels.
        known_returns: forward_return of the windows before the last `fresh` rows.
        fresh: Rows whose windows were not over when `known_returns` were made.
        parameters: Settings.
    """
    made = _windows(candles, path, parameters.window)
    returned = _returns(made, known_returns, fresh, parameters.returned)
    start, _impossible = windows._starts(path.ts, made.entry_ts, made.path_bars)
    considered = _newest_considered(entry.considered, len(candles.ts))
    upper, lower, adjusted, baseline = level_barriers._place(made, entry.levels, considered, parameters.level_widths)
    touch = barriers._first_touch(path, made, start, upper, lower)
    adjusted_barriers = level_barriers._labels(touch, made.entry_price, upper, lower, adjusted, baseline)
    around = spans._kernel(path, start, made.path_bars)
    touches = level_touches._kernel(path, made, around, entry.levels, considered)
    return RowColumns(
        made,
        returned,
        barriers._kernel(path, made, start, parameters.width.atr_multiple, parameters.width.price_share),
        adjusted_barriers,
        excursions._kernel(path.high, path.low, made, around, parameters.caps[0]),
        _volatility(candles, path.close, made, start, parameters.weight.horizon),
        path_shape._kernel(path, made, around, parameters.caps[1]),
        touches,
        level_breaks._kernel(path, made, around, entry.levels, considered, touches),
        _weights(candles, path, made, start, adjusted_barriers, parameters.weight),
    )
