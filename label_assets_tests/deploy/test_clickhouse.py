"""The server's configuration read by the real engine, and the product with just the rights that its users have.

The embedded engine has no log-in of its own users, so each user's grants and profile are given to the one that it has.
"""

import copy
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clickhouse_connect import get_client

from label_assets.catalog.tables import CANDLES
from label_assets.errors import WarehouseError, WarehouseUnavailableError
from label_assets.query import run_query
from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.embedded import clickhouse
from label_assets_tests.warehouse.test_upsert import WHOLE, candle_table, stored

DEPLOYED = Path(__file__).parents[2] / "deploy" / "clickhouse"
PASSWORDS = ("CLICKHOUSE_WRITER_PASSWORD", "CLICKHOUSE_READER_PASSWORD", "CLICKHOUSE_OPERATOR_PASSWORD")
BASE_USERS = """<clickhouse><profiles><default/></profiles><quotas><default/></quotas><users/></clickhouse>"""


def configure(home: Path, user: str) -> None:
    """Lay the deployed configuration where the embedded engine looks for it: its working directory."""
    folder = home / "clickhouse"
    for name in ("config.d", "users.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    backups = home / "backups"
    backups.mkdir(exist_ok=True)
    text = (DEPLOYED / "config.d" / "label_assets.xml").read_text(encoding="utf-8")
    assert "/backups/" in text
    (folder / "config.d" / "label_assets.xml").write_text(text.replace("/backups/", f"{backups}/"))
    (folder / "config.xml").write_text(f"<clickhouse><users_config>{folder}/users.xml</users_config></clickhouse>")
    (folder / "users.xml").write_text(BASE_USERS)
    tree = ET.parse(DEPLOYED / "users.d" / "label_assets.xml")
    users = tree.find("users")
    assert users is not None
    removed = users.find("default")
    assert removed is not None
    assert removed.get("remove") == "remove"
    users.remove(removed)
    found = users.find(user)
    assert found is not None
    played = copy.deepcopy(found)
    played.tag = "default"
    for password in played.findall("password"):
        played.remove(password)
    ET.SubElement(played, "password")
    users.append(played)
    tree.write(folder / "users.d" / "label_assets.xml")


@contextmanager
def server(home: Path, user: str) -> Iterator[Settings]:
    """The engine with the configuration and the rights of a user."""
    configure(home, user)
    with pytest.MonkeyPatch.context() as environment:
        for name in PASSWORDS:
            environment.setenv(name, f"password of {name}")
        endpoint = clickhouse.ensure_running(home)
    try:
        yield load_settings(home=home, clickhouse_url=endpoint.url, database="label_assets")
    finally:
        clickhouse.stop(home)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="label_assets_users_") as folder:
        yield Path(folder)


def test_the_writer_can_do_all_that_the_product_does_and_no_more(home: Path) -> None:
    with server(home, "label_assets_writer") as settings:
        warehouse = Warehouse(settings)
        first = candle_table("EURUSD", [("H1", hours, 1.0) for hours in range(5)])
        assert warehouse.upsert(CANDLES, WHOLE, first).rows_written == 5
        assert warehouse.upsert(CANDLES, WHOLE, first.slice(0, 4)).rows_removed == 1
        assert len(stored(warehouse)) == 4
        for sql in (
            "DROP TABLE candles_storage",
            "TRUNCATE TABLE candles_storage",
            "ALTER TABLE candles_storage DELETE WHERE 1",
            "CREATE DATABASE other",
            "CREATE USER somebody",
            "SELECT * FROM system.users",
            "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
            "BACKUP DATABASE label_assets TO Disk('backups', 'x')",
        ):
            with pytest.raises(Exception, match="Not enough privileges"):
                warehouse.client.command(sql)
        warehouse.close()


def test_the_reader_reads_and_no_more(home: Path) -> None:
    with server(home, "label_assets_reader") as settings:
        warehouse = Warehouse(settings)
        assert len(stored(warehouse)) == 4
        assert run_query(settings, "SELECT count() FROM labels", "csv") == '"count()"\n0\n'
        with pytest.raises(WarehouseError, match=r"readonly mode|Not enough privileges"):
            warehouse.upsert(CANDLES, WHOLE, candle_table("EURUSD", [("H1", 1, 2.0)]))
        for sql in (
            "INSERT INTO candles_storage (ts) VALUES (0)",
            "DROP VIEW candles",
            "SELECT * FROM system.users",
            "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
        ):
            with pytest.raises(Exception, match=r"readonly mode|Not enough privileges"):
                warehouse.client.command(sql)
        with pytest.raises(Exception, match="max_memory_usage"):
            warehouse.client.query("SELECT 1 SETTINGS max_memory_usage = 0")
        warehouse.close()
        with pytest.raises(WarehouseUnavailableError, match=r"Not enough privileges|readonly mode"):
            Warehouse(settings.model_copy(update={"database": "other"})).client.close()


def test_the_operator_backs_up_and_restores(home: Path) -> None:
    with server(home, "label_assets_operator") as settings:
        warehouse = Warehouse(settings)
        before = stored(warehouse)
        assert before
        warehouse.client.command("BACKUP DATABASE label_assets TO Disk('backups', 'monday')")
        assert (home / "backups" / "monday" / ".backup").is_file()
        # A client whose database is gone can restore nothing.
        other = get_client(dsn=settings.clickhouse_url, database="default", autogenerate_session_id=False)
        other.command("DROP DATABASE label_assets SYNC")
        other.command("RESTORE DATABASE label_assets FROM Disk('backups', 'monday')")
        other.close()
        assert stored(warehouse) == before
        names = warehouse.client.query("SELECT name FROM system.users ORDER BY name").result_rows
        assert [name for (name,) in names if name != "default"] == [
            *("label_assets_operator", "label_assets_reader", "label_assets_writer")
        ]
        values = dict(
            warehouse.client.query(
                "SELECT name, value FROM system.merge_tree_settings WHERE name LIKE 'parts_to_%'"
            ).result_rows
        )
        assert values == {"parts_to_delay_insert": "1500", "parts_to_throw_insert": "5000"}
        warehouse.close()
