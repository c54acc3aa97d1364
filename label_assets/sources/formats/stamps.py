"""Time stamps from text: all at once, and strict.

Neither library at hand is both. Over a million stamps `pyarrow.compute.strptime` takes 0.05 s, but 30 February is
2 March to it and it has no fractions; `pandas.to_datetime` takes 1.9 s where the format is not ISO 8601, and to it the
text "now" is a time. Here a million take 0.3 s.

Belongs here: formats of stamps. Does not belong here: what clock they are on (`sources.clocks`).
"""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S
from label_assets.kernels.arrays import IntArray
from label_assets.sources.declaration import EPOCHS

Flags = NDArray[np.bool_]

_DIGITS = {"Y": (4, 4), "y": (2, 2), "m": (1, 2), "d": (1, 2), "H": (1, 2), "M": (1, 2), "S": (1, 2), "f": (1, 9)}
"""Fewest and most digits of the directives that are read for all stamps at once; `%z` is one more."""

_ONE_BY_ONE = "bBaAIpj"
"""Directives that go through datetime.strptime, text by text: 8 s for a million."""

_PART = r"(?s)%.?|[^%]"
_DAYS_IN_MONTH = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_EPOCH_NUMBER = r"^-?([0-9]{1,18}|[1-8][0-9]{18}|9[01][0-9]{17})(\.[0-9]*)?$"
"""An int64, or nearly all of them: nanoseconds of today have 19 digits."""

_1970 = datetime(1970, 1, 1)  # noqa: DTZ001 - stamps are counted on their own clock
_SECOND = timedelta(seconds=1)


class Stamps(NamedTuple):
    """Time stamps; one element a text.

    Attributes:
        stamp_s: Seconds since 1970, rounded down, on the clock of the text, of UTC where the format has `%z`; 0 where
            the text could not be read.
        is_read: The text is a stamp of the format.
        has_fraction: There is a part below one second.
    """

    stamp_s: IntArray
    is_read: Flags
    has_fraction: Flags


def parse_stamps(texts: pa.Array, stamp_format: str) -> Stamps:
    """Read time stamps.

    Args:
        texts: Strings; null is not read.
        stamp_format: As in strptime, or a key of `EPOCHS`. As in strptime digits may lack a leading zero, and days
            must exist. Unlike there, one space is one space, `%f` takes nine digits, `%z` takes whole hours, and 61
            seconds are none.

    Raises:
        ValueError: a format without a date, or with an unknown directive; says which.
    """
    if stamp_format in EPOCHS:
        return _epochs(texts, EPOCHS[stamp_format])
    parts = _parts(stamp_format)
    if any(part[1] in _ONE_BY_ONE for part in parts if len(part) > 1):
        return _one_by_one(texts, stamp_format)
    reader = _Reader(texts)
    fields: dict[str, IntArray] = {}
    for part in parts:
        if part == "%z":
            fields["z"] = reader.offset_s()
        elif len(part) > 1 and part != "%%":
            fields[part[1]] = reader.digits(*_DIGITS[part[1]])
        else:
            reader.literal(part[0])
    return _joined(fields, reader.is_at_end())


def carries_offset(stamp_format: str) -> bool:
    """Whether stamps of a format say how far they are from UTC."""
    return "%z" in re.findall(_PART, stamp_format)


def _parts(stamp_format: str) -> list[str]:
    """Directives and single characters of a format."""
    parts: list[str] = re.findall(_PART, stamp_format)
    directives = [part[1:] for part in parts if part.startswith("%") and part != "%%"]
    unknown = [name for name in directives if not name or name not in (*_DIGITS, *_ONE_BY_ONE, "z")]
    if unknown:
        raise ValueError(f"%{unknown[0]} in the stamp format {stamp_format!r}")
    if len(set(directives)) < len(directives):
        raise ValueError(f"a directive twice in the stamp format {stamp_format!r}")
    has_day = "j" in directives or ("d" in directives and {"m", "b", "B"} & set(directives))
    if not has_day or not {"Y", "y"} & set(directives):
        raise ValueError(f"no date in the stamp format {stamp_format!r}")
    return parts


class _Reader:
    """Reads all texts from left to right at once, each at its own place."""

    def __init__(self, texts: pa.Array) -> None:
        _, offsets, content = texts.buffers()
        ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        self._content = np.append(np.frombuffer(content or b"", np.uint8), np.uint8(0))
        self._place, self._end = ends[:-1].copy(), ends[1:]
        self._is_good: Flags = pc.is_valid(texts).to_numpy(zero_copy_only=False).copy()

    def literal(self, character: str) -> None:
        """Step over one character."""
        for byte in character.encode():
            self._is_good &= self._bytes() == byte
            self._place += 1

    def digits(self, fewest: int, most: int) -> IntArray:
        """Step over digits, as many as there are."""
        goes_on = self._is_good
        value = np.zeros(len(goes_on), np.int64)
        for count in range(most):
            digit = self._bytes() - np.uint8(ord("0"))
            goes_on = goes_on & (digit <= 9)
            if count < fewest:
                self._is_good &= goes_on
            value = np.where(goes_on, value * 10 + digit, value)
            self._place += goes_on
        return value

    def offset_s(self) -> IntArray:
        """Step over an offset from UTC (Z, +0100, +01:00, +01) [s]."""
        first = self._bytes()
        is_offset = (first == ord("+")) | (first == ord("-"))
        self._is_good &= is_offset | (first == ord("Z"))
        self._place += 1
        hours = self._two_digits(is_offset)
        has_colon = is_offset & (self._bytes() == ord(":"))
        self._place += has_colon
        minutes = self._two_digits(has_colon | (is_offset & (self._place < self._end)))
        self._is_good &= (hours < 24) & (minutes < 60)
        length_s = hours * 3_600 + minutes * 60
        return np.where(first == ord("-"), -length_s, length_s)

    def is_at_end(self) -> Flags:
        """The texts that were read well, up to their ends."""
        is_at_end: Flags = self._is_good & (self._place == self._end)
        return is_at_end

    def _two_digits(self, where: Flags) -> IntArray:
        value = np.zeros(len(where), np.int64)
        for _ in range(2):
            digit = self._bytes() - np.uint8(ord("0"))
            self._is_good &= ~where | (digit <= 9)
            value = np.where(where, value * 10 + digit, value)
            self._place += where
        return value

    def _bytes(self) -> NDArray[np.uint8]:
        """The byte that comes next in each text, 0 at its end."""
        return self._content[np.where(self._place < self._end, self._place, len(self._content) - 1)]


def _joined(fields: dict[str, IntArray], is_read: Flags) -> Stamps:
    """Seconds from the fields of a date; a field that the format lacks is 0."""
    none = np.zeros(len(is_read), np.int64)
    year = fields["Y"] if "Y" in fields else fields["y"] + np.where(fields["y"] < 69, 2_000, 1_900)
    month, day = fields["m"], fields["d"]
    hour, minute, second = (fields.get(name, none) for name in "HMS")
    is_read = is_read & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    is_leap_day = (month == 2) & (day == 29) & (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    is_read &= (day <= _DAYS_IN_MONTH[np.where(is_read, month, 0)]) | is_leap_day
    is_read &= (hour < 24) & (minute < 60) & (second < 60)
    # Days of the Gregorian calendar, counted in years that begin in March so that the leap day is the last one.
    years, months = year - (month <= 2), (month + 9) % 12
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 719_469
    stamp_s = days * DAY_S + hour * 3_600 + minute * 60 + second - fields.get("z", none)
    return Stamps(np.where(is_read, stamp_s, 0), is_read, is_read & (fields.get("f", none) > 0))


def _epochs(texts: pa.Array, units_per_second: int) -> Stamps:
    is_number = pc.fill_null(pc.match_substring_regex(texts, _EPOCH_NUMBER), False)
    numbers = pc.if_else(is_number, texts, "0")
    # Arrow would take 0x10 for a number: only what the pattern lets through reaches its cast.
    whole = pc.cast(pc.replace_substring_regex(numbers, r"\..*", ""), pa.int64()).to_numpy()
    has_rest = pc.match_substring_regex(numbers, r"\.0*[1-9]").to_numpy(zero_copy_only=False)
    is_below = pc.starts_with(numbers, "-").to_numpy(zero_copy_only=False) & has_rest
    stamp_s = whole // units_per_second - (is_below & (whole % units_per_second == 0))
    has_fraction = has_rest | (whole % units_per_second != 0)
    return Stamps(stamp_s, is_number.to_numpy(zero_copy_only=False), has_fraction)


def _one_by_one(texts: pa.Array, stamp_format: str) -> Stamps:
    known: dict[str | None, tuple[int, bool, bool]] = {None: (0, False, False)}
    for text in pc.unique(texts).to_pylist():
        if text is not None:
            known[text] = _one(text, stamp_format)
    found = np.array([known[text] for text in texts.to_pylist()], np.int64).reshape(-1, 3)
    return Stamps(found[:, 0].copy(), found[:, 1] == 1, found[:, 2] == 1)


def _one(text: str, stamp_format: str) -> tuple[int, bool, bool]:
    """Seconds, whether the text was read, whether it has a fraction."""
    try:
        stamp = datetime.strptime(text, stamp_format)  # noqa: DTZ007 - the clock is declared
        since_1970 = stamp.replace(tzinfo=None) - (stamp.utcoffset() or timedelta()) - _1970
    except (ValueError, OverflowError):
        return 0, False, False
    return since_1970 // _SECOND, True, bool(since_1970 % _SECOND)
