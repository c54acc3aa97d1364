"""DDL of a cluster: the real parser takes each statement, the engines take the tables, the product runs on Distributed.

A cluster of one shard works in one process, and with ClickHouse's own stand-in for Keeper (`testkeeper`) replicated
tables can be made. Two things cannot be done there and are taken off where needed: ON CLUSTER, and inserts into
replicated tables, which hang on the stand-in.
"""

import dataclasses
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path

import pytest

from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.index import TABLES
from label_assets.catalog.tables import CANDLES
from label_assets.errors import SettingsError
from label_assets.settings import Settings, load_settings
from label_assets.warehouse import cluster, migration
from label_assets.warehouse.client import Warehouse, connect
from label_assets.warehouse.embedded import clickhouse
from label_assets_tests.warehouse.test_upsert import START, WHOLE, candle_table, parts, stored

CLUSTER = "prod"
ON_CLUSTER = f" ON CLUSTER `{CLUSTER}`"
REPLICATED = f"ReplicatedReplacingMergeTree('{cluster.REPLICA_PATH}', '{{replica}}', "

SERVER_CONFIGURATION = f"""<clickhouse>
  <tcp_port>9000</tcp_port>
  <remote_servers><{CLUSTER}><shard><internal_replication>true</internal_replication>
    <replica><host>localhost</host><port>9000</port></replica></shard></{CLUSTER}></remote_servers>
  <zookeeper><implementation>testkeeper</implementation></zookeeper>
  <macros><shard>01</shard><replica>r1</replica></macros>
</clickhouse>"""


@pytest.fixture(scope="module")
def cluster_url() -> Iterator[str]:
    """Address of an engine that is a cluster of one shard."""
    home = Path(tempfile.mkdtemp(prefix="label_assets_cluster_"))
    (home / ".clickhouse-local").mkdir()
    (home / ".clickhouse-local" / "config.xml").write_text(SERVER_CONFIGURATION)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOME", str(home))  # where the engine looks for its configuration
        endpoint = clickhouse.ensure_running(home)
    yield endpoint.url
    os.kill(endpoint.pid, signal.SIGKILL)  # with the stand-in for Keeper it takes 20 s to end in order
    shutil.rmtree(home, ignore_errors=True)


def create(url: str, database: str, *replacements: tuple[str, str]) -> None:
    client = connect(url, database)
    for statement in cluster.create_statements(CLUSTER, database):
        sql = reduce(lambda text, pair: text.replace(*pair), replacements, statement.replace(ON_CLUSTER, ""))
        if not sql.startswith("USE"):
            client.command(sql)
    client.close()


@pytest.fixture
def on_cluster(cluster_url: str, tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse whose tables the printed statements made, less replication."""
    database = f"t_{uuid.uuid4().hex[:12]}"
    create(cluster_url, database, (REPLICATED, "ReplacingMergeTree("))
    warehouse = Warehouse(load_settings(home=tmp_path, clickhouse_url=cluster_url, database=database))
    yield warehouse
    warehouse.close()


def test_the_parser_takes_every_statement(warehouse: Warehouse) -> None:
    statements = cluster.create_statements(CLUSTER, "label_assets")
    assert len(statements) == 2 + 3 * len(TABLES)
    for sql in statements:
        formatted = str(warehouse.client.query("SELECT formatQuery({q:String})", {"q": sql}).result_rows[0][0])
        assert ("ON CLUSTER prod" in formatted) == (not sql.startswith("USE"))
        if not sql.startswith("USE"):
            assert "Create" in warehouse.client.command(f"EXPLAIN AST {sql}")


def test_the_engines_take_replicated_tables(cluster_url: str) -> None:
    create(cluster_url, "replicated")
    client = connect(cluster_url, "replicated")
    rows = client.query(
        "SELECT name, engine, engine_full, sorting_key FROM system.tables WHERE database = 'replicated'"
    ).result_rows
    found = {name: rest for name, *rest in rows}
    assert len(found) == 3 * len(TABLES)
    for table in TABLES:
        assert found[f"{table.name}_shard"][0] == "ReplicatedReplacingMergeTree"
        assert found[f"{table.name}_shard"][2] == ", ".join(table.key_names)
        assert found[f"{table.name}_storage"][0] == "Distributed"
        assert "cityHash64(instrument_id)" in found[f"{table.name}_storage"][1]
        assert found[table.name][0] == "View"
    assert migration.plan_migration(client) == migration.MigrationPlan((), ())
    client.close()


def test_the_product_finds_its_schema_and_writes_as_ever(on_cluster: Warehouse) -> None:
    assert migration.plan_migration(on_cluster.client) == migration.MigrationPlan((), ())
    first = candle_table("EURUSD", [("H1", hours, 1.0) for hours in range(10)])
    assert on_cluster.upsert(CANDLES, WHOLE, first).rows_written == 10
    assert on_cluster.upsert(CANDLES, WHOLE, first).rows_written == 0
    second = candle_table("EURUSD", [("H1", hours, 1.0 + (hours == 4)) for hours in range(8)])
    result = on_cluster.upsert(CANDLES, WHOLE, second)
    assert (result.rows_written, result.rows_removed) == (1, 2)
    assert stored(on_cluster) == {("H1", hours, 1.0 + (hours == 4)) for hours in range(8)}
    inserted = on_cluster.client.query(
        "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = 'candles_shard'"
    ).result_rows[0][0]
    assert inserted <= 2, "an upsert is one part of one shard, and is there when it is acknowledged"
    assert parts(on_cluster) == 0, "no part outside of the shards"
    assert on_cluster.client.command(f"SELECT max(version) > 0 FROM candles_storage WHERE ts >= {START}") == 1


def test_an_added_column_reaches_shards_distributed_tables_and_views(on_cluster: Warehouse) -> None:
    added = Column("spread", ColumnType.RELATIVE, "Spread.", null="where unknown")
    wider = dataclasses.replace(CANDLES, columns=(*CANDLES.columns, added))
    new = dataclasses.replace(CANDLES, name="more_candles")
    plan = migration.plan_migration(on_cluster.client, (wider, new))
    assert not plan.refused
    assert all(ON_CLUSTER in sql for sql in plan.statements)
    for sql in plan.statements:
        on_cluster.client.command(sql.replace(ON_CLUSTER, ""))
    assert migration.plan_migration(on_cluster.client, (wider, new)) == migration.MigrationPlan((), ())
    assert on_cluster.client.query("SELECT spread FROM candles").result_rows == []


def test_one_server_s_statements_make_what_the_product_makes(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    client = connect(str(settings.clickhouse_url), settings.database)
    for sql in cluster.create_statements("", settings.database):
        if not sql.startswith("USE"):
            client.command(sql)
    assert migration.plan_migration(client) == migration.MigrationPlan((), ())
    client.close()


@pytest.mark.parametrize("name", ["", "a b", "x` SYNC; DROP DATABASE y; --", "1st"])
def test_what_is_no_name_of_a_cluster_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"system\.clusters"):
        cluster.place(name)
