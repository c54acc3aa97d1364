"""Time stamps from text, by pandas: strict, and a million in two to three seconds.

`pyarrow.compute.strptime` takes 0.05 s, but 30 February is 2 March to it and it has no fractions.

Belongs here: formats of stamps. Does not belong here: what clock they are on (`sources.clocks`).
"""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.kernels.arrays import IntArray
from label_assets.sources.declaration import EPOCHS

Flags = NDArray[np.bool_]

_PART = r"(?s)%.?|[^%]"
_DIRECTIVES = frozenset("YymdHMSfzbBaAIpj")
_YEAR_1 = np.datetime64("0001-01-01", "s")
"""The calendar of the standard library begins here; pandas also knows the year 0."""
_UNITS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH_NUMBER = r"^-?([0-9]{1,18}|[1-8][0-9]{18}|9[01][0-9]{17})(\.[0-9]*)?$"


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
        stamp_format: As in strptime, with up to nine digits of `%f`, or a key of `EPOCHS`. As in strptime digits may
            lack a leading zero, and days must exist.

    Raises:
        ValueError: a format without a date, or with an unknown directive; says which.
    """
    if stamp_format in EPOCHS:
        return _epochs(texts, EPOCHS[stamp_format])
    _check_format(stamp_format)
    # "now" and "today" are times to pandas, whatever the format: a stamp has a digit. Other scripts have digits too.
    is_text = pc.fill_null(pc.and_(pc.string_is_ascii(texts), pc.match_substring_regex(texts, "[0-9]")), False)
    found = pd.to_datetime(
        pc.if_else(is_text, texts, pa.scalar(None, pa.string())).to_pandas(),
        format=stamp_format,
        errors="coerce",
        utc=carries_offset(stamp_format),
    )
    values = found.to_numpy() if found.dt.tz is None else found.dt.tz_localize(None).to_numpy()
    is_read = values >= _YEAR_1
    units = _UNITS_PER_SECOND[np.datetime_data(values.dtype)[0]]
    counts = np.where(is_read, values.view(np.int64), 0)
    return Stamps(counts // units, is_read, counts % units != 0)


def carries_offset(stamp_format: str) -> bool:
    """Whether stamps of a format say how far they are from UTC."""
    return "%z" in re.findall(_PART, stamp_format)


def _check_format(stamp_format: str) -> None:
    parts = re.findall(_PART, stamp_format)
    directives = [part[1:] for part in parts if part.startswith("%") and part != "%%"]
    unknown = [name for name in directives if name not in _DIRECTIVES]
    if unknown:
        raise ValueError(f"%{unknown[0]} in the stamp format {stamp_format!r}")
    if len(set(directives)) < len(directives):
        raise ValueError(f"a directive twice in the stamp format {stamp_format!r}")
    has_day = "j" in directives or ("d" in directives and {"m", "b", "B"} & set(directives))
    if not has_day or not {"Y", "y"} & set(directives):
        raise ValueError(f"no date in the stamp format {stamp_format!r}")


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
