"""compose.yaml by the real Docker Compose, the image's file by hadolint. Without a Docker engine nothing is built."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
TOOLS = Path(sys.executable).parent
SECRETS = {
    name: f"secret-{name.lower()}"
    for name in (
        *("POSTGRES_PASSWORD", "CLICKHOUSE_WRITER_PASSWORD", "CLICKHOUSE_READER_PASSWORD"),
        *("CLICKHOUSE_OPERATOR_PASSWORD", "REDIS_PASSWORD", "GRAFANA_ADMIN_PASSWORD", "LABEL_ASSETS_API_KEYS"),
    )
}
OURS = {"schema", "code", "webserver", "daemon", "serve", "live"}


def tool(name: str) -> str:
    path = TOOLS / name
    if not path.exists():
        pytest.skip(f"{name} is not installed: pip install 'label-assets[dev]'")
    return str(path)


def compose(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(tool("docker-compose"), "--file", str(DEPLOY / "compose.yaml"), "--env-file", os.devnull),
            *("config", "--format", "json"),
        ],
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    done = compose(LANDING_FOLDER="/data", **SECRETS)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer["networks"]["inside"]["internal"] is True
    found: dict[str, Any] = answer["services"]
    return found


def test_every_part_is_there_and_hardened(services: dict[str, Any]) -> None:
    servers = {"clickhouse", "postgres", "cache", "queue", "nginx", "prometheus", "grafana"}
    assert set(services) == OURS | servers
    assert services["serve"]["deploy"]["replicas"] == 2
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert ":latest" not in service["image"], name
        assert ":" in service["image"], name
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", f"{name} is open to the world"
    for name in {"clickhouse", "postgres", "cache", "queue", "nginx", *OURS} - {"schema"}:
        assert "disable" not in services[name].get("healthcheck", {}), name


def test_each_has_the_rights_that_it_needs(services: dict[str, Any]) -> None:
    def url(name: str) -> str:
        return str(services[name]["environment"]["CLICKHOUSE_URL"])

    assert "label_assets_reader:secret-clickhouse_reader_password@" in url("serve")
    for name in OURS - {"serve"}:
        assert "label_assets_writer:secret-clickhouse_writer_password@" in url(name), name
    assert "DAGSTER_POSTGRES_URL" not in services["serve"]["environment"]
    assert services["code"]["volumes"][0]["read_only"] is True
    assert "outside" not in services["code"]["networks"]


@pytest.mark.parametrize("missing", [*sorted(SECRETS), "LANDING_FOLDER"])
def test_what_is_not_given_is_asked_for(missing: str) -> None:
    given = {"LANDING_FOLDER": "/data", **SECRETS}
    given.pop(missing)
    done = compose(**given)
    assert not done.stdout  # the package's command always ends with 0
    assert f"required variable {missing} is missing" in done.stderr
    assert "docs/deployment.md" in done.stderr


def test_files_that_are_mounted_exist(services: dict[str, Any]) -> None:
    for name, service in services.items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and volume["source"].startswith(str(DEPLOY)):
                assert Path(volume["source"]).exists(), f"{name}: {volume['source']}"


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [tool("hadolint"), "--format", "tty", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_secrets_are_made_once_and_all_of_them(tmp_path: Path) -> None:
    script = tmp_path / "make_secrets.sh"
    script.write_text((DEPLOY / "make_secrets.sh").read_text())
    given = {"PATH": os.environ["PATH"], "LANDING_FOLDER": "/data", "LABEL_ASSETS_API_KEYS": "someone:hash"}
    assert subprocess.run(["sh", str(script)], env=given, check=False, capture_output=True).returncode == 0
    file = tmp_path / ".env"
    assert file.stat().st_mode & 0o077 == 0
    made = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert set(made) == {*SECRETS, "LANDING_FOLDER"}
    passwords = [value for name, value in made.items() if name.endswith("PASSWORD")]
    assert len(set(passwords)) == len(passwords)
    assert all(len(value) == 48 for value in passwords)
    again = subprocess.run(["sh", str(script)], env=given, check=False, capture_output=True, text=True)
    assert again.returncode == 1
    assert "exists" in again.stderr
