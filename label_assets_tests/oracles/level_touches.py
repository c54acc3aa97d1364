"""Labels 12 to 15."""

from label_assets_tests.oracles.levels import Interval, Zone, considered_levels
from label_assets_tests.oracles.windows import Row, Window

COLUMNS = (
    "retouch_count",
    "max_touches_single_level",
    "levels_considered",
    "next_touch_time",
    "time_at_level",
    "consecutive_touch_run",
)
LARGEST_STEP_IN_RUN = 2


def first_break(zone: Zone, window: Window) -> int | None:
    for t, bar in enumerate(window.bars, start=1):
        if zone.breaks(bar):
            return t
    return None


def contact_times(zone: Zone, window: Window) -> list[int]:
    """Every t ≥ 1 with a contact: in contact, and no break at or before t."""
    break_time = first_break(zone, window)
    return [
        t
        for t, bar in enumerate(window.bars, start=1)
        if zone.in_contact(bar) and (break_time is None or t < break_time)
    ]


def touch_times(zone: Zone, window: Window) -> list[int]:
    """Every t with a contact and none at t − 1."""
    contacts = set(contact_times(zone, window))
    if abs(window.entry_price - zone.price) <= zone.touch_width:
        contacts.add(0)
    return sorted(t for t in contacts if t >= 1 and t - 1 not in contacts)


def longest_run(times: list[int]) -> int:
    """Most members of a run in which two successive ones are at most two bars apart."""
    longest = run = 0
    for k, t in enumerate(times):
        run = run + 1 if k > 0 and t - times[k - 1] <= LARGEST_STEP_IN_RUN else 1
        longest = max(longest, run)
    return longest


def level_touches(windows: list[Window], intervals: list[Interval]) -> list[Row]:
    rows = []
    for window in windows:
        row: Row = dict.fromkeys(COLUMNS)
        zones = considered_levels(intervals, window)
        if zones is not None:
            row["levels_considered"] = len(zones)
        if zones is not None and window.complete:
            touches = [touch_times(zone, window) for zone in zones]
            contacts = [contact_times(zone, window) for zone in zones]
            row["retouch_count"] = sum(len(times) for times in touches)
            row["max_touches_single_level"] = max((len(times) for times in touches), default=0)
            row["next_touch_time"] = min((t for times in touches for t in times), default=None)
            row["time_at_level"] = len({t for times in contacts for t in times})
            row["consecutive_touch_run"] = max((longest_run(times) for times in contacts), default=0)
        rows.append(row)
    return rows
