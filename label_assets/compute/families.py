"""Which kernel makes which table, with which settings.

Belongs here: the wiring of kernels to settings, one function a family. Does not belong here: formulas (`kernels`),
columns (`catalog.families`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from label_assets.catalog.columns import Table
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.tables import PATH_WINDOWS
from label_assets.compute.inputs import MarketSlice
from label_assets.compute.levels import levels_around_entries
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.barriers import BarrierWidth, barriers
from label_assets.kernels.excursions import excursions
from label_assets.kernels.level_barriers import LevelBarriers, LevelBarrierWidths, level_barriers
from label_assets.kernels.level_breaks import BurstParameters, level_breaks
from label_assets.kernels.level_touches import LevelTouches, level_touches
from label_assets.kernels.path_shape import path_shape
from label_assets.kernels.returns import ReturnParameters, returns
from label_assets.kernels.sample_weights import WeightParameters, sample_weights
from label_assets.kernels.spans import Spans, path_spans
from label_assets.kernels.volatility import volatility
from label_assets.kernels.windows import OPEN, WindowParameters, Windows, path_windows
from label_assets.settings import LabelSettings, parse_width


class _Columns(dict[str, NDArray[Any]]):
    """Columns of a family that two kernels make, with the face of a named tuple."""

    def _asdict(self) -> dict[str, NDArray[Any]]:
        return self


class _Inputs(NamedTuple):
    """What every family is computed from."""

    market: MarketSlice
    windows: Windows
    horizon: int
    labels: LabelSettings

    @property
    def spans(self) -> Spans:
        """Needed by all families but returns."""
        return self.market.made_once(
            ("spans", self.horizon), self.labels, lambda: path_spans(self.market.path, self.windows)
        )


def _returns(inputs: _Inputs) -> Any:
    return returns(inputs.windows, return_parameters(inputs.labels, inputs.market.granularity, inputs.horizon))


def _barriers(inputs: _Inputs) -> Any:
    fixed = barriers(inputs.market.path, inputs.windows, barrier_width(inputs.labels), inputs.spans)
    return _Columns({**fixed._asdict(), **_level_barriers(inputs)._asdict()})


def _level_barriers(inputs: _Inputs) -> LevelBarriers:
    """Needed by two families."""
    key = ("level barriers", inputs.horizon)
    return inputs.market.made_once(key, inputs.labels, lambda: _made_level_barriers(inputs))


def _made_level_barriers(inputs: _Inputs) -> LevelBarriers:
    around = levels_around_entries(inputs.market, inputs.windows, inputs.labels)
    widths = level_barrier_widths(inputs.labels)
    return level_barriers(inputs.market.path, inputs.windows, around.levels, around.considered, widths, inputs.spans)


def _level_touches(inputs: _Inputs) -> LevelTouches:
    """Needed by two families."""
    around = levels_around_entries(inputs.market, inputs.windows, inputs.labels)
    return inputs.market.made_once(
        ("level touches", inputs.horizon),
        inputs.labels,
        lambda: level_touches(inputs.market.path, inputs.windows, around.levels, around.considered, inputs.spans),
    )


def _level_breaks(inputs: _Inputs) -> Any:
    around = levels_around_entries(inputs.market, inputs.windows, inputs.labels)
    rung = inputs.labels.granularity(inputs.market.granularity)
    burst = BurstParameters(inputs.horizon, rung.burst_sample, rung.burst_minimum)
    touches = _level_touches(inputs)
    return level_breaks(
        inputs.market.path, inputs.windows, around.levels, around.considered, touches, burst, inputs.spans
    )


def _sample_weights(inputs: _Inputs) -> Any:
    gap_limit_s = inputs.labels.granularity(inputs.market.granularity).gap_limit_s
    return sample_weights(
        inputs.market.candles,
        inputs.market.path,
        inputs.windows,
        _level_barriers(inputs),
        WeightParameters(inputs.horizon, gap_limit_s),
        inputs.spans,
    )


def _excursions(inputs: _Inputs) -> Any:
    return excursions(inputs.market.path, inputs.windows, inputs.labels.profit_factor_cap, inputs.spans)


def _volatility(inputs: _Inputs) -> Any:
    return volatility(inputs.market.candles, inputs.market.path, inputs.windows, inputs.horizon, inputs.spans)


def _path_shape(inputs: _Inputs) -> Any:
    return path_shape(inputs.market.path, inputs.windows, inputs.labels.end_extremum_gap_cap, inputs.spans)


_KERNELS: dict[str, Callable[[_Inputs], Any]] = {
    "path_windows": lambda inputs: inputs.windows,
    "returns": _returns,
    "barriers": _barriers,
    "excursions": _excursions,
    "volatility": _volatility,
    "path_shape": _path_shape,
    "level_touches": _level_touches,
    "level_breaks": _level_breaks,
    "sample_weights": _sample_weights,
}

COMPUTED_TABLES: tuple[Table, ...] = (PATH_WINDOWS, *(family.table for family in FAMILIES))
"""Tables with one row for each labelled candle and horizon that a kernel makes."""


def window_parameters(labels: LabelSettings, granularity_name: str, horizon: int) -> WindowParameters:
    """Parameters of the path windows of one granularity and horizon."""
    rung = labels.granularity(granularity_name)
    return WindowParameters(
        horizon=horizon,
        bars_per_bar=rung.bars_per_bar,
        gap_limit_s=rung.gap_limit_s,
        minimum_coverage=labels.minimum_coverage,
        atr_period=labels.atr_period,
    )


def return_parameters(labels: LabelSettings, granularity_name: str, horizon: int) -> ReturnParameters:
    """Parameters of labels 1–5 of one granularity and horizon."""
    sample = labels.granularity(granularity_name).quantile_sample
    return ReturnParameters(
        horizon=horizon,
        flat_return=labels.flat_return,
        clip_atr=labels.clip_atr,
        quantile_sample=sample,
        quantile_minimum=min(100, sample // 2),
    )


def barrier_width(labels: LabelSettings) -> BarrierWidth:
    """Width of the triple barrier."""
    return BarrierWidth(*parse_width(labels.barrier_width))


def level_barrier_widths(labels: LabelSettings) -> LevelBarrierWidths:
    """Widths of the level-adjusted triple barrier."""
    return LevelBarrierWidths(
        barrier_atr=labels.level_barrier_atr,
        ahead_atr=labels.level_ahead_atr,
        margin_atr=labels.level_margin_atr,
    )


class ComputedRows(NamedTuple):
    """Rows of a computed table, and which of them the future will still change.

    Attributes:
        rows: Rows in the wire schema, in time order.
        is_open: For each row whether its window is open.
    """

    rows: pa.Table
    is_open: NDArray[np.bool_]


def compute_rows(table: Table, market: MarketSlice, horizon: int, labels: LabelSettings) -> ComputedRows:
    """Rows of one computed table for the rows of a slice and one horizon.

    Args:
        table: One of `COMPUTED_TABLES`.
        market: Candles with look-back and look-ahead.
        horizon: Horizon [candles].
        labels: Numbers of the definitions.

    Returns:
        One row for each candle that opens inside the slice's range.
    """
    parameters = window_parameters(labels, market.granularity, horizon)
    windows = market.made_once(
        ("windows", horizon), labels, lambda: path_windows(market.candles, market.path, parameters)
    )
    arrays = _KERNELS[table.name](_Inputs(market, windows, horizon, labels))._asdict()
    constants: dict[str, str | int] = {
        "instrument_id": market.instrument_id,
        "granularity": market.granularity,
        "horizon": horizon,
    }
    rows = rows_from_arrays(table, constants, {"ts": market.candles.ts, **arrays}, market.inside)
    return ComputedRows(rows, windows.window_status[market.inside] == OPEN)
