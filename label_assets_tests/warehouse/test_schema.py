"""Schema from the catalogue: made once, extended, never reinterpreted."""

import dataclasses

import pytest

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.catalog.index import TABLES
from label_assets.catalog.tables import CANDLES
from label_assets.errors import MigrationRefusedError, WarehouseUnavailableError
from label_assets.settings import load_settings
from label_assets.warehouse import migration
from label_assets.warehouse.client import Warehouse, connect


def with_column(table: Table, column: Column) -> Table:
    return dataclasses.replace(table, columns=(*table.columns, column))


def test_schema_is_made_once(warehouse: Warehouse) -> None:
    assert migration.plan_migration(warehouse.client) == migration.MigrationPlan((), ())


def test_tables_are_typed_sorted_commented(warehouse: Warehouse) -> None:
    rows = warehouse.client.query(
        "SELECT name, engine, partition_key, sorting_key, comment FROM system.tables WHERE database = currentDatabase()"
    ).result_rows
    found = {name: rest for name, *rest in rows}
    for table in TABLES:
        engine, partition, sorting, comment = found[table.name + "_storage"]
        assert engine == "ReplacingMergeTree"
        assert partition == "", "an upsert is to be one part"
        assert sorting == ", ".join(table.key_names)
        assert comment.startswith(table.sentence)
        assert found[table.name][0] == "View"
        assert found[table.name][3] == table.sentence
    comments = warehouse.client.query(
        "SELECT count(), countIf(comment = '') FROM system.columns "
        "WHERE database = currentDatabase() AND table LIKE '%_storage'"
    ).result_rows[0]
    assert comments[0] > 100
    assert comments[1] == 0


def test_database_is_atomic(warehouse: Warehouse) -> None:
    assert warehouse.client.command("SELECT engine FROM system.databases WHERE name = currentDatabase()") == "Atomic"


def test_an_added_column_reaches_table_and_view(warehouse: Warehouse) -> None:
    added = Column("spread", ColumnType.RELATIVE, "Spread.", null="where unknown")
    tables = tuple(with_column(table, added) if table is CANDLES else table for table in TABLES)
    warehouse.client.command(
        "INSERT INTO candles_storage (instrument_id, granularity, ts, close_ts, version) VALUES ('A', 'H1', 0, 1, 1)"
    )
    plan = migration.migrate(warehouse.client, tables)
    assert len(plan.statements) == 2
    assert warehouse.client.query("SELECT instrument_id, spread FROM candles").result_rows == [("A", None)]
    assert migration.plan_migration(warehouse.client, tables) == migration.MigrationPlan((), ())


def test_a_changed_comment_is_followed(warehouse: Warehouse) -> None:
    changed = dataclasses.replace(
        CANDLES, columns=(dataclasses.replace(CANDLES.columns[0], sentence="It's \\ other."), *CANDLES.columns[1:])
    )
    migration.migrate(warehouse.client, (changed,))
    answer = warehouse.client.query(
        "SELECT comment FROM system.columns WHERE database = currentDatabase() AND table = 'candles_storage' "
        "AND name = 'close_ts'"
    )
    assert answer.result_rows[0][0].startswith("It's \\ other.")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (with_column(CANDLES, Column("spread", ColumnType.PRICE, "Not nullable.")), "candles.spread: missing"),
        (
            dataclasses.replace(
                CANDLES,
                columns=(
                    CANDLES.columns[0],
                    dataclasses.replace(CANDLES.columns[1], type=ColumnType.RELATIVE),
                    *CANDLES.columns[2:],
                ),
            ),
            "candles.open: stored as Float64, wanted Float32",
        ),
        (
            dataclasses.replace(CANDLES, columns=CANDLES.columns[:-1]),
            "candles.volume: stored, but not in the catalogue",
        ),
        (dataclasses.replace(CANDLES, key=(CANDLES.key[0], CANDLES.key[2], CANDLES.key[1])), "candles: sorted by"),
    ],
)
def test_other_changes_are_refused_and_nothing_is_touched(warehouse: Warehouse, changed: Table, said: str) -> None:
    before = warehouse.client.command("SHOW CREATE TABLE candles_storage")
    another = dataclasses.replace(CANDLES, name="new_table")
    with pytest.raises(MigrationRefusedError, match="would lose") as refusal:
        migration.migrate(warehouse.client, (another, changed))
    assert said in refusal.value.found
    assert warehouse.client.command("SHOW CREATE TABLE candles_storage") == before
    assert warehouse.client.command("EXISTS TABLE new_table_storage") == 0


def test_no_server_and_wrong_password_are_named(clickhouse_url: str) -> None:
    with pytest.raises(WarehouseUnavailableError, match="CLICKHOUSE_URL"):
        connect("http://default:secret@127.0.0.1:1", "label_assets")
    with pytest.raises(WarehouseUnavailableError) as refusal:
        connect(f"http://default:wrong@{clickhouse_url.rpartition('@')[2]}", "label_assets")
    assert "wrong" not in str(refusal.value)
    assert "Authentication failed" in refusal.value.found


def test_nothing_is_opened_before_the_first_use() -> None:
    Warehouse(load_settings(clickhouse_url="http://127.0.0.1:1"))
