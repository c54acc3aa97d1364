"""What an ingestion changes in raw candles that were known already, the trace of it, and how far it reaches.

Belongs here: comparing, rows of the trace. Does not belong here: what raw candles should be (`compute.candles`), how
far a row looks (`compute.reach`), writing (`warehouse.upsert`).
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.catalog.tables import CANDLE_REVISIONS, RAW_CANDLES, REVISION_CHANGES
from label_assets.compute import reach
from label_assets.compute.rows import rows_from_arrays
from label_assets.kernels.arrays import FloatArray, IntArray
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope, UpsertResult

VALUES = tuple(column.name for column in RAW_CANDLES.columns)


class History(NamedTuple):
    """Open times of the oldest and the newest raw candle that is known [epoch s]."""

    oldest: int
    newest: int


class Revisions(NamedTuple):
    """Changes of raw candles that were known, one element each, in time order; n of them.

    Attributes:
        ts: Open time of the candle [epoch s].
        change: Index into `REVISION_CHANGES`.
        before: (n, 5) open, high, low, close, volume until then; NaN where there was no candle.
        after: The same since then; NaN where there is none any more.
    """

    ts: IntArray
    change: IntArray
    before: FloatArray
    after: FloatArray


class Changes(NamedTuple):
    """All that an ingestion changes in raw candles.

    Attributes:
        revisions: What changes within known history.
        added_ts: Open times of candles that lengthen it, at its beginning or its end [epoch s].
    """

    revisions: Revisions
    added_ts: IntArray

    @property
    def span(self) -> tuple[int, int] | None:
        """Open times of the first and the last candle that changes, comes or goes [epoch s]; None if none does."""
        ts = np.concatenate([self.revisions.ts, self.added_ts])
        return (int(ts.min()), int(ts.max())) if len(ts) else None

    def counts(self) -> dict[str, int]:
        """Number of revisions by the name of the change."""
        counts = np.bincount(self.revisions.change, minlength=len(REVISION_CHANGES))
        return dict(zip(REVISION_CHANGES, counts.tolist(), strict=True))


def read_history(warehouse: Warehouse, instrument_id: str, granularity: str) -> History | None:
    """The span of the raw candles that are stored of an instrument; None where there is none."""
    row = warehouse.query("read_raw_candle_span", instrument=instrument_id, granularity=granularity).to_pylist()[0]
    return History(row["oldest"], row["newest"]) if row["found"] else None


def find_changes(granularity: str, stored: pa.Table, rows: pa.Table, history: History | None) -> Changes:
    """What changes when `stored` becomes `rows`.

    A candle that is new is a revision where it opens within known history: labels were made without it. One that
    opens before the oldest or after the newest known candle makes history longer and is none.

    Args:
        granularity: Granularity of the raw candles; rows of others are left out of account.
        stored: Raw candles of one instrument and range of time.
        rows: What they should be, any order.
        history: Span of all raw candles of the instrument before the change.
    """
    stored, rows = (table.filter(pc.equal(table["granularity"], granularity)) for table in (stored, rows))
    old_ts, new_ts = (table["ts"].to_numpy().astype(np.int64) for table in (stored, rows))
    both, old, new = np.intersect1d(old_ts, new_ts, assume_unique=True, return_indices=True)
    differs = np.zeros(len(both), bool)
    for name in VALUES:
        differs |= stored[name].to_numpy()[old] != rows[name].to_numpy()[new]
    restated_old, restated_new = old[differs], new[differs]
    removed = np.flatnonzero(~np.isin(old_ts, both, assume_unique=True))
    added = np.flatnonzero(~np.isin(new_ts, both, assume_unique=True))
    is_late = np.zeros(len(added), bool)
    if history is not None:
        is_late = (new_ts[added] > history.oldest) & (new_ts[added] < history.newest)
    late = added[is_late]
    ts = np.concatenate([old_ts[restated_old], old_ts[removed], new_ts[late]])
    order = np.argsort(ts)
    revisions = Revisions(
        ts=ts[order],
        change=np.repeat(np.arange(3), [len(restated_old), len(removed), len(late)])[order],
        before=_values(stored, np.concatenate([restated_old, removed]), missing_after=len(late))[order],
        after=np.concatenate(
            [_values(rows, restated_new, missing_after=len(removed)), _values(rows, late)],
        )[order],
    )
    return Changes(revisions, np.sort(new_ts[added[~is_late]]))


def _values(rows: pa.Table, index: IntArray, missing_after: int = 0) -> FloatArray:
    found = np.column_stack([rows[name].to_numpy()[index] for name in VALUES]).astype(np.float64)
    return np.concatenate([found, np.full((missing_after, len(VALUES)), np.nan)])


def trace(
    warehouse: Warehouse, instrument_id: str, granularity: str, revisions: Revisions, source: str, now_ts: int
) -> UpsertResult:
    """Bring revisions into `candle_revisions`; nothing is written where there is none.

    To be called before the candles themselves are written: what is stored then still shows what has to be traced, so
    a run that dies in between loses nothing, and repeating it finds its own trace and adds nothing.

    Args:
        warehouse: Where to.
        instrument_id: The instrument.
        granularity: Granularity of its raw candles.
        revisions: What is about to change.
        source: Where the change comes from.
        now_ts: The present [epoch s].
    """
    if not len(revisions.ts):
        return UpsertResult()
    scope = Scope(instrument_id, int(revisions.ts[0]), int(revisions.ts[-1]) + 1, granularity)
    constants: dict[str, str | int] = {
        "instrument_id": instrument_id,
        "granularity": granularity,
        "source": source,
        "revised_at": now_ts,
    }
    rows = revision_rows(warehouse.read(CANDLE_REVISIONS, scope), revisions, constants)
    return warehouse.upsert(CANDLE_REVISIONS, scope, rows)


def revision_rows(traced: pa.Table, revisions: Revisions, constants: dict[str, str | int]) -> pa.Table:
    """Rows of `candle_revisions` after further revisions.

    The newest traced change of a candle that starts from the values which are stored now was never carried out: the
    run died before. The change that is made now takes its place. Every other one gets the next number.

    Args:
        traced: Rows so far, in key order.
        revisions: What is about to change.
        constants: instrument_id, granularity, source and revised_at of the new rows.

    Returns:
        Rows in the wire schema, in no order.
    """
    traced_ts = traced["ts"].to_numpy().astype(np.int64)
    newest = np.searchsorted(traced_ts, revisions.ts, side="right") - 1
    known = np.flatnonzero(newest >= 0)
    known = known[traced_ts[newest[known]] == revisions.ts[known]]
    at = newest[known]
    before = np.column_stack([traced[f"{name}_before"].to_numpy()[at] for name in VALUES])
    is_pending = _same(before, revisions.before[known])
    number = np.ones(len(revisions.ts), np.int64)
    number[known] = traced["revision"].to_numpy()[at].astype(np.int64) + ~is_pending
    arrays: dict[str, NDArray[np.generic]] = {
        "ts": revisions.ts,
        "revision": number,
        "change": revisions.change,
        **{f"{name}_before": revisions.before[:, column] for column, name in enumerate(VALUES)},
        **{f"{name}_after": revisions.after[:, column] for column, name in enumerate(VALUES)},
    }
    new = rows_from_arrays(CANDLE_REVISIONS, constants, arrays, np.ones(len(revisions.ts), bool))
    stays = np.ones(traced.num_rows, bool)
    stays[at[is_pending]] = False
    return pa.concat_tables([traced.filter(pa.array(stays)), new])


def _same(left: FloatArray, right: FloatArray) -> NDArray[np.bool_]:
    """Rows that are equal in every column; NaN equals NaN."""
    equal: NDArray[np.bool_] = ((left == right) | (np.isnan(left) & np.isnan(right))).all(axis=1)
    return equal


def read_affected_months(
    warehouse: Warehouse,
    settings: Settings,
    calendar: SessionCalendar,
    instrument_id: str,
    changed: tuple[int, int],
) -> tuple[str, str]:
    """First and last month whose rows base candles that change, come or go can change; see `reach.affected_months`.

    Args:
        warehouse: Where candles are, from before the change or after it.
        settings: The settings.
        calendar: Trading session.
        instrument_id: The instrument.
        changed: Open times of the first and the last such base candle [epoch s].
    """
    opens = read_opens_around(warehouse, settings, calendar, instrument_id, changed)
    return reach.affected_months(settings, calendar, opens, *changed)


def read_opens_around(
    warehouse: Warehouse,
    settings: Settings,
    calendar: SessionCalendar,
    instrument_id: str,
    changed: tuple[int, int],
) -> dict[str, IntArray]:
    """Open times of stored candles as `reach.affected_opens` needs them; arguments as `read_affected_months`."""
    stamps = np.array(changed)
    names = (settings.base_granularity, *settings.granularities)
    # Of each granularity the same numbers on each side: one statement instead of one each.
    arounds = [reach.slice_reach(settings, name) for name in settings.granularities]
    borders = [calendar.bucket_open(stamps, name).tolist() for name in names]
    rows = warehouse.query(
        "read_opens_around",
        instrument=instrument_id,
        granularities=list(names),
        starts=[first for first, _ in borders],
        ends=[last for _, last in borders],
        before=max(around.forward for around in arounds) + 1,
        after=max(around.back for around in arounds) + 1,
    )
    ts, granularities = rows["ts"].to_numpy().astype(np.int64), rows["granularity"].to_numpy()
    return {name: ts[granularities == name] for name in names}
