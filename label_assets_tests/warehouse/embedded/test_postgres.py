"""The local PostgreSQL holds the database `dagster`, wherever its folder lies and whoever runs it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from label_assets.warehouse.embedded import postgres


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ("a folder with a long name " * 4) / ("x" * 100)  # no Unix socket path can be that long
    folder.mkdir(parents=True)
    yield folder
    postgres.stop(folder)


def ask(url: str, statement: str) -> list[tuple[object, ...]]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sqlalchemy.text(statement))
        return [tuple(row) for row in result] if result.returns_rows else []


def test_life_of_a_server(home: Path) -> None:
    assert not postgres.status(home).running
    url = postgres.ensure_running(home)
    assert postgres.ensure_running(home) == url
    settings = "current_database(), current_setting('server_encoding'), current_setting('timezone')"
    assert ask(url, f"SELECT {settings}") == [("dagster", "UTF8", "UTC")]
    assert ask(
        url, "SELECT setting FROM pg_settings WHERE name IN ('listen_addresses', 'unix_socket_directories')"
    ) == [
        ("127.0.0.1",),
        ("",),
    ]
    ask(url, "CREATE TABLE kept (a int)")
    ask(url, "INSERT INTO kept VALUES (1)")
    password = url.split(":")[2].split("@")[0]
    with pytest.raises(OperationalError, match="password authentication failed"):
        ask(url.replace(password, "wrong"), "SELECT 1")
    status = postgres.status(home)
    assert status.running
    assert status.version == "18"
    assert status.pid is not None
    os.kill(status.pid, signal.SIGKILL)
    assert postgres.ensure_running(home) == url  # same port, same password
    assert ask(url, "SELECT a FROM kept") == [(1,)]
    assert postgres.stop(home) is True
    assert postgres.stop(home) is False
    assert not postgres.status(home).running


def test_server_outlives_its_starter(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from label_assets.warehouse.embedded import postgres; "
        "print(postgres.ensure_running(Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, check=True, text=True)
    assert ask(done.stdout.strip(), "SELECT 1") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must become someone else")
def test_root_without_user_namespaces_becomes_another_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_works", lambda arguments: False)
    for folder in home.parents:
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    home.chmod(0o755)
    url = postgres.ensure_running(home)
    assert ask(url, "SELECT 1") == [(1,)]
    assert (home / "postgres" / "data").stat().st_uid != 0
    assert oct((home / "postgres" / "password").stat().st_mode)[-3:] == "600"
