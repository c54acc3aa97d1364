"""Whether everything that a source gave is where it should be.

Belongs here: comparing a batch with what is stored, and telling one reading of a source from another. Does not belong
here: where rows go (`compute.candles`), what a check does with a count (`assets.checks`).
"""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from label_assets.catalog.tables import RAW_CANDLES
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import END_TS
from label_assets.sources.batch import CandleBatch

_REJECTION = ("granularity", "ts", "source_file", "line", "reason")


def fingerprints(batch: CandleBatch, borders: Sequence[int]) -> list[str]:
    """One text for each stretch of time that is the same where the source gave the same candles and rejections.

    Args:
        batch: What the source gave.
        borders: Open times that cut the time of the batch into stretches [epoch s], increasing: k of them.

    Returns:
        k − 1 texts; rows outside of the borders enter none.
    """
    candles = batch.candles
    cuts = np.searchsorted(candles.ts, borders)
    rejected_cuts = np.searchsorted(np.array([row.ts for row in batch.rejected], np.int64), borders)
    found = []
    for stretch in range(len(borders) - 1):
        digest = blake2b(digest_size=12)
        for name in ("ts", *(column.name for column in RAW_CANDLES.columns)):
            digest.update(np.ascontiguousarray(getattr(candles, name)[cuts[stretch] : cuts[stretch + 1]]).data)
        for row in batch.rejected[rejected_cuts[stretch] : rejected_cuts[stretch + 1]]:
            digest.update(repr([getattr(row, name) for name in _REJECTION]).encode())
        found.append(digest.hexdigest())
    return found


class Unaccounted(NamedTuple):
    """What a source gave and what is not stored as it should be.

    Attributes:
        rows: Rows in that are neither kept nor rejected nor dropped, or more than there are.
        by_stretch: Of each stretch of time, how many `candles_missing`, `candles_different` and `rejections_missing`.
    """

    rows: int
    by_stretch: list[Counter[str]]


def count_unaccounted(
    batch: CandleBatch, raw: pa.Table, rejected: pa.Table, stretches: Sequence[tuple[int, int]]
) -> Unaccounted:
    """Hold what a source gave against what is stored.

    Rows that are stored and that the source does not have are somebody else's, and nothing is said of them.

    Args:
        batch: What the source gives.
        raw: Rows of `raw_candles` of its instrument, granularity and time, in the wire schema, in time order.
        rejected: Rows of `rejected_candles` of its instrument and time, in the wire schema.
        stretches: Stretches of time [start, end) in which stored rows are compared [epoch s], increasing.
    """
    number = _stretch_of(batch.candles.ts, stretches)
    ours = np.flatnonzero(number >= 0)
    stored_ts = raw["ts"].to_numpy().astype(np.int64)
    place = np.searchsorted(stored_ts, batch.candles.ts[ours])
    is_there = np.append(stored_ts, -1)[place] == batch.candles.ts[ours]
    missing, ours, place = ours[~is_there], ours[is_there], place[is_there]
    differs = np.zeros(len(ours), bool)
    for column in RAW_CANDLES.columns:
        differs |= raw[column.name].to_numpy()[place] != getattr(batch.candles, column.name)[ours]
    stored = set(zip(*(rejected[name].to_pylist() for name in _REJECTION), strict=True))
    is_lost = [tuple(getattr(row, name) for name in _REJECTION) not in stored for row in batch.rejected]
    bad_number = _stretch_of(np.array([row.ts for row in batch.rejected], np.int64), stretches)
    lost = bad_number[np.array(is_lost, bool) & (bad_number >= 0)]
    by_kind = {
        "candles_missing": np.bincount(number[missing], minlength=len(stretches)),
        "candles_different": np.bincount(number[ours[differs]], minlength=len(stretches)),
        "rejections_missing": np.bincount(lost, minlength=len(stretches)),
    }
    return Unaccounted(
        abs(batch.rows_in - batch.kept - len(batch.rejected) - sum(batch.dropped.values())),
        [Counter({kind: int(counts[k]) for kind, counts in by_kind.items()}) for k in range(len(stretches))],
    )


def _stretch_of(ts: IntArray, stretches: Sequence[tuple[int, int]]) -> IntArray:
    """Number of the stretch in which each stamp lies; −1 for none."""
    starts, ends = np.array([*stretches, (END_TS, END_TS)], np.int64).T
    number = np.searchsorted(starts, ts, side="right") - 1
    return np.where((number >= 0) & (ts < ends[number]), number, -1)
