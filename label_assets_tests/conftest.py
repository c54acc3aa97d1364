"""Fixtures that every test may use: one embedded ClickHouse for the session, a database of its own for each test."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from label_assets.settings import Settings, load_settings
from label_assets.warehouse.client import Warehouse, connect
from label_assets.warehouse.embedded import clickhouse
from label_assets_tests.databases import Databases
from label_assets_tests.distribution import Distribution, place

if TYPE_CHECKING:
    from label_assets_tests.assets.filled import Filled

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"

hypothesis_settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
hypothesis_settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first."""
    items.sort(key=lambda item: place(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Distribution:
    """How tests are shared out among processes, whatever `--dist` says."""
    return Distribution(config, log)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_machine() -> None:
    """A developer's own variables must not change what is tested."""
    for name in list(os.environ):
        if name.startswith("LABEL_ASSETS_") or name in {"CLICKHOUSE_URL", "REDIS_URL", "DAGSTER_POSTGRES_URL"}:
            del os.environ[name]


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """Folder of this session's embedded servers; they are stopped and it is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="label_assets_"))
    yield folder
    clickhouse.stop(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def clickhouse_url(home: Path) -> str:
    """Address of this session's embedded ClickHouse."""
    return clickhouse.ensure_running(home).url


@pytest.fixture(scope="session")
def databases(clickhouse_url: str) -> Iterator[Databases]:
    """Databases of the session's server, empty and with the schema of the catalogue."""
    kept = Databases(clickhouse_url)
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def fill(databases: Databases) -> "Filled":
    """Fills an empty database as a run of the graph would; only the first of the same kind is one."""
    from label_assets_tests.assets.filled import Filled  # Dagster and the graph: two seconds that few tests need

    return Filled(databases)


@pytest.fixture
def new_database(clickhouse_url: str) -> Iterator[str]:
    """Name of a database that nobody has made yet; it is dropped afterwards."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield name
    client = connect(clickhouse_url, "default")
    client.command(f"DROP DATABASE IF EXISTS `{name}` SYNC")
    client.close()


@pytest.fixture
def make_settings(databases: Databases, clickhouse_url: str, tmp_path: Path) -> Iterator[Callable[..., Settings]]:
    """Settings with an empty database of their own on the session's server, unless one is named."""
    taken: list[str] = []

    def make(**overrides: Any) -> Settings:
        if "database" not in overrides:
            taken.append(databases.take())
            overrides = {**overrides, "database": taken[-1]}
        defaults: dict[str, Any] = {
            "home": tmp_path / "home",
            "clickhouse_url": clickhouse_url,
            "instruments": ["EURUSD", "GBPUSD", "USDJPY"],
            "pictures": False,  # a second of matplotlib a run; test_pictures has them
        }
        return load_settings(**(defaults | overrides))

    yield make
    for name in taken:
        databases.give_back(name)


@pytest.fixture
def warehouse(make_settings: Callable[..., Settings]) -> Iterator[Warehouse]:
    """An empty warehouse with the schema of the catalogue."""
    opened = Warehouse(make_settings())
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def oanda_v20() -> Path:
    """Folder of real candles, or a skip that says where they would be."""
    folder = SHARED_DATA / "oanda_v20"
    if not folder.is_dir():
        pytest.skip(f"real candles are not here: {folder} does not exist")
    return folder
