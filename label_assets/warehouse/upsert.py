"""The only way anything is written: make the rows of a scope be exactly what they should be.

What should be is compared with what is. The changed rows and the tombstones of vanished rows go into one insert with
one version, which is one part: readers of the view see all of it or nothing. An unchanged scope writes nothing, so
every write may be repeated, and two writers with the same rows end in the same state as one.

Belongs here: comparing and inserting. Does not belong here: connections (`warehouse.client`), DDL (`warehouse.schema`).
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from label_assets.catalog.columns import Table
from label_assets.errors import WarehouseError
from label_assets.warehouse.schema import storage_name
from label_assets.warehouse.statements import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MOST_ROWS = 2_000_000
"""Rows of one insert at most, 80 years of M15 or five of M1 candles: more would take more than a gigabyte."""


@dataclass(frozen=True)
class Scope:
    """What an upsert owns: every row of one instrument that opens in [start_ts, end_ts).

    Attributes:
        instrument_id: The instrument.
        start_ts: First open time [epoch s].
        end_ts: End of the open times, not included [epoch s].
        granularity: Only rows of this granularity; None for all.
    """

    instrument_id: str
    start_ts: int
    end_ts: int
    granularity: str | None = None


@dataclass(frozen=True)
class UpsertResult:
    """What an upsert did.

    Attributes:
        rows: Rows that the scope holds now.
        rows_written: New or changed rows.
        rows_unchanged: Rows that were there already.
        rows_removed: Rows that vanished.
        read_ms: Time to read what was there [ms].
        write_ms: Time to compare and insert [ms].
        written_ts: Open time of each row written [epoch s].
        removed_ts: Open time of each row removed [epoch s].
        version: Newest version that the scopes hold now, 0 where nothing was ever stored.
        version_before: Newest version that they held before.
    """

    rows: int = 0
    rows_written: int = 0
    rows_unchanged: int = 0
    rows_removed: int = 0
    read_ms: float = 0.0
    write_ms: float = 0.0
    written_ts: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32), repr=False, compare=False)
    removed_ts: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32), repr=False, compare=False)
    version: int = field(default=0, compare=False)
    version_before: int = field(default=0, compare=False)

    def __add__(self, other: "UpsertResult") -> "UpsertResult":
        """Both together."""
        return UpsertResult(
            self.rows + other.rows,
            self.rows_written + other.rows_written,
            self.rows_unchanged + other.rows_unchanged,
            self.rows_removed + other.rows_removed,
            self.read_ms + other.read_ms,
            self.write_ms + other.write_ms,
            np.concatenate([self.written_ts, other.written_ts]),
            np.concatenate([self.removed_ts, other.removed_ts]),
            max(self.version, other.version),
            max(self.version_before, other.version_before),
        )


class ScopeRows(NamedTuple):
    """What should be in a scope.

    Attributes:
        scope: What is owned. Stored rows inside it that `rows` does not hold are removed.
        rows: What should be, in the table's wire schema, any order, no key twice, all inside the scope.
    """

    scope: Scope
    rows: pa.Table


class StoredRows(NamedTuple):
    """What is in some scopes.

    Attributes:
        rows: The rows in key order, in the table's wire schema.
        newest: Newest version of them, tombstones included; 0 where nothing was ever stored.
    """

    rows: pa.Table
    newest: int


Reader = Callable[["Client", Table, Sequence[Scope]], StoredRows]

MANY_COLUMNS = 40
"""To plan the reading of a table of so many columns takes 20 to 80 ms, to look whether there is anything to read 12."""


def upsert(
    client: "Client", table: Table, parts: Sequence[ScopeRows], read: Reader, version: int | None = None
) -> UpsertResult:
    """Make the rows of some scopes be exactly what they should be, with one insert for all of them.

    Where that would be more than `MOST_ROWS` rows there are several inserts, one after the other; a scope that has
    more is cut in time.

    Args:
        client: Connection to the database.
        table: The table.
        parts: Scopes that do not overlap, with their rows.
        read: Gives what is stored in some scopes, in key order.
        version: When the rows were made [microseconds since 1970]; default: now. What is stored with the same or a
            newer one is replaced all the same.

    Returns:
        Counts and times over all scopes.

    Raises:
        WarehouseError: for rows outside their scope, of which nothing was written; or a key that occurs twice, of
            whose insert nothing was.
    """
    ordered = [ScopeRows(scope, in_key_order(table, rows)) for scope, rows in parts]
    for scope, rows in ordered:
        _refuse_strangers(table, scope, rows, rows["ts"].to_numpy())
    result = UpsertResult()
    for batch in _batches(ordered):
        rows = batch[0].rows if len(batch) == 1 else in_key_order(table, pa.concat_tables([p.rows for p in batch]))
        result += _upsert_batch(client, table, [part.scope for part in batch], rows, read, version)
    return result


def in_key_order(table: Table, rows: pa.Table) -> pa.Table:
    """Rows in the table's wire schema, in one chunk, in key order; those that are so already as they are.

    Raises:
        WarehouseError: for a key that occurs twice.
    """
    rows = rows.cast(table.wire_schema()).combine_chunks()
    keys = [_ranks(rows[name]) for name in table.key_names]
    if _is_increasing(keys):
        return rows
    order = np.lexsort(keys[::-1])
    keys = [key[order] for key in keys]
    if not _is_increasing(keys):
        equal = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
        twice = rows.slice(int(order[1:][equal][0]), 1).select(table.key_names).to_pylist()[0]
        raise WarehouseError(
            asked=f"{rows.num_rows} rows of {table.name}",
            found=f"a key that occurs twice: {twice}",
            allowed="each key once",
            action="remove the duplicate before writing; nothing was written",
        )
    return rows.take(pa.array(order)).combine_chunks()


def _ranks(column: pa.ChunkedArray) -> NDArray[Any]:
    """Numbers that are equal where, and ordered as, the values are."""
    if not pa.types.is_string(column.type):
        return np.asarray(column.to_numpy())
    encoded = column.combine_chunks().dictionary_encode()
    rank = np.argsort(np.argsort(encoded.dictionary.to_numpy(zero_copy_only=False)))
    return np.asarray(rank[encoded.indices.to_numpy()])


def _is_increasing(keys: Sequence[NDArray[Any]]) -> bool:
    """Whether each row's key is greater than the one before."""
    equal = np.ones(max(0, len(keys[0]) - 1), bool)
    greater = np.zeros_like(equal)
    for key in keys:
        greater |= equal & (key[1:] > key[:-1])
        equal &= key[1:] == key[:-1]
    return bool(greater.all())


def _batches(parts: Sequence[ScopeRows]) -> Iterator[list[ScopeRows]]:
    """The parts in inserts of at most `MOST_ROWS` rows."""
    batch: list[ScopeRows] = []
    for part in parts:
        for piece in _cut(part):
            if batch and sum(other.rows.num_rows for other in batch) + piece.rows.num_rows > MOST_ROWS:
                yield batch
                batch = []
            batch.append(piece)
    if batch:
        yield batch


def _cut(part: ScopeRows) -> list[ScopeRows]:
    """A part, cut in time where it has too many rows for one insert; rows of one time stay together."""
    scope, rows = part
    number = -(-rows.num_rows // MOST_ROWS)
    if number <= 1:
        return [part]
    ts = rows["ts"].to_numpy()
    places = len(ts) * np.arange(1, number) // number
    cuts = [scope.start_ts, *np.unique(np.partition(ts, places)[places]).tolist(), scope.end_ts]
    return [
        ScopeRows(
            replace(scope, start_ts=start, end_ts=end),
            rows.filter(pa.array((ts >= start) & (ts < end))).combine_chunks(),
        )
        for start, end in itertools.pairwise(cuts)
        if start < end
    ]


def _refuse_strangers(table: Table, scope: Scope, rows: pa.Table, ts: NDArray[np.uint32]) -> None:
    outside = (ts < scope.start_ts) | (ts >= scope.end_ts)
    others = pc.sum(pc.not_equal(rows["instrument_id"], scope.instrument_id)).as_py() or 0
    if scope.granularity is not None:
        others += pc.sum(pc.not_equal(rows["granularity"], scope.granularity)).as_py() or 0
    if outside.any() or others:
        raise WarehouseError(
            asked=f"{rows.num_rows} rows of {table.name} for {scope}",
            found=f"{int(outside.sum())} rows outside its time range, {others} of others than it names",
            allowed="rows inside the scope",
            action="report this: the asset computed more than it owns",
        )


def _upsert_batch(
    client: "Client", table: Table, scopes: Sequence[Scope], rows: pa.Table, read: Reader, made: int | None
) -> UpsertResult:
    started = time.perf_counter()
    stored, newest = _stored(client, table, scopes, read)
    read_done = time.perf_counter()
    changed, vanished = _difference(table, rows, stored)
    version = newest
    if len(changed) or len(vanished):
        # A clock that was set back must not lose to old rows.
        version = max(made or time.time_ns() // 1_000, version + 1)
        _insert(client, table, version, _taken(rows, changed), _taken(stored, vanished))
    return UpsertResult(
        rows=rows.num_rows,
        rows_written=len(changed),
        rows_unchanged=rows.num_rows - len(changed),
        rows_removed=len(vanished),
        read_ms=(read_done - started) * 1e3,
        write_ms=(time.perf_counter() - read_done) * 1e3,
        written_ts=rows["ts"].to_numpy()[changed],
        removed_ts=stored["ts"].to_numpy()[vanished],
        version=version,
        version_before=newest,
    )


def _stored(client: "Client", table: Table, scopes: Sequence[Scope], read: Reader) -> StoredRows:
    if len(table.columns) >= MANY_COLUMNS and not stored_versions(client, [table], scopes)[0].newest:
        return StoredRows(table.wire_schema().empty_table(), 0)
    return read(client, table, scopes)


class StoredVersions(NamedTuple):
    """Versions of a table within some scopes, or a little around them; tombstones included.

    Attributes:
        newest: The newest version, 0 where nothing was ever stored.
        older: The newest one below a given one, 0 where there is none.
    """

    newest: int
    older: int


def stored_versions(
    client: "Client", tables: Sequence[Table], scopes: Sequence[Scope], below: Sequence[int] = ()
) -> list[StoredVersions]:
    """Versions of each table within some scopes; `older` is the newest one below the table's `below`, default 0.

    One statement for all: one each would take 12 ms, of which seven are the way to the server.
    """
    granularities = {scope.granularity for scope in scopes}
    text = statement("read_newest_version")
    parts = [text.replace("{table:", f"{{table{k}:").replace("{below:", f"{{below{k}:") for k in range(len(tables))]
    found = client.query(
        " UNION ALL ".join(f"SELECT {k} AS place, newest, older FROM ({part})" for k, part in enumerate(parts)),
        parameters={
            "instruments": sorted({scope.instrument_id for scope in scopes}),
            "granularities": [] if None in granularities else sorted(map(str, granularities)),
            "start": min(scope.start_ts for scope in scopes),
            "end": max(scope.end_ts for scope in scopes),
            **{f"table{k}": storage_name(table) for k, table in enumerate(tables)},
            **{f"below{k}": version for k, version in enumerate(below or [0] * len(tables))},
        },
    ).result_rows
    return [StoredVersions(int(newest), int(older)) for _, newest, older in sorted(found, key=lambda row: int(row[0]))]


def _taken(rows: pa.Table, index: NDArray[np.int64]) -> pa.Table:
    """Rows by their index; the table itself where that is all of them in order."""
    is_whole = len(index) == rows.num_rows and bool((np.diff(index) == 1).all())
    return rows if is_whole else rows.take(pa.array(index))


def _difference(table: Table, rows: pa.Table, stored: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the rows to write and of the stored rows to remove. Both in key order, each key once."""
    everything, nothing = np.arange(rows.num_rows), np.empty(0, np.int64)
    if not stored.num_rows:
        return everything, nothing
    if rows.select(table.key_names).equals(stored.select(table.key_names)):
        return np.flatnonzero(~_equal_rows(table, rows, stored)), nothing
    keys = _key_codes(table, rows, stored)
    ours, theirs = keys[: rows.num_rows], keys[rows.num_rows :]
    place = np.searchsorted(ours, theirs)
    present = np.append(ours, -1)[place] == theirs
    match = place[present]
    same = _equal_rows(table, rows.take(pa.array(match)), stored.filter(pa.array(present)))
    return np.delete(everything, match[same]), np.flatnonzero(~present)


def _key_codes(table: Table, rows: pa.Table, stored: pa.Table) -> NDArray[np.int64]:
    """One integer a row of both tables that is equal where, and ordered as, the keys are."""
    codes = np.zeros(rows.num_rows + stored.num_rows, np.int64)
    for name in table.key_names:
        values = _ranks(pa.chunked_array([*rows[name].chunks, *stored[name].chunks], type=rows[name].type))
        different, rank = np.unique(values, return_inverse=True)
        codes = codes * len(different) + rank
    return codes


def _equal_rows(table: Table, left: pa.Table, right: pa.Table) -> NDArray[np.bool_]:
    same = np.ones(left.num_rows, bool)
    for column in table.columns:
        if column.name in table.uncompared:
            continue
        a, b = left[column.name], right[column.name]
        if pa.types.is_list(a.type):
            same &= _equal_lists(a.combine_chunks(), b.combine_chunks())
            continue
        equal = pc.fill_null(pc.equal(a, b), False)
        if column.nullable:
            equal = pc.or_(equal, pc.and_(pc.is_null(a), pc.is_null(b)))
        same &= equal.to_numpy(zero_copy_only=False)
    return same


def _equal_lists(left: pa.ListArray, right: pa.ListArray) -> NDArray[np.bool_]:
    """Whether lists without NULL are equal, element by element; pyarrow compares no lists."""
    lengths = pc.list_value_length(left).to_numpy()
    same: NDArray[np.bool_] = lengths == pc.list_value_length(right).to_numpy()
    alike = pa.array(same)
    rows = np.repeat(np.flatnonzero(same), lengths[same])
    a, b = left.filter(alike).flatten().to_numpy(), right.filter(alike).flatten().to_numpy()
    same[rows[a != b]] = False
    return same


def _insert(client: "Client", table: Table, version: int, changed: pa.Table, vanished: pa.Table) -> None:
    both = pa.concat_tables([changed, vanished])
    deleted = np.zeros(both.num_rows, np.uint8)
    deleted[changed.num_rows :] = 1
    both = both.append_column("version", pa.array(np.full(both.num_rows, version, np.uint64)))
    both = both.append_column("is_deleted", pa.array(deleted))
    client.insert_arrow(storage_name(table), both.combine_chunks())
