"""When the weeks of a file begin and end on its own clock, beside the market weeks that they must be.

Belongs here: cutting bars into weeks without knowing their clock. Does not belong here: which clock fits
(`inspection.zones`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import END_TS, FIRST_TS, SessionCalendar

HOUR_S = 3_600
WEEK_S = 7 * DAY_S
FX_WEEK_H = 120
"""Sunday 17:00 to Friday 17:00 New York; daylight saving changes while the market is closed."""

# Offsets from UTC lie between −12 and +14 hours, the market is closed from Friday 21:00 or 22:00 UTC for 48 hours. So
# whatever the clock, it shows closed hours from Saturday 12:00 to Sunday 09:00. Day 0 of numpy is a Thursday.
_CLOSED_FROM_S = 2 * DAY_S + 12 * HOUR_S
_CLOSED_UNTIL_S = 3 * DAY_S + 9 * HOUR_S
_CUT_S = 2 * DAY_S + 22 * HOUR_S + HOUR_S // 2
# A week between others that is more than half a day short has a holiday at its edge, or a hole.
_SHORTEST_WEEK_S = (FX_WEEK_H - 12) * HOUR_S


class Weeks(NamedTuple):
    """Weeks of a file in time order, one element a week; stamps are on the file's own clock, as if they were UTC.

    Attributes:
        session_ts: Sunday 17:00 New York of the market week that it must be, whatever the clock [epoch s, UTC].
        first_s: Stamp of its first bar [s].
        end_s: End of its last bar [s].
        has_open: The first bar tells when the market opened: the file did not begin in this week, nor was the week cut
            short, nor did the market trade in the weekend.
        has_close: The last bar tells when the market closed, likewise.
        length_s: Length of a bar [s].
        closed_share: Share of the weeks of the file in which bars lie in hours when FX is closed on any clock.
    """

    session_ts: IntArray
    first_s: IntArray
    end_s: IntArray
    has_open: NDArray[np.bool_]
    has_close: NDArray[np.bool_]
    length_s: int
    closed_share: float

    @property
    def usual_hours(self) -> float:
        """Median time from the first bar's open to the last bar's close of weeks of which both are known [h]."""
        whole = self.has_open & self.has_close
        return float(np.median((self.end_s - self.first_s)[whole])) / HOUR_S if whole.any() else float("nan")


def closed_hours(stamp_s: IntArray, length_s: int) -> NDArray[np.bool_]:
    """Bars that lie wholly within hours at which FX is closed whatever clock the stamps are on.

    Args:
        stamp_s: Open times on any clock, as if they were UTC [s].
        length_s: Length of a bar [s].
    """
    second = stamp_s % WEEK_S
    return np.asarray((second >= _CLOSED_FROM_S) & (second + length_s <= _CLOSED_UNTIL_S))


def weeks_of(stamp_s: IntArray, length_s: int) -> Weeks:
    """Cut bars into weeks at an hour of Saturday at which the market is closed on every clock.

    Args:
        stamp_s: Open times of bars on the file's own clock, as if they were UTC [s], strictly increasing, without
            weekend filler.
        length_s: Length of a bar [s].
    """
    stamps = stamp_s[(stamp_s >= FIRST_TS + WEEK_S) & (stamp_s < END_TS - 2 * WEEK_S)]
    week = (stamps - _CUT_S) // WEEK_S
    in_closed_hours = closed_hours(stamps, length_s)
    not_closed = np.unique(week[in_closed_hours])
    closed_share = len(not_closed) / max(len(np.unique(week)), 1)
    stamps, week = stamps[~in_closed_hours], week[~in_closed_hours]
    number, begins = np.unique(week, return_index=True)
    first_s = stamps[begins]
    end_s = stamps[np.append(begins[1:], len(stamps)) - 1] + length_s if len(stamps) else stamps
    sessions = SessionCalendar("17:00 America/New_York").opens("W")
    session_ts = sessions[np.searchsorted(sessions, number * WEEK_S + _CUT_S)]
    is_long = end_s - first_s >= _SHORTEST_WEEK_S
    is_closed = ~np.isin(number, not_closed)
    place = np.arange(len(number))
    is_first, is_last = place == 0, place == len(number) - 1
    return Weeks(
        session_ts,
        first_s,
        end_s,
        has_open=is_closed & (is_long | is_last) & ~is_first,
        has_close=is_closed & (is_long | is_first) & ~is_last,
        length_s=length_s,
        closed_share=closed_share,
    )


def saturday_before(stamp_s: int) -> int:
    """Saturday 18:00 before the first bar of a week, when FX is closed on whatever clock [s, on the stamp's clock]."""
    return (stamp_s - _CUT_S) // WEEK_S * WEEK_S + 2 * DAY_S + 18 * HOUR_S
