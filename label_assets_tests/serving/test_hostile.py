"""Requests that mean harm or nonsense: SQL in every string, huge ranges, broken HTTP, clients that never end."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from label_assets.settings import Settings
from label_assets_tests.serving.server import Running, ask, serving

TIMEOUT_S = 1.0

SQL = (
    "' OR 1=1 --",
    "EURUSD' UNION ALL SELECT name FROM system.tables --",
    "EURUSD'; DROP TABLE labels_storage; --",
    "{instrument:String}",
    "\\'); SELECT 1; --",
    "EURUSD\x00GBPUSD",
    "`",
    "../../v1/catalog",
    "%27%20OR%201%3D1",
    "EURUSD\n",
    "ＥＵＲＵＳＤ",
    "€" * 3000,
)
NUMBERS = ("-1", "0", "1e9", "99999999999999999999", "NaN", "0x10", "1;2", "", "６", "1.5", "null", "[]")
STAMPS = (
    *("yesterday", "2024-13-01", "2024-02-30", "-1", "99999999999", "1e3", "NaN", "2024-01-01T00:00:00.5Z", "٢٠٢٤"),
    *("0001-01-01", "9999-12-31T23:59:59Z", "2024-01-01T00:00:00+99:00", "2024-W01-1T", "' OR 1=1 --", "2" * 5000),
)


@pytest.fixture(scope="module")
def running(stored: Settings) -> Iterator[Running]:
    with serving(stored, send_timeout_s=TIMEOUT_S, page_rows=100_000) as server:
        yield server


def refused(answer: Any) -> None:
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:500])
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json()) >= {"asked", "found", "allowed", "next"}
    assert len(answer.content) < 8000
    assert "system.tables" not in answer.json()["allowed"]


@pytest.mark.parametrize("text", SQL, ids=range(len(SQL)))
def test_sql_in_every_string(api: TestClient, text: str) -> None:
    before = api.get("/v1/labels/EURUSD/H4/latest").content
    word = quote(text, safe="")
    for address in ("/v1/labels/{}/H4", "/v1/labels/{}/H4/latest", "/v1/levels/{}/H4", "/v1/candles/{}/H4"):
        refused(api.get(address.format(word)))
        refused(api.get(address.replace("/H4", "/{}").format("EURUSD", word)))
    for name in ("columns", "format", "start", "end", "limit", "horizon", "after", "count", "unknown"):
        for address in ("/v1/labels/EURUSD/H4", "/v1/labels/EURUSD/H4/latest", "/v1/levels/EURUSD/H4"):
            refused(api.get(address, params={name: text}))
    body = {"instrument": "EURUSD", "granularity": "H4", "ts": "2024-02-01T02:00:00Z"}
    for changed in ({"instrument": text}, {"granularity": text}, {"ts": text}, {"families": [text]}, {text: 1}):
        refused(api.post("/v1/labels/compute", json=body | changed))
    refused(api.post("/v1/cache/warm", json={"instruments": [text]}))
    assert api.get("/v1/labels/EURUSD/H4/latest").content == before


@pytest.mark.parametrize("name", ["limit", "horizon", "count"])
def test_numbers_that_are_none(api: TestClient, name: str) -> None:
    address = "/v1/labels/EURUSD/H4" + ("/latest" if name == "count" else "")
    for value in NUMBERS:
        refused(api.get(address, params={name: value}))
    refused(api.get(address, params=[(name, "5"), (name, "x")]))


def test_times_that_are_none(api: TestClient) -> None:
    for value in STAMPS:
        for name in ("start", "end"):
            refused(api.get("/v1/labels/EURUSD/H4", params={name: value}))
        refused(api.post("/v1/labels/compute", json={"instrument": "EURUSD", "granularity": "H4", "ts": value}))
    refused(api.get("/v1/labels/EURUSD/H4", params={"start": "2024-02-01", "end": "2024-02-01"}))
    refused(api.get("/v1/labels/EURUSD/H4", params={"start": "2024-02-02", "end": "2024-02-01"}))


def test_the_longest_range_is_a_page(api: TestClient) -> None:
    document = api.get("/v1/candles/EURUSD/M15?start=1970-01-01").json()
    assert (len(document["rows"]), document["next"] is None) == (1000, False)
    assert len(api.get("/v1/candles/EURUSD/M15?start=0&limit=10000").json()["rows"]) > 1000
    refused(api.get("/v1/candles/EURUSD/M15?limit=10001"))


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"instrument": NaN}', b'"' + b"x" * 60_000 + b'"'),
        b'{"instrument":"EURUSD","granularity":"H4","ts":1e400}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
    ],
    ids=range(10),
)
def test_bodies_that_are_none(api: TestClient, body: bytes) -> None:
    for content_type in ("application/json", "text/plain", "multipart/form-data"):
        refused(api.post("/v1/labels/compute", content=body, headers={"Content-Type": content_type}))


def received(connection: socket.socket) -> bytes:
    """All that comes until the server closes the connection."""
    pieces = []
    with suppress(ConnectionError):
        while piece := connection.recv(1 << 20):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"POST /v1/labels/compute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["tls", "version", "nul", "length", "smuggled"],
)
def test_what_is_no_request_is_refused_and_closed(running: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
        connection.sendall(sent)
        answer = received(connection)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "begun", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"GET / HTTP/1.1\r\n"], ids=["header", "path", "many"]
)
def test_a_head_of_any_length_is_not_read(running: Running, begun: bytes) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
        sent = 0
        with suppress(ConnectionError):
            connection.sendall(begun)
            for _ in range(2000):
                sent += connection.send(b"X: y\r\n" * 5000 if begun.endswith(b"\n") else b"x" * 30_000)
        assert sent < 50_000_000


@pytest.mark.parametrize("sent", [b"", b"GET /v1/health HT", b"GET /v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_a_head_that_never_ends_is_cut_off(running: Running, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
        connection.sendall(sent)
        assert received(connection) == b""


def test_a_body_that_never_ends_is_408(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
        connection.sendall(b"POST /v1/labels/compute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408"), answer


def test_a_client_that_takes_nothing_is_cut_off(running: Running) -> None:
    """It asks for tens of megabytes and reads none; others do not notice, and nothing of it stays."""
    request = b"GET /v1/labels/EURUSD/H1?limit=100000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", running.port))
        connection.sendall(request * 12)
        others = [ask(running, "/v1/labels/GBPUSD/H4/latest").status for _ in range(5)]
        whole = len(ask(running, "/v1/labels/EURUSD/H1?limit=100000").body)
        time.sleep(4 * TIMEOUT_S)
        taken = len(received(connection))
    assert others == [200] * 5
    assert taken < 12 * whole


def test_a_client_that_takes_it_slowly_gets_it_all(running: Running) -> None:
    """Slices are small enough that slow is not nothing."""
    whole = ask(running, "/v1/labels/EURUSD/H1?limit=100000").body
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", running.port))
        connection.sendall(
            b"GET /v1/labels/EURUSD/H1?limit=100000 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )
        taken = b""
        while piece := connection.recv(len(whole) // 20):
            taken += piece
            time.sleep(2 * TIMEOUT_S / 20)
    assert taken.endswith(whole)


def test_many_connections_that_do_nothing(running: Running) -> None:
    idle = [socket.create_connection(("127.0.0.1", running.port), 20) for _ in range(300)]
    assert ask(running, "/v1/labels/EURUSD/H4/latest").status == 200
    for connection in idle:
        assert received(connection) == b""
        connection.close()


def test_clients_that_leave_at_once(running: Running) -> None:
    def leave() -> None:
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", running.port), 20) as connection:
                connection.sendall(b"GET /v1/labels/EURUSD/H1?limit=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    threads = [threading.Thread(target=leave) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(running, "/v1/ready").status == 200
    assert 'status="499"' in ask(running, "/metrics").body.decode(), "what they asked for was dropped"


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.mark.slow
def test_the_openapi_document_tells_what_happens(running: Running) -> None:
    """schemathesis: what the document allows and what it does not, at every address."""
    schema = schemathesis.openapi.from_url(f"{running.url}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        for generated in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @settings(
                max_examples=8,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=generated))
            def ask_it(case: schemathesis.Case) -> None:
                nonlocal tried
                tried += 1
                case.call_and_validate(checks=CHECKS, timeout=30)

            with suppress(Unsatisfiable):  # nothing can be wrong where there is no parameter
                ask_it()
    assert tried > 100
