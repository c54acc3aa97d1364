"""The one way to a ClickHouse: connect, bring the schema up to date, read and write rows.

Belongs here: connections and their settings. Does not belong here: what is written (`warehouse.upsert`), schema
(`warehouse.schema`), the local server (`warehouse.embedded`).
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.errors import WarehouseError, WarehouseUnavailableError
from label_assets.settings import Settings
from label_assets.warehouse import migration
from label_assets.warehouse.statements import statement
from label_assets.warehouse.upsert import Scope, ScopeRows, UpsertResult, upsert

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
    try:
        client = clickhouse_connect.get_client(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            secure=parts.scheme == "https",
            settings=dict(CLIENT_SETTINGS),
            autogenerate_session_id=False,  # sessions would forbid two statements at once
            compress=parts.hostname not in {"127.0.0.1", "localhost", "::1"},
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


class Warehouse:
    """A ClickHouse database with the schema of the catalogue. Safe to share between threads.

    Opens nothing before its first use.
    """

    def __init__(self, settings: Settings) -> None:
        """Keep the settings."""
        self.settings = settings
        self._client: Client | None = None
        self._lock = Lock()

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

    def read(self, table: Table, scope: Scope) -> pa.Table:
        """Rows of a table within a scope, in key order, in the wire schema."""
        with _named_errors(f"rows of {table.name} for {scope.instrument_id}"):
            return read_scopes(self.client, table, [scope])

    def upsert(self, table: Table, scope: Scope, rows: pa.Table) -> UpsertResult:
        """Make the rows of a scope be exactly `rows`; see `warehouse.upsert`."""
        with _named_errors(f"rows of {table.name} for {scope.instrument_id}"):
            return upsert(self.client, table, [ScopeRows(scope, rows)], read_scopes)

    def upsert_all(self, table: Table, parts: Sequence[ScopeRows]) -> UpsertResult:
        """As `upsert`, for scopes of any instruments that do not overlap: one reading and one insert."""
        with _named_errors(f"rows of {table.name} for {len(parts)} scopes"):
            return upsert(self.client, table, parts, read_scopes)


def read_scopes(client: "Client", table: Table, scopes: Sequence[Scope]) -> pa.Table:
    """Rows of the view within some scopes, in key order, in the wire schema."""
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
    sql = (
        f"SELECT {select_list(table.all_columns)} FROM `{table.name}` AS t WHERE {' OR '.join(conditions)} "
        f"ORDER BY {', '.join(f't.{name}' for name in table.key_names)}"
    )
    return _whole(client.query_arrow(sql, parameters=parameters, use_strings=True)).cast(table.wire_schema())


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
