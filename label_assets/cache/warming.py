"""Brings the hot cache to what ClickHouse holds: at start, after a materialization, after an outage of either.

What a section should hold is told by a fingerprint over keys and versions of its newest rows in ClickHouse. The cache
notes the one it was filled with; a section with another one is read again. So whoever wrote, and whatever failed on the
way to Redis, the next look finds it: the log of writes to resume is ClickHouse itself.

Belongs here: what is read and when. Does not belong here: how rows are written (`cache.hot`).
"""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from label_assets.cache.hot import HotCache, Write
from label_assets.cache.sections import Section, sections, span_s
from label_assets.catalog.families import LABELS
from label_assets.warehouse.client import Warehouse, select_list
from label_assets.warehouse.schema import storage_name

UNSTORED_S = 30
"""A cached row that ClickHouse lacks is removed once it is older than this: it may be on its way there [s]."""

_LOCK_MS = 60_000


class Warmed(NamedTuple):
    """What was done.

    Attributes:
        sections: Sections that differed and were read.
        rows: Rows that they hold.
        changed: Rows whose content was new to the cache.
        removed: Rows that ClickHouse no longer holds.
    """

    sections: int = 0
    rows: int = 0
    changed: int = 0
    removed: int = 0

    def plus(self, other: "Warmed") -> "Warmed":
        """Both together."""
        return Warmed(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


class _Stored(NamedTuple):
    """What ClickHouse holds of a section: from when on it is to be cached [epoch s], and the fingerprint since then."""

    first_ts: int
    fingerprint: str


def sync(
    cache: HotCache, warehouse: Warehouse, instruments: Sequence[str] | None = None, *, force: bool = False
) -> Warmed:
    """Read every section that the cache does not hold as ClickHouse does, in the order of the instruments.

    Args:
        cache: The cache.
        warehouse: Where rows are.
        instruments: Only these; default: all that are configured.
        force: Read all sections, whether they differ or not.

    Returns:
        What was done.

    Raises:
        CacheUnavailableError: Redis does not answer.
        WarehouseError: ClickHouse does not answer.
    """
    wanted = [part for part in sections(cache.settings) if instruments is None or part.instrument_id in instruments]
    noted = {} if force else _noted(cache)
    stored = _stored(warehouse, wanted)
    done = Warmed()
    for (instrument_id, granularity), parts in _grouped(wanted).items():
        differing = {
            section: stored[section]
            for section in parts
            if section in stored and noted.get(str(section)) != _note(stored[section])
        }
        if differing:
            done = done.plus(_refill(cache, warehouse, (instrument_id, granularity), differing))
        gone = [section for section in parts if section not in stored and (force or str(section) in noted)]
        done = done.plus(_forget(cache, gone))
    return done


def sync_alone(cache: HotCache, warehouse: Warehouse) -> Warmed | None:
    """As `sync`, unless another process is at it: then None."""
    token = str(time.time_ns())
    key = cache.commands.warming_key()
    if not cache.run("SET", key, token, "NX", "PX", _LOCK_MS):
        return None
    try:
        return sync(cache, warehouse)
    finally:
        if cache.run("GET", key) == token.encode():
            cache.run("DEL", key)


def _noted(cache: HotCache) -> dict[str, str]:
    """The note of each section that the cache still has an index of."""
    notes = {key.decode(): note.decode() for key, note in cache.run("HGETALL", cache.commands.watermark_key()).items()}
    known = cache.covered([_section(name) for name in notes])
    return {name: note for (name, note), is_known in zip(notes.items(), known, strict=True) if is_known}


def _section(name: str) -> Section:
    instrument_id, granularity, horizon = name.rsplit(":", 2)
    return Section(instrument_id, granularity, int(horizon))


def _note(stored: _Stored) -> str:
    return f"{stored.first_ts}:{stored.fingerprint}"


def _grouped(wanted: Sequence[Section]) -> dict[tuple[str, str], list[Section]]:
    groups: dict[tuple[str, str], list[Section]] = {}
    for section in wanted:
        groups.setdefault((section.instrument_id, section.granularity), []).append(section)
    return groups


def _stored(warehouse: Warehouse, wanted: Sequence[Section]) -> dict[Section, _Stored]:
    """What ClickHouse holds of those of the sections that have a row."""
    chosen: dict[str, Any] = {
        "storage": storage_name(LABELS),
        "instruments": sorted({section.instrument_id for section in wanted}),
        "horizons": sorted({section.horizon for section in wanted}),
    }
    granularities = sorted({section.granularity for section in wanted})
    newest = {
        Section(row["instrument_id"], row["granularity"], row["horizon"]): row["newest"]
        for row in warehouse.query("read_newest_labels", granularities=granularities, **chosen).to_pylist()
    }
    found: dict[Section, _Stored] = {}
    for name in granularities:
        span = span_s(warehouse.settings, name)
        firsts = {section: ts - span for section, ts in newest.items() if section.granularity == name}
        if not firsts:
            continue
        start = max(0, min(firsts.values()))
        for row in warehouse.query("read_label_fingerprints", granularity=name, start=start, **chosen).to_pylist():
            section = Section(row["instrument_id"], name, row["horizon"])
            found[section] = _Stored(max(0, firsts[section]), f"{row['found']}-{row['fingerprint']}")
    return found


def _refill(cache: HotCache, warehouse: Warehouse, group: tuple[str, str], differing: dict[Section, _Stored]) -> Warmed:
    """Read the sections of one instrument and granularity and make the cache hold exactly their rows."""
    before_version = time.time_ns() // 1000 - UNSTORED_S * 1_000_000
    rows = warehouse.query_text(
        f"SELECT {select_list(LABELS.all_columns)}, version FROM `{storage_name(LABELS)}` AS t FINAL "
        "WHERE t.instrument_id = {instrument:String} AND t.granularity = {granularity:String} "
        "AND t.horizon IN {horizons:Array(UInt16)} AND t.ts >= toDateTime({start:UInt32}, 'UTC') "
        "ORDER BY t.horizon, t.ts",
        instrument=group[0],
        granularity=group[1],
        horizons=[section.horizon for section in differing],
        start=min(stored.first_ts for stored in differing.values()),
    ).cast(LABELS.wire_schema().append(pa.field("version", pa.uint64())))
    writes, epochs = [], {}
    for section, stored in differing.items():
        kept = pc.and_(pc.equal(rows["horizon"], section.horizon), pc.greater_equal(rows["ts"], stored.first_ts))
        part = rows.filter(kept)
        epochs[section] = set(part["ts"].to_pylist())
        writes.append(Write(section, part, part["version"].to_pylist(), stored.first_ts))
    changed, removed = cache.write_all(writes), 0
    notes = {}
    for section, stored in differing.items():
        stale = [epoch for epoch in cache.epochs(section) if epoch not in epochs[section]]
        removed_here = cache.remove(section, stale, before_version) if stale else 0
        removed += removed_here
        if removed_here == len(stale):
            notes[str(section)] = _note(stored)
    _write_notes(cache, notes)
    return Warmed(len(differing), sum(len(found) for found in epochs.values()), changed, removed)


def _forget(cache: HotCache, gone: Sequence[Section]) -> Warmed:
    """Remove sections of which ClickHouse holds nothing any more."""
    removed = 0
    for section in gone:
        before_version = time.time_ns() // 1000 - UNSTORED_S * 1_000_000
        removed += cache.remove(section, cache.epochs(section), before_version)
        cache.run("HDEL", cache.commands.watermark_key(), str(section))
    return Warmed(removed=removed)


def _write_notes(cache: HotCache, notes: dict[str, str]) -> None:
    if notes:
        cache.run("HSET", cache.commands.watermark_key(), *(word for pair in notes.items() for word in pair))
