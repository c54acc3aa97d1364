"""Raw candles that somebody else wrote under a tail's feet: a run over a corrected file, another writer.

Belongs here: finding them. Does not belong here: what follows (`live.storing`).
"""

import threading
import time

import numpy as np

from label_assets.catalog.tables import RAW_CANDLES
from label_assets.live.tail import TailView
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.schema import storage_name

_VALUES = ("open", "high", "low", "close", "volume")


class ForeignWrites:
    """Compares what was written to raw candles with what the tails hold."""

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        """Keep where to look."""
        self._warehouse = warehouse
        self._settings = settings
        self._views: dict[str, TailView] = {}
        self._version = time.time_ns() // 1000
        self._next = 0.0
        self._lock = threading.Lock()

    @property
    def instruments(self) -> list[str]:
        """Instruments of which a tail is known."""
        with self._lock:
            return list(self._views)

    def know(self, instrument_id: str, view: TailView) -> None:
        """What is stored of an instrument now."""
        with self._lock:
            self._views[instrument_id] = view

    def forget(self, instrument_id: str) -> None:
        """Look no more after an instrument."""
        with self._lock:
            self._views.pop(instrument_id, None)

    def changed(self) -> list[str]:
        """Instruments with raw candles that their tail does not have so; asks every `recheck_s` at most.

        Raises:
            WarehouseError: ClickHouse does not answer.
        """
        if time.monotonic() < self._next:
            return []
        self._next = time.monotonic() + self._settings.live.recheck_s
        with self._lock:
            views = {name: view for name, view in self._views.items() if len(view.base.ts)}
        if not views:
            return []
        rows = self._warehouse.query(
            "read_raw_candles_after_version",
            storage=storage_name(RAW_CANDLES),
            instruments=sorted(views),
            granularity=self._settings.base_granularity,
            start=min(int(view.base.ts[0]) for view in views.values()),
            version=self._version,
        ).to_pylist()
        if rows:
            self._version = int(rows[-1]["version"])
        newest = {(str(row["instrument_id"]), int(row["ts"])): row for row in rows}
        found = {name for (name, ts), row in newest.items() if _differs(views[name], ts, row)}
        for name in found:
            self.forget(name)
        return sorted(found)


def _differs(view: TailView, ts: int, row: dict[str, float]) -> bool:
    base = view.base
    if ts < base.ts[0]:
        return False
    place = int(np.searchsorted(base.ts, ts))
    is_held = place < len(base.ts) and int(base.ts[place]) == ts
    if row["is_deleted"]:
        return is_held
    return not is_held or any(getattr(base, name)[place] != row[name] for name in _VALUES)
