"""Which column of a table is which, by its name or by what stands in it.

Belongs here: names that vendors give to columns, forms of time stamps, prices by their order of size. Does not belong
here: which format a file has (`inspection.sniffing`).
"""

import re
from collections.abc import Sequence
from itertools import product

import numpy as np
import pyarrow as pa

from label_assets.kernels.arrays import FloatArray
from label_assets.sources.declaration import PRICES, SIDES
from label_assets.sources.formats.stamps import parse_stamps

_SHARE = 0.95
"""Share of the rows that must be of a form; the others may be broken."""

_STAMP_NAMES = (
    *(
        "ts",
        "timestamp",
        "datetime",
        "dateandtime",
        "gmttime",
        "localtime",
        "timeutc",
        "timeeet",
        "utctime",
        "opentime",
    ),
    *("bartime", "candletime", "time", "date", "index", "indexlevel0", "unnamed0", ""),
)
_VOLUME_NAMES = ("volume", "vol", "tickvolume", "tickvol", "ticks", "v")

_DATES = (
    *("%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d.%m.%y", "%m/%d/%y"),
)
_TIMES = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H%M%S", "%H%M")
_ZONES = ("", "%z", " %z", " GMT%z")
_EPOCHS = (("epoch_s", 9, 10), ("epoch_ms", 12, 13), ("epoch_us", 15, 16), ("epoch_ns", 18, 19))


def named_columns(names: Sequence[str]) -> dict[str, str]:
    """The name in a file of each of our columns; those that it lacks are absent.

    Args:
        names: Names of its columns.
    """
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    found: dict[str, str] = {}
    if "date" in plain and "time" in plain:
        found |= {"date": plain["date"], "time": plain["time"]}
    else:
        stamp = next((name for name in _STAMP_NAMES if name in plain), None)
        found |= {} if stamp is None else {"ts": plain[stamp]}
    for price in PRICES:
        for ours, theirs in ((price, (price, price[0])), *_sided_names(price)):
            match = next((name for name in theirs if name in plain), None)
            if match is not None:
                found[ours] = plain[match]
    volume = next((name for name in _VOLUME_NAMES if name in plain), None)
    return found if volume is None else found | {"volume": plain[volume]}


def has_prices(columns: dict[str, str]) -> bool:
    """Whether there are a time stamp and four prices, plain ones or of one side."""
    has_stamp = "ts" in columns or {"date", "time"} <= set(columns)
    sides = [PRICES, *(tuple(f"{side}_{price}" for price in PRICES) for side in SIDES)]
    return has_stamp and any(set(some) <= set(columns) for some in sides)


def stamp_format(texts: Sequence[str]) -> str | None:
    """The form of time stamps, as a declaration names it; None where there is none that nearly all of them have.

    Where day and month could be either way round it is the order in which time runs on.

    Args:
        texts: Time stamps from all over the beginning of a file.
    """
    array = pa.array([text.strip() for text in texts], pa.string())
    for name, fewest, most in _EPOCHS:
        if np.mean([text.isdigit() and fewest <= len(text) <= most for text in array.to_pylist()] or [0]) >= _SHARE:
            return name
    forms = [date + end for date, end in product(_DATES, _ends())]
    few = array.slice(0, 20)
    fits = [form for form in forms if parse_stamps(few, form).is_read.sum() >= _SHARE * len(few) - 1]
    best: tuple[int, str] | None = None
    for form in fits:
        stamps = parse_stamps(array, form)
        if not len(array) or stamps.is_read.mean() < _SHARE:
            continue
        backwards = int(np.count_nonzero(np.diff(stamps.stamp_s[stamps.is_read]) < 0))
        backwards = min(backwards, len(array) - 1 - backwards)  # a descending file runs on too
        if best is None or backwards < best[0]:
            best = (backwards, form)
    return None if best is None else best[1]


def prices_by_size(columns: Sequence[FloatArray]) -> tuple[str, ...] | None:
    """Names of four columns of prices in their order: the highest is the high, the lowest the low.

    Of the other two the first is the open. None where no column is nearly always the highest, or the lowest.

    Args:
        columns: Four columns, one element a row.
    """
    table = np.array(columns)
    table = table[:, np.isfinite(table).all(axis=0)]
    if not table.size:
        return None
    is_high = (table >= table.max(axis=0)).mean(axis=1) >= _SHARE
    is_low = (table <= table.min(axis=0)).mean(axis=1) >= _SHARE
    if is_high[1] and is_low[2]:
        return PRICES
    high, low = int(np.argmax(is_high)), int(np.argmax(is_low))
    if not is_high[high] or not is_low[low] or high == low:
        return None
    others = iter(("open", "close"))
    return tuple("high" if place == high else "low" if place == low else next(others) for place in range(len(PRICES)))


def _ends() -> tuple[str, ...]:
    """What may follow a date."""
    return ("", *(f"{mark}{time}{zone}" for time, mark, zone in product(_TIMES, (" ", "T", ""), _ZONES)))


def _sided_names(price: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{side}_{price}", (f"{side}{price}", f"{price}{side}", f"{side}{price[0]}")) for side in SIDES]
