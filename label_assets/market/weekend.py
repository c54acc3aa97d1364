"""When the FX week is closed: from Friday 17:00 to Sunday 17:00 New York, whatever session the pipeline follows.

Belongs here: the market's own hours. Does not belong here: the session that cuts H4, D and W (`market.calendar`).
"""

import numpy as np
from numpy.typing import NDArray

from label_assets.catalog.granularities import DAY_S
from label_assets.kernels.arrays import IntArray
from label_assets.market.calendar import SessionCalendar

FX_WEEK = SessionCalendar("17:00 America/New_York")

# Clocks change on Sunday mornings: from Sunday 17:00 to Friday 17:00 is always five times 24 hours.
_OPEN_S = 5 * DAY_S


def is_weekend(ts: IntArray) -> NDArray[np.bool_]:
    """Whether each instant lies in a weekend of the FX market: Friday 17:00 ≤ t < Sunday 17:00 New York.

    Args:
        ts: Instants from 1990 to 2037 [epoch s, UTC], any shape and order.

    Raises:
        CandleError: as `SessionCalendar.bucket_open`.
    """
    return np.asarray(ts - FX_WEEK.bucket_open(ts, "W") >= _OPEN_S)
