"""What a source gave against what is stored: every kind of loss is counted, and nothing else is."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from label_assets.catalog.tables import RAW_CANDLES, REJECTED_CANDLES
from label_assets.compute.accounting import count_unaccounted, fingerprints
from label_assets.compute.candles import rejected_rows
from label_assets.kernels.arrays import Candles
from label_assets.sources.batch import CandleBatch, RejectedCandle

BORDERS = (0, 10, 20, 30)
WHOLE = [(0, 30)]


def rejected(ts: int, line: int, reason: str = "bad_volume") -> RejectedCandle:
    return RejectedCandle("M15", ts, "file", line, None, 1.0, 1.0, 1.0, 1.0, None, reason, "volume missing")


def batch_of(*stamps: int) -> CandleBatch:
    ts = np.array(stamps, np.int64)
    values = [ts + 0.5 + column for column in range(5)]
    bad = (rejected(3, 1), rejected(3, 2), rejected(22, 3))
    return CandleBatch("A", "M15", Candles(ts, ts + 1, *values), bad, {"weekend_filler": 2}, len(ts) + 5)


BATCH = batch_of(1, 2, 11, 12, 21, 29)


def stored(candles: Candles) -> pa.Table:
    names = ("ts", "open", "high", "low", "close", "volume")
    columns = {name: getattr(candles, name) for name in names}
    constants = {"instrument_id": ["A"] * len(candles.ts), "granularity": ["M15"] * len(candles.ts)}
    return pa.table(constants | columns, schema=RAW_CANDLES.wire_schema())


RAW = stored(BATCH.candles)
REJECTED = rejected_rows("A", BATCH.rejected)


def lost(batch: CandleBatch, raw: pa.Table, bad: pa.Table, stretches: list[tuple[int, int]] = WHOLE) -> dict[str, int]:
    found = count_unaccounted(batch, raw, bad, stretches)
    assert len(found.by_stretch) == len(stretches)
    total = sum(found.by_stretch, Counter({"rows_without_account": found.rows}))
    return {kind: count for kind, count in total.items() if count}


def test_nothing_is_lost_where_all_is_there_and_more() -> None:
    assert lost(BATCH, RAW, REJECTED) == {}
    others = stored(batch_of(5, 6, 30, 31).candles)
    more = rejected_rows("A", [rejected(3, 9)])
    both = pa.concat_tables([RAW, others]).sort_by("ts")
    assert lost(BATCH, both, pa.concat_tables([REJECTED, more])) == {}
    assert lost(replace(BATCH, rows_in=14, rows_kept=9), RAW, REJECTED) == {}
    assert lost(CandleBatch("A", "M15", batch_of().candles), RAW, REJECTED) == {}


def test_each_loss_is_counted() -> None:
    assert lost(BATCH, RAW.slice(2), REJECTED) == {"candles_missing": 2}
    assert lost(BATCH, RAW.slice(0, 0), REJECTED) == {"candles_missing": 6}
    assert lost(BATCH, RAW, REJECTED.slice(1)) == {"rejections_missing": 1}
    assert lost(BATCH, RAW, REJECTED_CANDLES.wire_schema().empty_table()) == {"rejections_missing": 3}
    other_reason = rejected_rows("A", [rejected(3, 1, "unfinished"), *BATCH.rejected[1:]])
    assert lost(BATCH, RAW, other_reason) == {"rejections_missing": 1}
    assert lost(replace(BATCH, rows_in=13), RAW, REJECTED) == {"rows_without_account": 2}
    assert lost(replace(BATCH, rows_in=10), RAW, REJECTED) == {"rows_without_account": 1}


@pytest.mark.parametrize("name", [column.name for column in RAW_CANDLES.columns])
def test_each_value_is_compared_to_the_bit(name: str) -> None:
    values = getattr(BATCH.candles, name).copy()
    values[[0, 3]] = np.nextafter(values[[0, 3]], 0)
    assert lost(BATCH, stored(BATCH.candles._replace(**{name: values})), REJECTED) == {"candles_different": 2}


def test_only_the_stretches_are_compared() -> None:
    raw, bad = RAW.slice(0, 0), REJECTED.slice(0, 0)
    assert lost(BATCH, raw, bad, [(0, 10), (20, 29)]) == {"candles_missing": 3, "rejections_missing": 3}
    by_stretch = count_unaccounted(BATCH, raw, bad, [(0, 10), (20, 29)]).by_stretch
    assert [+found for found in by_stretch] == [
        {"candles_missing": 2, "rejections_missing": 2},
        {"candles_missing": 1, "rejections_missing": 1},
    ]
    assert lost(BATCH, raw, bad, [(10, 20)]) == {"candles_missing": 2}
    assert lost(BATCH, raw, bad, []) == {}
    assert lost(replace(BATCH, rows_in=13), raw, bad, []) == {"rows_without_account": 2}


def test_a_fingerprint_is_of_one_stretch_and_of_all_that_is_in_it() -> None:
    before = fingerprints(BATCH, BORDERS)
    assert len(before) == 3
    assert before == fingerprints(batch_of(1, 2, 11, 12, 21, 29), BORDERS)
    assert before[1:] == fingerprints(BATCH, BORDERS[1:])

    def differing(batch: CandleBatch) -> list[int]:
        return [i for i, (a, b) in enumerate(zip(before, fingerprints(batch, BORDERS), strict=True)) if a != b]

    assert differing(batch_of(1, 11, 12, 21, 29)) == [0]
    assert differing(batch_of(1, 2, 11, 12, 21, 28)) == [2]
    volume = BATCH.candles.volume.copy()
    volume[3] += 1
    assert differing(replace(BATCH, candles=BATCH.candles._replace(volume=volume))) == [1]
    assert differing(replace(BATCH, rejected=BATCH.rejected[1:])) == [0]
    assert differing(replace(BATCH, rejected=(*BATCH.rejected[:2], rejected(22, 3, "unfinished")))) == [2]
