"""The command line as a person uses it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from label_assets.catalog.index import TABLES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty working directory; its servers are stopped at the end."""
    folder = tmp_path_factory.mktemp("cli")
    yield folder
    run(folder, "stop")


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "label_assets.cli", *words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_server_starts_on_demand_is_seen_and_stopped(folder: Path) -> None:
    assert run(folder, "clickhouse", "status").returncode == 3
    answer = run(folder, "sql", "SELECT 1 AS one", "--format", "csv")
    assert answer.stdout == '"one"\n1\n', answer.stderr
    status = run(folder, "clickhouse", "status")
    assert status.returncode == 0
    assert "runs as process" in status.stdout
    assert str(folder / ".label_assets") in status.stdout
    assert "stopped" in run(folder, "clickhouse", "stop").stdout
    assert run(folder, "clickhouse", "status").returncode == 3
    assert "runs as process" in run(folder, "clickhouse", "start").stdout


def test_sql_formats(folder: Path) -> None:
    statement = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View' ORDER BY name"
    rows = json.loads(run(folder, "sql", statement, "--format", "json").stdout)
    assert [row["name"] for row in rows] == sorted(table.name for table in TABLES)
    assert "raw_candles" in run(folder, "sql", statement).stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sql", "SELECT nothing FROM labels"), "Unknown expression"),
        (("sql", "DROP TABLE labels_storage"), "readonly"),
        (("sql", "SELECT 1", "--format", "xml"), "table, csv, json"),
        (("materialize", "--from", "2019-01", "--to", "2024-01"), "2020-01 to "),
        (("materialize", "--from", "2024-03", "--to", "2024-01"), "swap them"),
        (("materialize", "--from", "2024-01", "--to", "2024-01", "--instruments", "EURUS"), "'EURUS'"),
    ],
)
def test_errors_are_messages(folder: Path, words: tuple[str, ...], said: str) -> None:
    done = run(folder, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Next" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_setting_is_named(folder: Path) -> None:
    done = run(folder, "schema", "plan", LABEL_ASSETS_HORIZONS="0")
    assert done.returncode == 1
    assert "horizons" in done.stderr
    assert "Traceback" not in done.stderr


def test_schema_plan_prints_what_is_missing(folder: Path) -> None:
    fresh = run(folder, "schema", "plan", LABEL_ASSETS_DATABASE="planned")
    assert fresh.stdout.count("CREATE TABLE IF NOT EXISTS") == len(TABLES)
    assert "planned holds" in run(folder, "schema", "migrate", LABEL_ASSETS_DATABASE="planned").stdout
    assert "nothing to do" in run(folder, "schema", "plan", LABEL_ASSETS_DATABASE="planned").stdout


def test_the_demo_refuses_a_real_source(folder: Path) -> None:
    done = run(folder, "demo", LABEL_ASSETS_SOURCE="landing", LABEL_ASSETS_LANDING_FOLDER=str(folder))
    assert done.returncode == 1
    assert "invented" in done.stderr


def test_materialize_names_what_failed(folder: Path) -> None:
    """A landing folder without the instrument: the run fails, and the message says which files there are."""
    (folder / "landing").mkdir(exist_ok=True)
    done = run(
        folder,
        *("materialize", "--from", "2024-01", "--to", "2024-01", "--instruments", "EURUSD"),
        LABEL_ASSETS_SOURCE="landing",
        LABEL_ASSETS_LANDING_FOLDER=str(folder / "landing"),
    )
    assert done.returncode == 1
    assert "EURUSD" in done.stderr
    assert "raw_candles" in done.stderr
    assert "landing" in done.stderr


@pytest.mark.slow
def test_the_demo_and_again(folder: Path) -> None:
    first = run(folder, "demo")
    assert first.returncode == 0, first.stderr
    assert "48,576 rows of labels" in " ".join(first.stdout.split())
    chart = folder / ".label_assets" / "charts" / "EURUSD_H4_2025-03.png"
    assert chart.stat().st_size > 20_000
    written = chart.stat().st_mtime_ns
    again = run(folder, "demo")
    assert again.returncode == 0, again.stderr
    assert " 0 rows written" in " ".join(again.stdout.split())
    assert chart.stat().st_mtime_ns > written
