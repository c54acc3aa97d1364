"""Time stamps from text, against the standard library."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_assets.sources.formats.stamps import carries_offset, parse_stamps

ENDS = datetime(1969, 1, 1), datetime(2068, 12, 31)  # noqa: DTZ001 - Hypothesis wants them naive
FORMATS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y.%m.%d %H:%M",
    "%Y%m%d %H%M%S",
    "%d.%m.%Y %H:%M:%S.%f",
    "%d.%m.%Y %H:%M:%S.%f GMT%z",
    "%m/%d/%y %H:%M",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d",
    "%d %b %Y %I:%M %p",
    "%j/%Y",
    "day %d of %m in %Y: 100%%",
]


def _one(text: str | None, stamp_format: str) -> tuple[int, bool] | None:
    """Seconds and whether there is a fraction; None where the text is not read."""
    stamps = parse_stamps(pa.array([text], pa.string()), stamp_format)
    return (int(stamps.stamp_s[0]), bool(stamps.has_fraction[0])) if stamps.is_read[0] else None


def _by_the_library(text: str, stamp_format: str) -> tuple[int, bool]:
    stamp = datetime.strptime(text, stamp_format)  # noqa: DTZ007 - as if it were UTC
    stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    since = stamp - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(seconds=1), since % timedelta(seconds=1) != timedelta()


@given(
    when=st.datetimes(*ENDS),
    offset_min=st.integers(-23 * 60, 23 * 60),
    stamp_format=st.sampled_from(FORMATS),
)
def test_what_is_written_is_read(when: datetime, offset_min: int, stamp_format: str) -> None:
    text = when.replace(tzinfo=timezone(timedelta(minutes=offset_min))).strftime(stamp_format)
    assert _one(text, stamp_format) == _by_the_library(text, stamp_format)


@given(
    texts=st.lists(st.text("0123456789-.: +ZGMTaP/", max_size=24) | st.none(), max_size=20),
    stamp_format=st.sampled_from(FORMATS),
)
def test_what_is_read_is_what_the_library_reads(texts: list[str | None], stamp_format: str) -> None:
    """Strictness: nothing is a stamp here that is none there, and a text does not change its neighbours."""
    stamps = parse_stamps(pa.array(texts, pa.string()), stamp_format)
    assert len(stamps.stamp_s) == len(texts)
    for row, text in enumerate(texts):
        alone = _one(text, stamp_format)
        assert bool(stamps.is_read[row]) == (alone is not None)
        if alone is not None:
            assert text is not None
            assert (stamps.stamp_s[row], stamps.has_fraction[row]) == alone
            assert alone == _by_the_library(text, stamp_format)
        else:
            assert (stamps.stamp_s[row], stamps.has_fraction[row]) == (0, False)


@given(when=st.datetimes(), place=st.integers(0, 18), byte=st.characters())
def test_one_wrong_character(when: datetime, place: int, byte: str) -> None:
    text = f"{when:%Y-%m-%d %H:%M:%S}".rjust(19, "0")
    wrong = text[:place] + byte + text[place + 1 :]
    try:
        expected: tuple[int, bool] | None = _by_the_library(wrong, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        expected = None
    found = _one(wrong, "%Y-%m-%d %H:%M:%S")
    # The library takes any white space for a space, other scripts' digits, and second 61.
    assert found == expected or (
        (found is None and not wrong.isascii()) or byte.isspace() or wrong.endswith(("60", "61"))
    )


@pytest.mark.parametrize(
    ("text", "stamp_format", "found"),
    [
        ("2018-02-30", "%Y-%m-%d", None),  # 2 March to strptime of C
        ("2019-02-29", "%Y-%m-%d", None),
        ("1900-02-29", "%Y-%m-%d", None),  # no leap year
        ("2000-02-29", "%Y-%m-%d", (951_782_400, False)),
        ("2018-04-31", "%Y-%m-%d", None),
        ("2018-00-10", "%Y-%m-%d", None),
        ("2018-13-10", "%Y-%m-%d", None),
        ("0000-01-01", "%Y-%m-%d", None),
        ("2018-01-01x", "%Y-%m-%d", None),
        ("2018-01-01 ", "%Y-%m-%d", None),
        ("2018-01", "%Y-%m-%d", None),
        ("now", "%Y-%m-%d", None),  # a time to pandas
        ("today", "%Y-%m-%d", None),
        ("NaT", "%Y-%m-%d", None),
        ("", "%Y-%m-%d", None),
        (None, "%Y-%m-%d", None),
        ("2018-1-2", "%Y-%m-%d", (1_514_851_200, False)),
        ("2018-01-01 24:00", "%Y-%m-%d %H:%M", None),
        ("2018-01-01 23:60", "%Y-%m-%d %H:%M", None),
        ("2018-01-01 23:59:60", "%Y-%m-%d %H:%M:%S", (1_514_851_200, False)),  # the next minute
        ("2018-01-01 23:59:61", "%Y-%m-%d %H:%M:%S", (1_514_851_201, False)),  # as strptime does
        ("2016-10-17T19:35:00.000000000Z", "%Y-%m-%dT%H:%M:%S.%f%z", (1_476_732_900, False)),  # nine digits: OANDA
        ("2016-10-17T19:35:00.000000001Z", "%Y-%m-%dT%H:%M:%S.%f%z", (1_476_732_900, True)),
        ("1969-12-31 23:59:59.5", "%Y-%m-%d %H:%M:%S.%f", (-1, True)),  # rounded down
        ("01.01.2022 00:00:00.000 GMT+0100", "%d.%m.%Y %H:%M:%S.%f GMT%z", (1_640_991_600, False)),
        ("01.01.2022 00:00:00.000 GMT-0330", "%d.%m.%Y %H:%M:%S.%f GMT%z", (1_641_007_800, False)),
        ("01.01.2022 00:00:00.000 GMT+0160", "%d.%m.%Y %H:%M:%S.%f GMT%z", None),
        ("01.01.2022 00:00:00.000 GMT+2400", "%d.%m.%Y %H:%M:%S.%f GMT%z", None),
        ("01.01.2022 00:00:00.000 GMT0100", "%d.%m.%Y %H:%M:%S.%f GMT%z", None),
        ("2012-02-01 00:00:00+00:00", "%Y-%m-%d %H:%M:%S%z", (1_328_054_400, False)),
        ("2012-02-01 00:00:00+00", "%Y-%m-%d %H:%M:%S%z", (1_328_054_400, False)),  # as PostgreSQL writes it
        ("2012-02-01 00:00:00+00:", "%Y-%m-%d %H:%M:%S%z", None),
        ("2012-02-01 00:00:00+0", "%Y-%m-%d %H:%M:%S%z", (1_328_054_400, False)),  # to pandas alone
        ("01/02/68", "%m/%d/%y", (3_092_688_000, False)),
        ("01/02/69", "%m/%d/%y", (-31_449_600, False)),
        ("1104732000", "epoch_s", (1_104_732_000, False)),
        ("1104732000.", "epoch_s", (1_104_732_000, False)),
        ("1104732000.000", "epoch_s", (1_104_732_000, False)),
        ("1104732000.25", "epoch_s", (1_104_732_000, True)),
        ("-0.5", "epoch_s", (-1, True)),
        ("-1000.5", "epoch_ms", (-2, True)),
        ("-1000", "epoch_ms", (-1, False)),
        ("-1001", "epoch_ms", (-2, True)),
        ("1509836520001", "epoch_ms", (1_509_836_520, True)),
        ("1509836520000000000", "epoch_ns", (1_509_836_520, False)),  # 19 digits, as int64 has at most
        ("9199999999999999999", "epoch_ns", (9_199_999_999, True)),
        ("9999999999999999999", "epoch_ns", None),
        ("999999999999999999", "epoch_ns", (999_999_999, True)),
        ("0x10", "epoch_s", None),  # an integer to Arrow
        ("1e9", "epoch_s", None),
        (" 1", "epoch_s", None),
        ("1" * 40, "epoch_s", None),
        ("", "epoch_s", None),
        (None, "epoch_s", None),
    ],
)
def test_single_stamps(text: str | None, stamp_format: str, found: tuple[int, bool] | None) -> None:
    assert _one(text, stamp_format) == found


@pytest.mark.parametrize(
    ("stamp_format", "said"),
    [
        ("%Y-%m-%d %Q", "%Q"),
        ("%Y-%m-%d %", "% in"),
        ("%H:%M", "no date"),
        ("%m-%d", "no date"),
        ("%Y-%d", "no date"),
        ("", "no date"),
        ("epoch", "no date"),
        ("%Y-%m-%d %Y", "twice"),
        ("%c", "%c"),
        ("%Y-%m-%d %Z", "%Z"),
    ],
)
def test_formats_that_cannot_be_used(stamp_format: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_stamps(pa.array(["2018-01-01"]), stamp_format)


def test_offsets_are_known_by_the_directive() -> None:
    assert carries_offset("%Y%z")
    assert not carries_offset("%Y%%z")
    assert not carries_offset("epoch_s")


def test_a_slice_of_an_array_and_no_texts_at_all() -> None:
    texts = pa.array(["2018-01-01", None, "2018-01-02", "2018-01-03"])
    assert np.diff(parse_stamps(texts[2:], "%Y-%m-%d").stamp_s).tolist() == [86_400]
    for stamp_format in (*FORMATS, "epoch_s"):
        assert len(parse_stamps(pa.array([], pa.string()), stamp_format).stamp_s) == 0
        assert not parse_stamps(pa.nulls(3, pa.string()), stamp_format).is_read.any()
