"""One ClickHouse for the whole folder; tests that kill or stop a server start their own."""

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from label_assets.warehouse.embedded import clickhouse
from label_assets.warehouse.embedded.clickhouse import ClickHouseEndpoint


def connect(endpoint: ClickHouseEndpoint, **options: object) -> Client:
    """A client as the product makes it, unless told otherwise."""
    settings = {"autogenerate_session_id": False, "compress": False, **options}
    return clickhouse_connect.get_client(
        host=endpoint.host, port=endpoint.port, username=endpoint.user, password=endpoint.password, **settings
    )


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    yield folder
    clickhouse.stop(folder)


@pytest.fixture(scope="session")
def endpoint(home: Path) -> ClickHouseEndpoint:
    return clickhouse.ensure_running(home)


@pytest.fixture
def database(endpoint: ClickHouseEndpoint, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh database of this test."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    with connect(endpoint) as client:
        client.command(f"CREATE DATABASE {name} ENGINE = Atomic")
        yield name
        client.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def client(endpoint: ClickHouseEndpoint, database: str) -> Iterator[Client]:
    with connect(endpoint, database=database) as made:
        yield made


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server of this test alone, stopped by its own pid at the end."""
    yield tmp_path
    clickhouse.stop(tmp_path)
