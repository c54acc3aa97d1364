"""DDL of a ClickHouse cluster: the same names and columns, the rows spread over shards and replicas.

Each `…_storage`, which the product writes and the views read, becomes a Distributed table over `…_shard`, which holds
the rows of a shard's instruments and is replicated. An upsert holds one instrument, so it is still one insert into one
shard, and FINAL still sees all versions of a row in one place.

Belongs here: what differs from one server. Does not belong here: columns and sort order (`warehouse.schema`), adding
what a database lacks (`warehouse.migration`).
"""

import re
from collections.abc import Iterable

from label_assets.catalog.columns import Table
from label_assets.catalog.index import TABLES
from label_assets.errors import SettingsError
from label_assets.warehouse import schema

SHARD_SUFFIX = "_shard"

SHARDING_KEY = "cityHash64(instrument_id)"
"""All rows of an instrument lie in one shard: what reads or writes one instrument asks one server."""

REPLICA_PATH = "/clickhouse/tables/{shard}/{database}/{table}"
"""Where Keeper holds what replicas agree on; `{shard}` and `{replica}` are macros of every server's configuration."""


def shard_name(table: Table) -> str:
    """Name of the table that holds the rows of one shard."""
    return table.name + SHARD_SUFFIX


def place(cluster: str) -> str:
    """The clause that makes a statement run on every server.

    Raises:
        SettingsError: for what is no name of a cluster.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*|\{cluster\}", cluster):
        raise SettingsError(
            asked=f"DDL for the cluster {cluster!r}",
            found="characters that no name of a cluster has",
            allowed="letters, digits, `_`, `-` and `.`, as in <remote_servers> of the servers; or the macro {cluster}",
            action="name it as SELECT DISTINCT cluster FROM system.clusters shows it",
        )
    return f" ON CLUSTER `{cluster}`" if cluster != "{cluster}" else " ON CLUSTER '{cluster}'"


def create_tables(table: Table, cluster: str, database: str) -> list[str]:
    """Statements that create the replicated table of each shard and the one that spans the shards."""
    shard, where = shard_name(table), place(cluster)
    comment = schema.quoted(f"The rows of one shard; read the view `{table.name}`.")
    return [
        f"CREATE TABLE IF NOT EXISTS `{shard}`{where}{schema.column_clauses(table)}"
        f"ENGINE = ReplicatedReplacingMergeTree('{REPLICA_PATH}', '{{replica}}', version, is_deleted)\n"
        f"{schema.storage_order(table)}\nCOMMENT {comment}",
        f"CREATE TABLE IF NOT EXISTS `{schema.storage_name(table)}`{where}{schema.column_clauses(table, codecs=False)}"
        f"ENGINE = Distributed('{cluster}', '{database}', '{shard}', {SHARDING_KEY})\n"
        f"COMMENT {schema.storage_comment(table)}",
    ]


def create_statements(cluster: str, database: str, tables: Iterable[Table] = TABLES) -> list[str]:
    """Everything that a new database needs, in order; every statement may be repeated.

    Args:
        cluster: Name of the cluster; "" for one server.
        database: Name of the database.
        tables: Tables wanted.
    """
    where = place(cluster) if cluster else ""
    statements = [f"CREATE DATABASE IF NOT EXISTS `{database}`{where} ENGINE = Atomic", f"USE `{database}`"]
    for table in tables:
        statements += create_tables(table, cluster, database) if cluster else [schema.create_storage(table)]
        statements.append(schema.create_view(table, where))
    return statements
