"""The one way to a ClickHouse: connect, bring the schema up to date, read and write rows.

Belongs here: connections and their settings. Does not belong here: what is written (`warehouse.upsert`), schema
(`warehouse.schema`), the local server (`warehouse.embedded`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.errors import WarehouseError, WarehouseUnavailableError
from label_assets.settings import Settings
from label_assets.warehouse import migration
from label_assets.warehouse.schema import storage_name
from label_assets.warehouse.statements import statement
from label_assets.warehouse.upsert import (
    Scope,
    ScopeRows,
    StoredRows,
    UpsertResult,
    in_key_order,
    stored_versions,
    upsert,
)

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MAX_ROWS_PER_INSERT = 16_777_216

CLIENT_SETTINGS = {
    # One insert must be one part: async_insert became the default in 26.3, and blocks are cut at a million rows.
    "async_insert": 0,
    "max_insert_block_size": MAX_ROWS_PER_INSERT,
    "min_insert_block_size_rows": MAX_ROWS_PER_INSERT,
    "min_insert_block_size_bytes": 0,
    "input_format_parallel_parsing": 0,
    "max_insert_threads": 1,
    "optimize_on_insert": 0,  # it looks for keys that occur twice, row by row: an upsert has none
    "distributed_foreground_insert": 1,  # on a cluster: acknowledged means stored in the shard, not queued before it
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
}


def address(settings: Settings) -> str:
    """URL of the ClickHouse in use, starting the embedded one where none is configured.

    Raises:
        EmbeddedServerError: if the embedded server does not start.
    """
    if settings.clickhouse_url:
        return settings.clickhouse_url
    from label_assets.warehouse.embedded.clickhouse import ensure_running  # noqa: PLC0415 - only where it is used

    return ensure_running(settings.home).url


def server_message(error: Exception) -> str:
    """What ClickHouse said, without the wrapping of the client and of HTTP."""
    text = str(error).strip()
    said = re.search(r"DB::Exception: (.*?)(?: \(version [^)]*\)+|$)", text, flags=re.DOTALL)
    return " ".join((said[1] if said else text.splitlines()[0]).split()).rstrip(". ")


def shown(url: str) -> str:
    """The URL without its password, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port}" if parts.port else f"{parts.scheme}://{parts.hostname}"


def connect(url: str, database: str) -> "Client":
    """Open a client; creates the database if it does not exist or is not to be seen.

    Args:
        url: `http(s)://user:password@host:port`.
        database: Database that every statement runs in.

    Raises:
        WarehouseUnavailableError: if no server answers there or it refuses the credentials.
    """
    import clickhouse_connect  # noqa: PLC0415 - a tenth of a second that `--help` need not pay
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    parts = urlsplit(url)
    is_local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    try:
        client = clickhouse_connect.get_client(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=parts.scheme == "https",
            settings=CLIENT_SETTINGS | ({"output_format_arrow_compression_method": "none"} if is_local else {}),
            autogenerate_session_id=False,  # sessions would forbid two statements at once
            compress=not is_local,
            client_name="label_assets",
        )
        if not client.command("EXISTS DATABASE {name:Identifier}", parameters={"name": database}):
            client.command(f"CREATE DATABASE IF NOT EXISTS `{database}` ENGINE = Atomic")  # a reader may not
    except (ClickHouseError, OSError) as error:
        raise WarehouseUnavailableError(
            asked=f"ClickHouse at {shown(url)}, database {database!r}",
            found=server_message(error),
            allowed="a server that answers over HTTP and a user that may create the database",
            action="check CLICKHOUSE_URL (http://user:password@host:port), or unset it to use the embedded server",
        ) from error
    client.database = database
    return client


def select_list(columns: tuple[Column, ...]) -> str:
    """Columns as they travel: times and enumerations as integers."""
    parts = []
    for column in columns:
        if column.type is ColumnType.TIME:
            parts.append(f"toUnixTimestamp(`{column.name}`) AS `{column.name}`")
        elif column.type is ColumnType.ENUM:
            parts.append(
                f"CAST(`{column.name}` AS {'Nullable(Int8)' if column.nullable else 'Int8'}) AS `{column.name}`"
            )
        else:
            parts.append(f"`{column.name}`")
    return ", ".join(parts)


class _Written(NamedTuple):
    """What was written last into a scope.

    Attributes:
        version: Its version, or the newest one where nothing had changed.
        version_before: Newest version before.
        rows: The rows in key order.
        is_exact: Columns that are not compared are as stored, too.
    """

    version: int
    version_before: int
    rows: pa.Table
    is_exact: bool


class Warehouse:
    """A ClickHouse database with the schema of the catalogue. Safe to share between threads.

    Opens nothing before its first use.
    """

    def __init__(self, settings: Settings, kept_bytes: int = 0) -> None:
        """Keep the settings.

        Args:
            settings: The settings.
            kept_bytes: Memory for rows that were written and will be read again (`read_written`) [bytes].
        """
        self.settings = settings
        self._client: Client | None = None
        self._lock = Lock()
        self._kept_bytes = kept_bytes
        self._written: dict[tuple[str, Scope], _Written] = {}

    @property
    def client(self) -> "Client":
        """The connection, with the schema brought up to date on first use.

        Raises:
            WarehouseUnavailableError: if there is no such server.
            MigrationRefusedError: if the stored schema cannot be extended to the catalogue's.
        """
        with self._lock:
            if self._client is None:
                client = connect(address(self.settings), self.settings.database)
                migration.migrate(client)
                self._client = client
            return self._client

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None
            self._written.clear()

    def query(self, name: str, **parameters: Any) -> pa.Table:
        """Run `warehouse/sql/<name>.sql` and return its rows."""
        with _named_errors(f"statement {name}"):
            return self._rows(statement(name), parameters)

    def query_text(self, sql: str, **parameters: Any) -> pa.Table:
        """Run a statement that was put together from the catalogue and return its rows."""
        with _named_errors(f"statement {sql[:60]!r}…"):
            return self._rows(sql, parameters)

    def _rows(self, sql: str, parameters: dict[str, Any]) -> pa.Table:
        return _whole(self.client.query_arrow(sql, parameters=parameters, use_strings=True))

    def read_view(self, table: Table, scope: Scope) -> pa.Table:
        """As `read`, through the view that people query: what a check must look at."""
        with _named_errors(f"rows of {table.name} for {scope.instrument_id}"):
            return read_scopes(self.client, table, [scope])

    def read(self, table: Table, scope: Scope, names: Sequence[str] = ()) -> pa.Table:
        """Rows of a table within a scope, in key order, in the wire schema; only some columns where they are named."""
        with _named_errors(f"rows of {table.name} for {scope.instrument_id}"):
            return read_newest(self.client, table, [scope], names).rows

    def read_all(self, table: Table, scopes: Sequence[Scope], names: Sequence[str] = ()) -> pa.Table:
        """As `read`, of scopes that do not overlap, in one statement."""
        with _named_errors(f"rows of {table.name} for {len(scopes)} scopes"):
            return read_newest(self.client, table, scopes, names).rows

    def read_written(self, table: Table, scope: Scope, *, exact: bool = True) -> pa.Table:
        """As `read`: the rows that this object wrote there itself, if it kept them and nobody else wrote since.

        Args:
            table: The table.
            scope: A scope that was written as such.
            exact: Columns that are not compared (`Table.uncompared`) are needed as stored.
        """
        written = self.written(table, scope, exact=exact)
        return self.read(table, scope) if written is None else written

    def written(self, table: Table, scope: Scope, *, exact: bool = True) -> pa.Table | None:
        """As `read_written`; None if they are to be read."""
        return self._still_ours([table], scope, exact=exact).get(table.name)

    def read_all_written(self, tables: Sequence[Table], scope: Scope) -> dict[str, pa.Table]:
        """As `read_written` for several tables, by their names: whether anybody else wrote is asked once for all."""
        ours = self._still_ours(tables, scope, exact=True)
        return {table.name: ours[table.name] if table.name in ours else self.read(table, scope) for table in tables}

    def _still_ours(self, tables: Sequence[Table], scope: Scope, *, exact: bool) -> dict[str, pa.Table]:
        """Rows that this object wrote, kept and that nobody wrote over, by the names of their tables."""
        kept = {table.name: self._written.get((table.name, scope)) for table in tables}
        known = {name: each for name, each in kept.items() if each is not None and (each.is_exact or not exact)}
        if not known:
            return {}
        with _named_errors(f"versions of {', '.join(known)} for {scope.instrument_id}"):
            found = stored_versions(
                self.client,
                [table for table in tables if table.name in known],
                [scope],
                below=[each.version for each in known.values()],
            )
        return {
            name: each.rows
            for (name, each), versions in zip(known.items(), found, strict=True)
            if versions.newest == each.version and versions.older <= each.version_before
        }

    def upsert(self, table: Table, scope: Scope, rows: pa.Table) -> UpsertResult:
        """Make the rows of a scope be exactly `rows`; see `warehouse.upsert`."""
        with _named_errors(f"rows of {table.name} for {scope.instrument_id}"):
            ordered = in_key_order(table, rows)
            result = upsert(self.client, table, [ScopeRows(scope, ordered)], read_newest)
        # What is not compared may still be older in the rows that were not written.
        is_exact = not (table.uncompared and result.rows_unchanged)
        self._keep(table, scope, _Written(result.version, result.version_before, ordered, is_exact))
        return result

    def _keep(self, table: Table, scope: Scope, written: "_Written") -> None:
        """Keep the rows written last, as many as there is room for."""
        if not self._kept_bytes:
            return
        with self._lock:
            self._written.pop((table.name, scope), None)
            self._written[(table.name, scope)] = written
            room = self._kept_bytes
            for key in reversed(list(self._written)):
                room -= self._written[key].rows.nbytes
                if room < 0:
                    del self._written[key]

    def upsert_all(self, table: Table, parts: Sequence[ScopeRows], version: int | None = None) -> UpsertResult:
        """As `upsert`, for scopes of any instruments that do not overlap: one reading and one insert."""
        with _named_errors(f"rows of {table.name} for {len(parts)} scopes"):
            return upsert(self.client, table, parts, read_newest, version)


def read_scopes(client: "Client", table: Table, scopes: Sequence[Scope]) -> pa.Table:
    """Rows of the view within some scopes, in key order, in the wire schema."""
    conditions, parameters = _within(scopes)
    sql = (
        f"SELECT {select_list(table.all_columns)} FROM `{table.name}` AS t WHERE {conditions} "
        f"ORDER BY {', '.join(f't.{name}' for name in table.key_names)}"
    )
    return _whole(client.query_arrow(sql, parameters=parameters, use_strings=True)).cast(table.wire_schema())


def read_newest(client: "Client", table: Table, scopes: Sequence[Scope], names: Sequence[str] = ()) -> StoredRows:
    """As `read_scopes`, for half of its time: the newest version of each row is found here, not by FINAL.

    Args:
        client: Connection to the database.
        table: The table.
        scopes: Scopes that do not overlap.
        names: Columns wanted; all where none is named.
    """
    names = names or table.names
    given = {"instrument_id", "granularity"} if len(scopes) == 1 and scopes[0].granularity is not None else set()
    keys = [name for name in table.key_names if name not in given]
    conditions, parameters = _within(scopes)
    columns = select_list(tuple(column for column in table.all_columns if column.name in {*names, *keys}))
    sql = (
        f"SELECT {columns}, t.version, t.is_deleted FROM `{storage_name(table)}` AS t "
        f"WHERE {conditions} ORDER BY {', '.join(f't.{name}' for name in table.key_names)}, t.version"
    )
    found = _whole(client.query_arrow(sql, parameters=parameters, use_strings=True))
    version = found["version"].to_numpy()
    newest = int(version.max(initial=0))
    is_followed = np.zeros(found.num_rows, bool)  # by another version of the same row
    if found.num_rows > 1:
        equal = [pc.equal(found[name].slice(1), found[name].slice(0, found.num_rows - 1)) for name in keys]
        is_followed[:-1] = np.logical_and.reduce([each.to_numpy() for each in equal])
        if (is_followed[:-1] & (version[1:] == version[:-1])).any():
            # Which of the two is shown is up to the server.
            return StoredRows(read_scopes(client, table, scopes).select(names), newest)
    is_kept = ~is_followed & (found["is_deleted"].to_numpy() == 0)
    rows = found.select(names).cast(pa.schema([table.wire_schema().field(name) for name in names]))
    return StoredRows(rows if is_kept.all() else rows.filter(pa.array(is_kept)).combine_chunks(), newest)


def _within(scopes: Sequence[Scope]) -> tuple[str, dict[str, Any]]:
    """The condition that a row `t` lies in one of some scopes, and its parameters."""
    ranges: dict[tuple[int, int, str | None], list[str]] = {}
    for scope in scopes:
        ranges.setdefault((scope.start_ts, scope.end_ts, scope.granularity), []).append(scope.instrument_id)
    conditions, parameters = [], dict[str, Any]()
    for number, ((start_ts, end_ts, granularity), instruments) in enumerate(ranges.items()):
        names = "= {i%d:String}" if len(instruments) == 1 else "IN {i%d:Array(String)}"
        conditions.append(
            f"(t.instrument_id {names % number} AND t.ts >= toDateTime({{s{number}:UInt32}}, 'UTC') "
            f"AND t.ts < toDateTime({{e{number}:UInt32}}, 'UTC')"
            + (f" AND t.granularity = {{g{number}:String}})" if granularity is not None else ")")
        )
        parameters[f"i{number}"] = instruments[0] if len(instruments) == 1 else instruments
        parameters |= {f"s{number}": start_ts, f"e{number}": end_ts}
        if granularity is not None:
            parameters[f"g{number}"] = granularity
    return f"({' OR '.join(conditions)})", parameters


def _whole(answer: Any) -> pa.Table:
    if not isinstance(answer, pa.Table):
        raise WarehouseError(
            asked="rows as an Arrow table",
            found=type(answer).__name__,
            allowed="a pyarrow.Table",
            action="check that clickhouse-connect is within the bounds of pyproject.toml",
        )
    return answer.combine_chunks()


@contextmanager
def _named_errors(asked: str) -> Iterator[None]:
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    try:
        yield
    except ClickHouseError as error:
        raise WarehouseError(
            asked=asked,
            found=server_message(error),
            allowed="a statement that the server carries out",
            action="see the server's log; every write may be repeated as it is",
        ) from error
