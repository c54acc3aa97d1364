"""Levels of a slice of candles, as rows of the two tables and as what families need.

Belongs here: parameters from settings, rows, which rows a run of months owns. Does not belong here: how a level is
found and dies (`kernels.levels`), which levels an entry considers (`kernels.active_levels`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.columns import Table
from label_assets.catalog.families.levels import LEVEL_EVENTS, LEVEL_INTERVALS
from label_assets.compute import reach
from label_assets.compute.inputs import MarketReader, MarketSlice
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.active_levels import Consideration, ConsideredLevels, considered_levels
from label_assets.kernels.arrays import Candles, FloatArray
from label_assets.kernels.atr import average_true_range
from label_assets.kernels.levels import LevelEvents, LevelIntervals, LevelParameters, Levels, levels
from label_assets.kernels.windows import Windows
from label_assets.settings import LabelSettings, Settings, parse_level_widths
from label_assets.warehouse.upsert import Scope


class LevelHistory(NamedTuple):
    """Everything that happened to the levels of a slice of candles."""

    levels: Levels
    events: LevelEvents
    intervals: LevelIntervals


class OwnedTable(NamedTuple):
    """Rows of one table and the scope that holds exactly them."""

    table: Table
    scope: Scope
    rows: pa.Table


def level_history(candles: Candles, atr: FloatArray, labels: LabelSettings, granularity_name: str) -> LevelHistory:
    """Levels of a slice of candles with their events and intervals."""
    return LevelHistory(*levels(candles, atr, level_parameters(labels, granularity_name)))


def level_parameters(labels: LabelSettings, granularity_name: str) -> LevelParameters:
    """What a level is, of one granularity."""
    (touch_atr, touch_share), (break_atr, break_share) = parse_level_widths(labels.level_widths)
    return LevelParameters(
        lifetime=labels.granularity(granularity_name).level_lifetime,
        span=labels.level_span,
        touch_atr=touch_atr,
        touch_share=touch_share,
        break_atr=break_atr,
        break_share=break_share,
        flip_deadline=labels.flip_deadline,
    )


def consideration(labels: LabelSettings) -> Consideration:
    """Which levels an entry considers."""
    return Consideration(labels.considered_atr, labels.merge_atr, labels.most_considered)


class LevelsAroundEntries(NamedTuple):
    """Levels of a slice and which of them each entry considers."""

    levels: Levels
    considered: ConsideredLevels


def levels_around_entries(market: MarketSlice, windows: Windows, labels: LabelSettings) -> LevelsAroundEntries:
    """Levels of a slice and which of them each entry considers; the same for every horizon, so kept with the slice.

    Args:
        market: Candles with look-back.
        windows: Windows of any horizon: only what is known at entry is read.
        labels: Numbers of the definitions.
    """

    def make() -> LevelsAroundEntries:
        history = level_history(market.candles, windows.atr, labels, market.granularity)
        considered = considered_levels(
            market.candles, windows, history.levels, history.intervals, consideration(labels)
        )
        return LevelsAroundEntries(history.levels, considered)

    return market.made_once("levels around entries", labels, make)


def level_ids(instrument_id: str, granularity_name: str, candles: Candles, found: Levels) -> list[str]:
    """Identifier of each level."""
    return [
        f"{instrument_id}:{granularity_name}:{ts}:{'S' if is_support else 'R'}"
        for ts, is_support in zip(candles.ts[found.pivot].tolist(), found.is_support.tolist(), strict=True)
    ]


def _with_ids(table: Table, rows: pa.Table, ids: Sequence[str], level: np.ndarray) -> pa.Table:
    place = rows.schema.get_field_index("level_id")
    return rows.set_column(
        place, table.wire_schema().field("level_id"), pa.array(ids, pa.string()).take(pa.array(level))
    )


def owned_levels(
    reader: MarketReader, settings: Settings, instrument_id: str, granularity_name: str, time_range: tuple[int, int]
) -> list[OwnedTable]:
    """Rows of `level_events` and `level_intervals` of one granularity that a range of months owns.

    Events that happen in the range. Intervals of levels whose pivot lies in the range, and those of every older level
    that may still live in it: candles of the range close them.

    Args:
        reader: Where candles are.
        settings: The settings.
        instrument_id: The instrument.
        granularity_name: A labelled granularity.
        time_range: Start and end [epoch s], end not included.

    Returns:
        Both tables with their scopes.
    """
    candles = reader.level_candles(instrument_id, granularity_name, *time_range)
    return owned_levels_of(candles, settings, instrument_id, granularity_name, time_range)


def owned_levels_of(
    candles: Candles, settings: Settings, instrument_id: str, granularity_name: str, time_range: tuple[int, int]
) -> list[OwnedTable]:
    """Rows of `owned_levels` from candles at hand.

    Args:
        candles: Candles of the granularity: those that open in the range, one more than `level_reach` before and as
            many as it says after it, or all there are.
        settings: The settings.
        instrument_id: The instrument.
        granularity_name: A labelled granularity.
        time_range: Start and end [epoch s], end not included.

    Returns:
        Both tables with their scopes.
    """
    start_ts, end_ts = time_range
    around = reach.level_reach(settings, granularity_name)
    before_confirmation = around.back - settings.labels.granularity(granularity_name).level_lifetime
    atr = average_true_range(candles, settings.labels.atr_period)
    history = level_history(candles, atr, settings.labels, granularity_name)
    older = int(np.searchsorted(candles.ts, start_ts))
    # The first pivot of the slice whose confirmation has all candles that enter its ATR; at the beginning of the
    # history the slice holds all there is.
    first_whole = before_confirmation - settings.labels.level_span if older > around.back else 0
    first_ts = min(start_ts, int(candles.ts[first_whole])) if len(candles.ts) else start_ts
    ids = level_ids(instrument_id, granularity_name, candles, history.levels)
    constants = {"instrument_id": instrument_id, "granularity": granularity_name, "level_id": ""}
    return [
        _events(constants, candles, history, ids, Scope(instrument_id, start_ts, end_ts, granularity_name)),
        _intervals(constants, candles, history, ids, Scope(instrument_id, first_ts, end_ts, granularity_name)),
    ]


def _events(
    constants: Mapping[str, str | int], candles: Candles, history: LevelHistory, ids: Sequence[str], scope: Scope
) -> OwnedTable:
    events = history.events
    inside = (events.ts >= scope.start_ts) & (events.ts < scope.end_ts)
    arrays: dict[str, NDArray[Any]] = {
        "ts": events.ts,
        "event_type": events.event_type,
        "price": history.levels.price[events.level],
        **{name: getattr(candles, name)[events.candle] for name in ("open", "high", "low", "close")},
        "penetration": events.penetration,
    }
    rows = rows_from_arrays(LEVEL_EVENTS, constants, arrays, inside)
    return OwnedTable(LEVEL_EVENTS, scope, _with_ids(LEVEL_EVENTS, rows, ids, events.level[inside]))


def _intervals(
    constants: Mapping[str, str | int], candles: Candles, history: LevelHistory, ids: Sequence[str], scope: Scope
) -> OwnedTable:
    found, intervals = history.levels, history.intervals
    pivot_ts = candles.ts[found.pivot][intervals.level]
    inside = (pivot_ts >= scope.start_ts) & (pivot_ts < scope.end_ts)
    arrays: dict[str, NDArray[Any]] = {
        "ts": pivot_ts,
        "valid_from": intervals.valid_from,
        "role": 1 - intervals.is_support.astype(np.int64),
        "price": found.price[intervals.level],
        "touch_width": found.touch_width[intervals.level],
        "break_width": found.break_width[intervals.level],
        "created_at": found.created_at[intervals.level],
        "valid_to": intervals.valid_to,
        "touches_before": intervals.touches_before,
    }
    rows = rows_from_arrays(LEVEL_INTERVALS, constants, arrays, inside)
    return OwnedTable(LEVEL_INTERVALS, scope, _with_ids(LEVEL_INTERVALS, rows, ids, intervals.level[inside]))
