"""What a database that exists lacks of the catalogue's schema, and how it gets it.

Only what adds is done: new tables, new nullable columns, comments. Where the storage tables are Distributed, everything
is done on the whole cluster.

Belongs here: comparing and extending. Does not belong here: the text of tables (`warehouse.schema`,
`warehouse.cluster`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from label_assets.catalog.columns import Table
from label_assets.catalog.index import TABLES
from label_assets.errors import MigrationRefusedError
from label_assets.warehouse import cluster, schema
from label_assets.warehouse.statements import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True)
class MigrationPlan:
    """What it takes to bring a database to the catalogue.

    Attributes:
        statements: Statements that only add; run in this order.
        refused: Differences that no added column mends, one line each.
    """

    statements: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _StoredColumn:
    type: str
    comment: str


@dataclass(frozen=True)
class _StoredTable:
    """A table or view that exists.

    Attributes:
        sorting_key: Its sort order; "" for a view and a Distributed table.
        cluster: The cluster of a Distributed table; "" for any other.
        columns: Its columns in order, by name.
    """

    sorting_key: str
    cluster: str
    columns: dict[str, _StoredColumn]


def _stored_tables(client: "Client") -> dict[str, _StoredTable]:
    tables = {
        str(name): _StoredTable(str(key), str(cluster_name), {})
        for name, key, cluster_name in client.query(statement("read_stored_tables")).result_rows
    }
    for table, name, kind, comment in client.query(statement("read_stored_columns")).result_rows:
        if table in tables:  # else somebody made it between the two statements
            tables[table].columns[name] = _StoredColumn(kind, comment)
    return tables


def _column_differences(table: Table, name: str, stored: _StoredTable, place: str) -> tuple[list[str], list[str]]:
    statements, refused = [], []
    previous = ""
    for column in table.all_columns:
        wanted = schema.column_type(column)
        found = stored.columns.get(column.name)
        if found is None and column.nullable:
            clause = schema.column_clause(column, codecs=not stored.cluster)
            statements.append(f"ALTER TABLE `{name}`{place} ADD COLUMN IF NOT EXISTS {clause} AFTER `{previous}`")
        elif found is None:
            refused.append(f"{table.name}.{column.name}: missing, and stored rows could not have NULL in it")
        elif found.type != wanted:
            refused.append(f"{table.name}.{column.name}: stored as {found.type}, wanted {wanted}")
        elif found.comment != schema.column_comment(column):
            comment = schema.quoted(schema.column_comment(column))
            statements.append(f"ALTER TABLE `{name}`{place} COMMENT COLUMN `{column.name}` {comment}")
        previous = column.name
    bookkeeping = [kept for kept, *_ in schema.BOOKKEEPING]
    known = {*table.names, *bookkeeping}
    refused += [
        f"{table.name}.{kept}: stored, but not in the catalogue" for kept in stored.columns if kept not in known
    ]
    refused += [f"{table.name}.{kept}: missing bookkeeping" for kept in bookkeeping if kept not in stored.columns]
    return statements, refused


def plan_migration(client: "Client", tables: tuple[Table, ...] = TABLES) -> MigrationPlan:
    """Compare the client's database with the catalogue.

    Args:
        client: Connected to the database.
        tables: Tables wanted.

    Returns:
        The plan; no statements and nothing refused where the database is up to date.
    """
    stored = _stored_tables(client)
    name_of_cluster = next((table.cluster for table in stored.values() if table.cluster), "")
    place = cluster.place(name_of_cluster) if name_of_cluster else ""
    statements: list[str] = []
    refused: list[str] = []
    for table in tables:
        storage = schema.storage_name(table)
        holder = cluster.shard_name(table) if name_of_cluster else storage
        if name_of_cluster and not (storage in stored and holder in stored):
            statements += cluster.create_tables(table, name_of_cluster, client.database or "default")
        elif storage not in stored:
            statements.append(schema.create_storage(table))
        else:
            for name in dict.fromkeys((holder, storage)):
                added, differences = _column_differences(table, name, stored[name], place)
                statements += added
                refused += differences
            if stored[holder].sorting_key != ", ".join(table.key_names):
                refused.append(f"{table.name}: sorted by ({stored[holder].sorting_key}), wanted {table.key_names}")
        view = stored.get(table.name)
        shown = [(name, column.comment) for name, column in view.columns.items()] if view else []
        if shown != [(column.name, schema.column_comment(column)) for column in table.all_columns]:
            statements.append(schema.create_view(table, place))
    return MigrationPlan(tuple(statements), tuple(dict.fromkeys(refused)))


def migrate(client: "Client", tables: tuple[Table, ...] = TABLES) -> MigrationPlan:
    """Create what is missing and add columns; refuse everything else before anything is changed.

    Returns:
        The plan that was run.

    Raises:
        MigrationRefusedError: where a stored column or key differs; nothing was changed.
    """
    plan = plan_migration(client, tables)
    if plan.refused:
        raise MigrationRefusedError(
            asked=f"the schema of the catalogue in database {client.database!r}",
            found="differences that would lose or reinterpret stored rows:\n  " + "\n  ".join(plan.refused),
            allowed="new tables, new nullable columns, changed comments",
            action="set another `database`, or copy the rows by hand; nothing was changed",
        )
    for sql in plan.statements:
        client.command(sql)
    return plan
