"""DDL from the catalogue, and forward migration of a database that exists.

Belongs here: statements that create or extend tables and views. Does not belong here: reading and writing rows
(`warehouse.upsert`, `warehouse.reading`), what the columns are (`catalog`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.catalog.index import TABLES
from label_assets.errors import MigrationRefusedError
from label_assets.warehouse.statements import statement

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

STORAGE_SUFFIX = "_storage"

BOOKKEEPING = (
    ("version", "UInt64", "DoubleDelta, ZSTD(1)", "Microseconds since 1970 at which the row was written; newest wins."),
    ("is_deleted", "UInt8", "ZSTD(1)", "1 for the tombstone of a row that vanished."),
)


def storage_name(table: Table) -> str:
    """Name of the table that holds the rows; the plain name is its view."""
    return table.name + STORAGE_SUFFIX


def quoted(text: str) -> str:
    """A string literal of ClickHouse SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def column_type(column: Column) -> str:
    """ClickHouse type of a column, Nullable included."""
    name = column.type.clickhouse
    if column.type is ColumnType.ENUM:
        name += "(" + ", ".join(f"{quoted(value)} = {code}" for code, value in enumerate(column.values)) + ")"
    if not column.nullable:
        return name
    return (
        name.replace("LowCardinality(String)", "LowCardinality(Nullable(String))")
        if "Low" in name
        else (f"Nullable({name})")
    )


def column_comment(column: Column) -> str:
    """One line that says all the catalogue knows of a column."""
    bounds = ""
    if column.low is not None or column.high is not None:
        low = "−∞" if column.low is None else f"{column.low:g}"
        high = "∞" if column.high is None else f"{column.high:g}"
        bounds = f" Range {low} to {high}."
    return (
        (f"Label {column.number}: " if column.number else "")
        + column.sentence
        + (f" Unit: {column.unit}." if column.unit else "")
        + bounds
        + (f" NULL {column.null}." if column.null else "")
        + (" Known at entry." if column.known_at_entry else "")
        + (f" {column.reference}." if column.reference else "")
    )


def _column_clause(column: Column) -> str:
    codec = f" CODEC({column.type.codec})" if column.type.codec else ""
    return f"`{column.name}` {column_type(column)} COMMENT {quoted(column_comment(column))}{codec}"


def create_storage(table: Table) -> str:
    """Statement that creates the storage table.

    Partitions are years, so that an upsert of a month is one part and twenty years are twenty partitions.
    """
    lines = [_column_clause(column) for column in table.all_columns]
    lines += [f"`{name}` {kind} COMMENT {quoted(text)} CODEC({codec})" for name, kind, codec, text in BOOKKEEPING]
    return (
        f"CREATE TABLE IF NOT EXISTS `{storage_name(table)}`\n(\n    "
        + ",\n    ".join(lines)
        + "\n)\nENGINE = ReplacingMergeTree(version, is_deleted)\nPARTITION BY toYear(ts)\nORDER BY ("
        + ", ".join(table.key_names)
        + f")\nCOMMENT {quoted(table.sentence + ' Every version written; read the view `' + table.name + '`.')}"
    )


def create_view(table: Table) -> str:
    """Statement that creates the view of the plain name: newest version of each row, bookkeeping dropped.

    A key never changes its year, so FINAL need not merge across partitions.
    """
    declared = ",\n    ".join(
        f"`{column.name}` {column_type(column)} COMMENT {quoted(column_comment(column))}"
        for column in table.all_columns
    )
    columns = ", ".join(f"`{name}`" for name in table.names)
    return (
        f"CREATE OR REPLACE VIEW `{table.name}`\n(\n    {declared}\n)\nAS SELECT {columns}\n"
        f"FROM `{storage_name(table)}` FINAL\n"
        "SETTINGS do_not_merge_across_partitions_select_final = 1\n"
        f"COMMENT {quoted(table.sentence)}"
    )


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
    name: str
    type: str
    comment: str
    codec: str


def _stored_columns(client: "Client") -> dict[str, list[_StoredColumn]]:
    rows = client.query(statement("read_stored_columns")).result_rows
    stored: dict[str, list[_StoredColumn]] = {}
    for table, name, kind, comment, codec in rows:
        stored.setdefault(table, []).append(_StoredColumn(name, kind, comment, codec))
    return stored


def _column_differences(table: Table, stored: list[_StoredColumn]) -> tuple[list[str], list[str]]:
    storage = storage_name(table)
    found = {column.name: column for column in stored}
    statements, refused = [], []
    previous = ""
    for column in table.all_columns:
        wanted = column_type(column)
        if column.name not in found:
            if column.nullable:
                statements.append(
                    f"ALTER TABLE `{storage}` ADD COLUMN IF NOT EXISTS {_column_clause(column)} AFTER `{previous}`"
                )
            else:
                refused.append(f"{table.name}.{column.name}: missing, and stored rows could not have NULL in it")
        elif found[column.name].type != wanted:
            refused.append(f"{table.name}.{column.name}: stored as {found[column.name].type}, wanted {wanted}")
        elif found[column.name].comment != column_comment(column):
            comment = quoted(column_comment(column))
            statements.append(f"ALTER TABLE `{storage}` COMMENT COLUMN `{column.name}` {comment}")
        previous = column.name
    known = {*table.names, *(name for name, *_ in BOOKKEEPING)}
    refused += [f"{table.name}.{name}: stored, but not in the catalogue" for name in found if name not in known]
    refused += [f"{table.name}.{name}: missing bookkeeping" for name, *_ in BOOKKEEPING if name not in found]
    return statements, refused


def plan_migration(client: "Client", tables: tuple[Table, ...] = TABLES) -> MigrationPlan:
    """Compare the client's database with the catalogue.

    Args:
        client: Connected to the database.
        tables: Tables wanted.

    Returns:
        The plan; no statements and nothing refused where the database is up to date.
    """
    stored = _stored_columns(client)
    keys = {str(name): str(key) for name, key in client.query(statement("read_sorting_keys")).result_rows}
    statements: list[str] = []
    refused: list[str] = []
    for table in tables:
        storage = storage_name(table)
        if storage not in stored:
            statements.append(create_storage(table))
        else:
            added, differences = _column_differences(table, stored[storage])
            statements += added
            refused += differences
            if keys.get(storage, "") != ", ".join(table.key_names):
                refused.append(f"{table.name}: sorted by ({keys.get(storage)}), wanted {table.key_names}")
        shown = [(column.name, column.comment) for column in stored.get(table.name, [])]
        if shown != [(column.name, column_comment(column)) for column in table.all_columns]:
            statements.append(create_view(table))
    return MigrationPlan(tuple(statements), tuple(refused))


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
