"""Statistics of the days and months whose labels changed, now and then rather than with every candle.

Belongs here: which days, when. Does not belong here: statistics (`compute.statistics`).
"""

import time

import numpy as np

from label_assets.catalog.families import LABELS
from label_assets.catalog.granularities import DAY_S
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.compute.statistics import day_starts, month_starts, statistics_rows
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope

_MOST_DAYS_OF_A_MONTH = 31


class ChangedDays:
    """Days of instruments whose statistics are older than their labels."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        """Keep where they are."""
        self._warehouse = warehouse
        self._pause_s = settings.live.statistics_s
        self._spans: dict[str, tuple[int, int]] = {}
        self._written_at = time.monotonic()

    def add(self, scope: Scope) -> None:
        """Labels of a scope changed."""
        first, end = self._spans.get(scope.instrument_id, (scope.start_ts, scope.end_ts))
        self._spans[scope.instrument_id] = (min(first, scope.start_ts), max(end, scope.end_ts))

    def write(self, *, now: bool = False) -> None:
        """Write what is due; everything if `now`.

        Raises:
            WarehouseError: ClickHouse does not answer; what was not written is due the next time.
        """
        if not self._spans or not (now or time.monotonic() - self._written_at >= self._pause_s):
            return
        for instrument_id, (first_ts, end_ts) in list(self._spans.items()):
            self._write(instrument_id, _whole_months(first_ts, end_ts))
            del self._spans[instrument_id]
        self._written_at = time.monotonic()

    def _write(self, instrument_id: str, time_range: tuple[int, int]) -> None:
        scope = Scope(instrument_id, *time_range)
        labels = self._warehouse.read(LABELS, scope)
        ts = labels["ts"].to_numpy().astype(np.int64)
        self._warehouse.upsert(LABEL_STATISTICS, scope, statistics_rows(LABEL_STATISTICS, labels, day_starts(ts)))
        monthly = statistics_rows(LABEL_STATISTICS_MONTHLY, labels, month_starts(ts))
        self._warehouse.upsert(LABEL_STATISTICS_MONTHLY, scope, monthly)


def _whole_months(first_ts: int, end_ts: int) -> tuple[int, int]:
    """Start of the month of the first instant, and of the month after that of the last."""
    first, last = month_starts(np.array([first_ts, end_ts - 1])).tolist()
    after = int(month_starts(np.array([last + _MOST_DAYS_OF_A_MONTH * DAY_S]))[0])
    return first, after
