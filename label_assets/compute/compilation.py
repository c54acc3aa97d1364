"""Compile every kernel ahead of its first use.

numba compiles a kernel at its first call and keeps the result beside the source. That takes a minute for all of them
together, which belongs to the installation and not to somebody's first run.

Belongs here: calling each kernel once with what runs give it. Does not belong here: what kernels compute.
"""

import numpy as np

from label_assets.compute.families import COMPUTED_TABLES, compute_rows
from label_assets.compute.inputs import MarketSlice
from label_assets.kernels.arrays import Candles
from label_assets.settings import LabelSettings

HOUR_S = 3_600


def compile_kernels() -> None:
    """Run every family on a few invented candles, so that all kernels are compiled and cached."""
    market = MarketSlice("COMPILE", "H1", 0, 2**31, zigzag(64, HOUR_S), zigzag(256, HOUR_S // 4))
    for table in COMPUTED_TABLES:
        compute_rows(table, market, 6, LabelSettings())


def zigzag(count: int, length_s: int) -> Candles:
    """Invented candles of one length [s] without gaps."""
    ts = 1_700_000_000 // HOUR_S * HOUR_S + np.arange(count, dtype=np.int64) * length_s
    middle = 100.0 + np.abs(np.arange(count) % 16 - 8.0)
    return Candles(ts, ts + length_s, middle, middle + 1.0, middle - 1.0, middle + 0.5, np.ones(count))
