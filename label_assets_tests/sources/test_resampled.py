"""Sources finer than the base: which rows make which base candle, whatever the cut into windows."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import resample
from label_assets.sources.batch import CandleBatch
from label_assets.sources.raw_rows import RawRows
from label_assets.sources.resampled import BasePart, base_part
from label_assets.sources.rows import FileRows, Window, assemble, file_rows
from label_assets_tests.market.times import utc

CALENDAR = SessionCalendar("17:00 America/New_York")
T0 = int(utc("2024-01-31 20:00")[0])
LATE = 2**40


def _file(minutes: list[int], close: float = 1.15, modified_ns: int = 1, bad: frozenset[int] = frozenset()) -> FileRows:
    """Rows of M1 at T0 + minutes; those in `bad` have a negative price."""
    count = len(minutes)
    ones = np.ones(count)
    prices = [1.1 * ones, 1.2 * ones, np.where(np.isin(minutes, list(bad)), -1.0, 1.0), close * ones]
    raw = RawRows(
        line=np.arange(1, count + 1),
        stamp_s=T0 + 60 * np.array(minutes, np.int64),
        has_stamp=np.ones(count, np.bool_),
        has_fraction=np.zeros(count, np.bool_),
        is_utc=True,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=np.arange(1.0, count + 1),
        fault=np.zeros(count, np.int8),
        fault_details={},
        stamp_texts=lambda lines: [None] * len(lines),
    )
    return file_rows("m1.csv", modified_ns, raw, None)


def _part(files: list[FileRows], window: Window, base: str = "M15", granularity: str = "M1") -> BasePart:
    def read(asked: Window) -> CandleBatch:
        return assemble("EURUSD", granularity, files, asked, CALENDAR)

    return base_part(read, granularity, base, window, CALENDAR)


def test_rows_of_a_base_candle_and_their_account() -> None:
    part = _part([_file([0, 1, 14, 15, 29, 31])], Window(T0, LATE, LATE))
    batch = part.batch
    assert batch.candles.ts.tolist() == [T0, T0 + 900]  # minute 31 says that the second one is finished
    assert part.source_rows.tolist() == [3, 2]
    assert batch.candles.volume.tolist() == [6.0, 9.0]
    assert (batch.rows_in, batch.kept, batch.dropped) == (6, 5, {"unfinished_bucket": 1})
    assert batch.granularity == "M15"
    assert batch.spans == ((T0, T0 + 1_799),)  # what is stored of the unfinished candle stays


def test_a_bucket_is_finished_by_its_last_minute() -> None:
    assert _part([_file([0, 14])], Window(T0, LATE, LATE)).batch.candles.ts.tolist() == [T0]
    assert _part([_file([0, 13])], Window(T0, LATE, LATE)).batch.candles.ts.tolist() == []


def test_the_source_itself_knows_whether_it_goes_on_after_the_window() -> None:
    files = [_file([0, 3, 200])]
    assert _part(files, Window(T0, T0 + 900, LATE)).batch.candles.ts.tolist() == [T0]


def test_rejected_rows_are_filed_under_their_base_candle() -> None:
    batch = _part([_file([0, 17, 18, 31], bad=frozenset({17, 18}))], Window(T0, LATE, LATE)).batch
    assert [(row.ts, row.line, row.granularity) for row in batch.rejected] == [
        (T0 + 900, 2, "M1"),
        (T0 + 900, 3, "M1"),
    ]
    assert batch.candles.ts.tolist() == [T0]


def test_windows_that_cut_a_base_candle_give_it_to_the_one_it_opens_in() -> None:
    """A daily base: the month turns at 00:00 UTC, in the middle of a session that opens at 22:00."""
    february = int(utc("2024-02-01 00:00")[0])
    hours = list(range(0, 60 * 60, 60))
    files = [_file(hours)]
    january = _part(files, Window(0, february, LATE), base="D", granularity="M1")
    after = _part(files, Window(february, LATE, LATE), base="D", granularity="M1")
    assert january.batch.candles.ts.tolist() == [int(utc("2024-01-30 22:00")[0]), int(utc("2024-01-31 22:00")[0])]
    assert january.source_rows.tolist() == [2, 24]
    assert after.batch.candles.ts.tolist() == [int(utc("2024-02-01 22:00")[0])]
    assert january.batch.rows_in + after.batch.rows_in == len(hours)


@given(
    minutes=st.lists(st.integers(0, 200), min_size=1, max_size=80, unique=True).map(sorted),
    bad=st.frozensets(st.integers(0, 200), max_size=5),
    cuts=st.lists(st.integers(-2, 16), max_size=4, unique=True).map(sorted),
)
@pytest.mark.parametrize("base", ["M5", "M15", "H1"])
def test_any_cut_gives_the_candles_of_the_whole(
    base: str, minutes: list[int], bad: frozenset[int], cuts: list[int]
) -> None:
    files = [_file(minutes, bad=bad)]
    whole = _part(files, Window(0, LATE, LATE), base).batch
    borders = [0, *(T0 + 900 * cut for cut in cuts), LATE]
    parts = [_part(files, Window(start, end, LATE), base).batch for start, end in pairwise(borders)]
    for name in Candles._fields:
        together = np.concatenate([getattr(part.candles, name) for part in parts])
        assert together.tolist() == getattr(whole.candles, name).tolist()
    assert sum(part.rows_in for part in parts) == whole.rows_in == len(minutes)
    assert sum(part.kept for part in parts) == whole.kept
    assert [row for part in parts for row in part.rejected] == list(whole.rejected)


@given(minutes=st.lists(st.integers(0, 200), min_size=1, max_size=80, unique=True).map(sorted))
def test_finished_candles_are_those_of_resampling(minutes: list[int]) -> None:
    files = [_file(minutes)]
    fine = assemble("EURUSD", "M1", files, Window(0, LATE, LATE), CALENDAR).candles
    made = _part(files, Window(0, LATE, LATE)).batch.candles
    for left, right in zip(made, resample(fine, "M15", CALENDAR), strict=True):
        assert left.tolist() == right.tolist()


def test_a_source_of_the_base_granularity_is_passed_on() -> None:
    part = _part([_file([0, 1])], Window(0, LATE, LATE), base="M1")
    assert part.batch.candles.ts.tolist() == [T0, T0 + 60]
    assert (part.batch.granularity, part.batch.kept, part.source_rows.tolist()) == ("M1", 2, [1, 1])
