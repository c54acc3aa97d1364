"""DDL from the catalogue.

Belongs here: the text of tables and views on one server. Does not belong here: a cluster's (`warehouse.cluster`), what
a database that exists lacks (`warehouse.migration`), what the columns are (`catalog`).
"""

from label_assets.catalog.columns import Column, ColumnType, Table

STORAGE_SUFFIX = "_storage"

BOOKKEEPING = (
    ("version", "UInt64", "DoubleDelta, ZSTD(1)", "Microseconds since 1970 at which the row was written; newest wins."),
    ("is_deleted", "UInt8", "ZSTD(1)", "1 for the tombstone of a row that vanished."),
)


MOST_BYTES_OF_COMPACT_PART = 128 * 2**20
"""Three times 20 years of labels of one horizon [bytes before compression]."""


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


def column_clause(column: Column, codecs: bool = True) -> str:
    """A column as CREATE TABLE and ADD COLUMN have it; tables that hold no rows take no codecs."""
    codec = f" CODEC({column.type.codec})" if column.type.codec and codecs else ""
    return f"`{column.name}` {column_type(column)} COMMENT {quoted(column_comment(column))}{codec}"


def column_clauses(table: Table, codecs: bool = True) -> str:
    """Every column of a storage table, bookkeeping included, as CREATE TABLE has them."""
    lines = [column_clause(column, codecs) for column in table.all_columns]
    lines += [
        f"`{name}` {kind} COMMENT {quoted(text)}" + (f" CODEC({codec})" if codecs else "")
        for name, kind, codec, text in BOOKKEEPING
    ]
    return "\n(\n    " + ",\n    ".join(lines) + "\n)\n"


def storage_order(table: Table) -> str:
    """How a storage table is sorted, and in which files its parts lie.

    It has no partitions, so that an upsert is one part whatever time it spans and readers see all of it or nothing.
    Years as partitions cut an instrument's history into twenty parts, whose writing took nearly twice the time.

    Parts up to a size are compact: one file for all columns, not two to four for each. That is what an upsert writes;
    what merges make of many instruments has a file a column, for queries of few columns.
    """
    return f"ORDER BY ({', '.join(table.key_names)})\nSETTINGS min_bytes_for_wide_part = {MOST_BYTES_OF_COMPACT_PART}"


def storage_comment(table: Table) -> str:
    """Comment of a storage table."""
    return quoted(f"{table.sentence} Every version written; read the view `{table.name}`.")


def create_storage(table: Table) -> str:
    """Statement that creates the storage table."""
    return (
        f"CREATE TABLE IF NOT EXISTS `{storage_name(table)}`{column_clauses(table)}"
        f"ENGINE = ReplacingMergeTree(version, is_deleted)\n{storage_order(table)}\nCOMMENT {storage_comment(table)}"
    )


def create_view(table: Table, place: str = "") -> str:
    """Statement that creates the view of the plain name: newest version of each row, bookkeeping dropped.

    The setting lets FINAL read a table that is merged to a single part as it is.

    Args:
        table: The table.
        place: What follows the view's name: ` ON CLUSTER …`, or nothing.
    """
    declared = ",\n    ".join(
        f"`{column.name}` {column_type(column)} COMMENT {quoted(column_comment(column))}"
        for column in table.all_columns
    )
    columns = ", ".join(f"`{name}`" for name in table.names)
    return (
        f"CREATE OR REPLACE VIEW `{table.name}`{place}\n(\n    {declared}\n)\nAS SELECT {columns}\n"
        f"FROM `{storage_name(table)}` FINAL\n"
        "SETTINGS do_not_merge_across_partitions_select_final = 1\n"
        f"COMMENT {quoted(table.sentence)}"
    )
