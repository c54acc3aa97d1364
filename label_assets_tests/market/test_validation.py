"""Candle rules, one by one."""

import numpy as np
import pytest

from label_assets.kernels.arrays import Candles
from label_assets.market import validation
from label_assets.market.calendar import END_TS, FIRST_TS, SessionCalendar
from label_assets.market.validation import (
    REASONS,
    CandleColumns,
    reason_code,
    reason_codes,
    reason_of,
    rejection_detail,
)
from label_assets_tests.market.times import utc

CALENDAR = SessionCalendar("17:00 America/New_York")
TS = int(utc("2024-01-02 22:00")[0])
NOW = TS + 900
GOOD = {
    "ts": TS,
    "stamp": True,
    "fraction": False,
    "open": 1.2,
    "high": 1.3,
    "low": 1.1,
    "close": 1.25,
    "volume": 3.0,
    "fault": 0,
}
NAN, INF = float("nan"), float("inf")


def _columns(*rows: dict[str, object]) -> CandleColumns:
    table = [GOOD | row for row in rows]
    return CandleColumns._make(np.array([row[name] for row in table]) for name in GOOD)


def _reason(row: dict[str, object], granularity: str = "M15", now: int = NOW) -> tuple[str | None, str]:
    columns = _columns(row)
    reason = reason_of(int(reason_codes(columns, granularity, CALENDAR, now)[0]))
    return reason, rejection_detail(columns, 0, reason, CALENDAR, granularity) if reason else ""


@pytest.mark.parametrize(
    ("row", "reason", "detail"),
    [
        ({}, None, ""),
        ({"volume": 0.0}, None, ""),
        ({"open": 1.1, "high": 1.1, "close": 1.1}, None, ""),  # a flat candle is a candle
        ({"stamp": False, "ts": -(2**62)}, "missing_stamp", "no stamp"),
        ({"ts": FIRST_TS - 900}, "stamp_out_of_range", "stamp 1989-12-31T23:45:00Z outside 1990 to 2037"),
        ({"ts": END_TS}, "stamp_out_of_range", "stamp 2038-01-01T00:00:00Z outside 1990 to 2037"),
        ({"ts": 2**60}, "stamp_out_of_range", f"stamp {2**60} s since 1970 outside 1990 to 2037"),
        (
            {"ts": TS - 2},
            "misaligned_stamp",
            "stamp 2024-01-02T21:59:58Z, 898 s after the M15 open 2024-01-02T21:45:00Z",
        ),
        ({"fraction": True}, "misaligned_stamp", "stamp 2024-01-02T22:00:00Z plus a fraction of a second"),
        ({"ts": TS + 900}, "unfinished", "closes at 2024-01-02T22:30:00Z"),
        ({"open": NAN}, "non_finite_price", "open missing"),
        ({"high": INF, "low": -INF}, "non_finite_price", "high inf, low -inf"),
        ({"low": 0.0}, "non_positive_price", "low 0.0"),
        ({"open": -1.0, "low": -2.0}, "non_positive_price", "open -1.0, low -2.0"),
        ({"high": 1.22}, "ohlc_violation", "high 1.22 < close 1.25"),
        ({"low": 1.22}, "ohlc_violation", "low 1.22 > open 1.2"),
        ({"high": 1.1, "low": 1.2}, "ohlc_violation", "high 1.1 < open 1.2, high 1.1 < low 1.2, high 1.1 < close 1.25"),
        ({"volume": -1.0}, "bad_volume", "volume -1.0"),
        ({"volume": NAN}, "bad_volume", "volume missing"),
        ({"volume": INF}, "bad_volume", "volume inf"),
        # Of several reasons the first of REASONS.
        ({"ts": TS + 900, "open": NAN}, "unfinished", "closes at 2024-01-02T22:30:00Z"),
        ({"low": -1.0, "high": 0.5, "volume": -1.0}, "non_positive_price", "low -1.0"),
    ],
)
def test_each_rule(row: dict[str, object], reason: str | None, detail: str) -> None:
    assert _reason(row) == (reason, detail)


def test_a_candle_that_closes_now_is_finished() -> None:
    assert _reason({}, now=TS + 900) == (None, "")
    assert _reason({}, now=TS + 899)[0] == "unfinished"


def test_what_a_reader_found_wrong_comes_before_all_rules() -> None:
    columns = _columns({"fault": reason_code("missing_hour"), "open": NAN})
    assert reason_of(int(reason_codes(columns, "M15", CALENDAR, NOW)[0])) == "missing_hour"


def test_alignment_follows_the_session() -> None:
    assert _reason({}, "D", now=TS + 86_400) == (None, "")
    assert _reason({"ts": TS + 3_600}, "D", now=TS + 10**6)[0] == "misaligned_stamp"
    assert _reason({"ts": int(utc("2024-07-02 22:00")[0])}, "D", now=END_TS)[0] == "misaligned_stamp"


def test_rows_are_judged_one_by_one() -> None:
    codes = reason_codes(_columns({}, {"open": NAN}, {}, {"stamp": False}), "M15", CALENDAR, NOW)
    assert [reason_of(int(code)) for code in codes] == [None, "non_finite_price", None, "missing_stamp"]
    assert len(reason_codes(CandleColumns._make(c[:0] for c in _columns({})), "W", CALENDAR, NOW)) == 0


def test_each_reason_has_one_sentence() -> None:
    constants = {value for name, value in vars(validation).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(REASONS)
    for text in REASONS.values():
        assert text.endswith(".")
        assert text.count(". ") == 0


def test_rules_of_stored_candles() -> None:
    ts = TS + 900 * np.array([0, 1, 1, 3, 2])
    ones = np.ones(5)
    high = np.array([1.0, 2.0, 0.9, NAN, INF])
    candles = Candles(ts, ts + 900, ones, high, ones, ones, ones)
    assert validation.breaks_ohlc(candles).tolist() == [False, False, True, True, True]
    assert validation.breaks_ohlc(candles._replace(high=ones, low=-ones)).all()
    assert not validation.breaks_ohlc(candles._replace(high=ones)).any()
    stamps = np.array([TS, TS + 1, 0, 2**60, TS + 900])
    assert validation.is_misaligned(stamps, "M15", CALENDAR).tolist() == [False, True, True, True, False]
    assert validation.opens_too_early(ts, ts + 900).tolist() == [False, False, True, False, True]
    assert validation.opens_too_early(ts[:2], ts[:2] + 901).tolist() == [False, True]
    assert validation.repeats_stamp(ts).tolist() == [False, False, True, False, False]
    empty = Candles._make(column[:0] for column in candles)
    assert validation.breaks_ohlc(empty).shape == validation.repeats_stamp(empty.ts).shape == (0,)
    assert validation.is_misaligned(empty.ts, "D", CALENDAR).shape == (0,)
    assert validation.opens_too_early(empty.ts, empty.close_ts).shape == (0,)
