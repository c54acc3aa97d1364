"""The newest candles of one instrument in memory, of the base and of every coarser granularity.

Belongs here: appending, resampling at the end, what is kept. Does not belong here: reading the warehouse (`live.warm`),
labels (`live.newest`).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from label_assets.catalog.granularities import granularity
from label_assets.compute import reach
from label_assets.compute.inputs import MarketSlice
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import END_TS, SessionCalendar
from label_assets.market.resampling import resample
from label_assets.settings import Settings

MOST_ADDED = 2048
"""New base candles for which the tail holds the look-back of what they change."""

_TRIM_STEP = 256
"""Base candles between two looks at what can be forgotten."""

_WEEK_S = 7 * 86_400


def first_open_of(settings: Settings) -> int:
    """Open time before which no candle is of any partition [epoch s]: a coarser one may begin before its data do."""
    return int(np.datetime64(settings.first_day, "s").astype(np.int64))


class Need(NamedTuple):
    """Candles that a tail must hold of one granularity, unless it holds the whole history.

    Attributes:
        candles: Number of newest candles whose rows may be asked for, with their look-back; 0 for one without labels.
        path_of: The labelled granularity whose path bars these are, for as many of its candles; "" for none.
    """

    candles: int
    path_of: str


def needs(settings: Settings) -> dict[str, Need]:
    """What a tail must hold, by granularity of the ladder, finest first."""
    base_s = granularity(settings.base_granularity).seconds
    labelled = {}
    for name in settings.granularities:
        around = reach.slice_reach(settings, name)
        labelled[name] = around.back + around.forward + MOST_ADDED * base_s // granularity(name).seconds + 2
    path_of = {str(granularity(name).path): name for name in settings.granularities}
    return {name: Need(labelled.get(name, 0), path_of.get(name, "")) for name in settings.ladder}


class GrowingCandles:
    """Candles to which one is added at the end now and then.

    A view that was handed out never changes: what follows lies behind its end, and old candles go by copying the rest.
    """

    def __init__(self, candles: Candles) -> None:
        """Copy the candles."""
        self._count = len(candles.ts)
        self._arrays = _with_room(candles, self._count)

    @property
    def view(self) -> Candles:
        """All candles."""
        return Candles._make(column[: self._count] for column in self._arrays)

    def append(self, more: Candles) -> None:
        """Add candles that are later than all others."""
        end = self._count + len(more.ts)
        if end > len(self._arrays.ts):
            self._arrays = _with_room(self.view, end + 64)
        for column, values in zip(self._arrays, more, strict=True):
            column[self._count : end] = values
        self._count = end

    def keep(self, first: int) -> None:
        """Forget the candles before an index."""
        rest = Candles._make(column[first:] for column in self.view)
        self._count = len(rest.ts)
        self._arrays = _with_room(rest, self._count)

    def __len__(self) -> int:
        """Number of candles."""
        return self._count


class TailView:
    """What a tail held at one time; any thread may read it, and it never changes.

    Attributes:
        settings: The settings.
        instrument_id: The instrument.
        rungs: Candles by granularity of the ladder, finest first.
        whole: Granularities of which they are all that there are.
    """

    def __init__(
        self, settings: Settings, instrument_id: str, rungs: Mapping[str, Candles], *, whole: frozenset[str]
    ) -> None:
        """Keep the candles."""
        self.settings = settings
        self.instrument_id = instrument_id
        self.rungs = rungs
        self.whole = whole

    @property
    def base(self) -> Candles:
        """Base candles."""
        return self.rungs[self.settings.base_granularity]

    def slice(self, granularity_name: str, start_ts: int, end_ts: int, back: int | None = None) -> MarketSlice | None:
        """As `MarketReader.slice`; None where the tail does not reach back far enough.

        Args:
            granularity_name: A labelled granularity.
            start_ts: First open time of the rows [epoch s].
            end_ts: End of their open times, not included [epoch s].
            back: Candles before the first row; None for as many as any family needs.
        """
        candles = self.rungs[granularity_name]
        around = reach.slice_reach(self.settings, granularity_name)
        first = int(np.searchsorted(candles.ts, start_ts)) - (around.back if back is None else back)
        end = int(np.searchsorted(candles.ts, end_ts)) + around.forward
        if first < 0 and granularity_name not in self.whole:
            return None
        candles = Candles._make(column[max(first, 0) : end] for column in candles)
        path_name = str(granularity(granularity_name).path)
        bars = self.rungs[path_name]
        if path_name not in self.whole and len(candles.ts) and bars.ts[0] > candles.close_ts[0]:
            return None
        path = self.path(granularity_name, candles)
        return MarketSlice(self.instrument_id, granularity_name, start_ts, end_ts, candles, path)

    def path(self, granularity_name: str, candles: Candles) -> Candles:
        """Path bars from the first to the last of some candles of a granularity."""
        first_ts, end_ts = (int(candles.close_ts[0]), int(candles.close_ts[-1])) if len(candles.ts) else (0, 0)
        return between(self.rungs[str(granularity(granularity_name).path)], first_ts, end_ts)


class Tail:
    """The newest candles of one instrument, to which more come. For one thread; views of it are for all."""

    def __init__(
        self,
        settings: Settings,
        calendar: SessionCalendar,
        instrument_id: str,
        rungs: Mapping[str, Candles],
        *,
        is_whole: bool,
    ) -> None:
        """Begin with candles.

        Args:
            settings: The settings.
            calendar: Trading session.
            instrument_id: The instrument.
            rungs: Candles by granularity of the ladder; none of them lacks its first base candles.
            is_whole: They are all that there are, of every granularity.
        """
        self.settings = settings
        self.instrument_id = instrument_id
        self.whole = frozenset(settings.ladder if is_whole else ())
        self._calendar = calendar
        self._needs = needs(settings)
        self._first_open = first_open_of(settings)
        self.rungs = {name: GrowingCandles(between(rungs[name], self._first_open, END_TS)) for name in settings.ladder}
        self._base = self.rungs[settings.base_granularity]
        self._bucket_end: dict[str, int] = {}
        self._next_trim = 0
        for name in settings.ladder[1:]:
            self._note_bucket(name)

    @property
    def last_ts(self) -> int:
        """Open time of the newest base candle [epoch s]; −1 where there is none."""
        return int(self._base.view.ts[-1]) if len(self._base) else -1

    @property
    def view(self) -> TailView:
        """What it holds now."""
        rungs = {name: rung.view for name, rung in self.rungs.items()}
        return TailView(self.settings, self.instrument_id, rungs, whole=self.whole)

    def _note_bucket(self, name: str) -> None:
        """Note when the bucket of the newest base candle ends; 0 where there is none."""
        last = self.last_ts
        self._bucket_end[name] = int(self._calendar.bucket_close(np.array([last]), name)[0]) if last >= 0 else 0

    def append(self, candle: Candles) -> dict[str, int]:
        """Add one base candle that is later than all others, and every coarser one that exists now.

        Args:
            candle: One element.

        Returns:
            Number of new candles by granularity, the base not included; only those that have any.
        """
        self._base.append(candle)
        ts, close_ts = int(candle.ts[0]), int(candle.close_ts[0])
        added = {}
        for name, bucket_end in list(self._bucket_end.items()):
            if ts < bucket_end and close_ts < bucket_end:
                continue
            if ts >= bucket_end:
                rung = self.rungs[name]
                is_done = len(rung) > 0 and int(rung.view.close_ts[-1]) >= bucket_end
                self._note_bucket(name)
                if is_done and close_ts < self._bucket_end[name]:
                    continue
            count = self._resample(name)
            if count:
                added[name] = count
        return added

    def _resample(self, name: str) -> int:
        """Append the candles that exist since the newest base candle; return their number."""
        rung, base = self.rungs[name], self._base.view
        after_ts = int(rung.view.close_ts[-1]) if len(rung) else 0
        first = int(np.searchsorted(base.ts, after_ts))
        new = resample(Candles._make(column[first:] for column in base), name, self._calendar)
        new = between(new, self._first_open, END_TS)
        if len(new.ts):
            rung.append(new)
        return len(new.ts)

    def trim(self) -> None:
        """Forget what is needed no more, once that is as much as is needed; looks only now and then."""
        if len(self._base) < self._next_trim:
            return
        self._trim()
        self._next_trim = len(self._base) + _TRIM_STEP

    def _trim(self) -> None:
        for name in reversed(self.settings.ladder):
            rung, need = self.rungs[name], self._needs[name]
            first = len(rung) - need.candles
            first = min(first, self._first_path_bar(name, need.path_of))
            if name == self.settings.base_granularity and len(rung):
                # Of the coarsest bucket that is not over every base candle is there, and what may not be stored yet.
                open_bucket = int(np.searchsorted(rung.view.ts, self.last_ts - 2 * _WEEK_S))
                first = min(first, open_bucket, len(rung) - MOST_ADDED)
            if first > max(1024, len(rung) // 2):
                rung.keep(first)
                self.whole -= {name}

    def _first_path_bar(self, name: str, path_of: str) -> int:
        """Index of the first bar that the needed candles of a labelled granularity have as path."""
        if not path_of or not len(self.rungs[path_of]):
            return len(self.rungs[name])
        needed = newest(self.rungs[path_of].view, self._needs[path_of].candles)
        return int(np.searchsorted(self.rungs[name].view.ts, needed.close_ts[0]))


def newest(candles: Candles, count: int) -> Candles:
    """At most `count` of the candles, the newest."""
    first = max(0, len(candles.ts) - count)
    return Candles._make(column[first:] for column in candles)


def between(candles: Candles, start_ts: int, end_ts: int) -> Candles:
    """Candles that open in [start, end)."""
    first, end = np.searchsorted(candles.ts, (start_ts, end_ts))
    return Candles._make(column[first:end] for column in candles)


def _with_room(candles: Candles, room: int) -> Candles:
    """A copy with so many elements after its end that nobody has written yet."""
    return Candles._make(np.concatenate([column, np.empty(room, column.dtype)]) for column in candles)
