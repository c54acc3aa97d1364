"""What a reader of a format gives: the rows of one file as they stand, before clock and rules.

Belongs here: the shape that every reader fills. Does not belong here: reading (one file per format), clocks
(`sources.clocks`), which row is stored (`sources.rows`).
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import FloatArray, IntArray

StampTexts = Callable[[IntArray], list[str | None]]

LONGEST_DETAIL = 200
"""Characters of a broken row that are kept [characters]."""


class RawRows(NamedTuple):
    """Rows of one file in the order of the file; one element a row, a broken one included.

    Attributes:
        line: Number of the line (text) or row (others) in the file, the first is 1; increasing.
        stamp_s: Time stamp rounded down to whole seconds, on the file's own clock, as if it were UTC [s]; any value
            where `has_stamp` is false.
        has_stamp: The row has a time stamp that could be read.
        has_fraction: The time stamp has a part below one second.
        is_utc: The stamps carry their offset from UTC, so `stamp_s` is UTC and no clock may be declared.
        open: First price, side chosen and divisor applied; NaN where missing or not a number. The same for the next.
        high: Highest price.
        low: Lowest price.
        close: Last price.
        volume: Volume; 0 where the format has none, NaN where it is missing in a row or not a number.
        fault: What the reader itself found wrong: code of a reason of `market.validation`, 0 for nothing.
        fault_details: The words of such a fault, by line, with what was found; at most 200 characters of it.
        stamp_texts: Gives the time stamps of some lines as the file has them; None where there is none.
    """

    line: IntArray
    stamp_s: IntArray
    has_stamp: NDArray[np.bool_]
    has_fraction: NDArray[np.bool_]
    is_utc: bool
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    fault: NDArray[np.int8]
    fault_details: Mapping[int, str]
    stamp_texts: StampTexts
