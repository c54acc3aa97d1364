"""From stamps of a local clock to UTC: zones, offsets, servers' clocks, clocks that change inside a file.

Belongs here: what a clock is and which instant a local stamp means. Does not belong here: finding out which clock a file
has (`inspection`), reading stamps (`sources.formats`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.kernels.arrays import IntArray


@dataclass(frozen=True)
class Clock:
    """A clock: its offset from UTC, instant by instant.

    Attributes:
        name: As declared.
        starts: Instants [epoch s, UTC] from which each offset holds, increasing; the first lies before 1990.
        offsets_s: What is added to UTC to get local time from that instant on [s].
    """

    name: str
    starts: tuple[int, ...]
    offsets_s: tuple[int, ...]


class UtcStamps(NamedTuple):
    """Instants of local stamps; one element a stamp.

    Attributes:
        ts: Instant [epoch s, UTC]; any value where `is_missing`.
        is_missing: The local time does not exist: clocks were put forward over it.
        is_repeated: The local time occurs twice, and its place in the file decided which one it is.
    """

    ts: IntArray
    is_missing: NDArray[np.bool_]
    is_repeated: NDArray[np.bool_]


def parse_clock(declared: str | Sequence[tuple[str, str | None]]) -> Clock:
    """Read a declared clock: one text, or pieces (clock, local time at which the next piece begins).

    Raises:
        SettingsError: for anything that is no clock.
    """
    raise NotImplementedError


def to_utc(local_s: IntArray, clock: Clock) -> UtcStamps:
    """The instants of local stamps, in the order of the file."""
    raise NotImplementedError
