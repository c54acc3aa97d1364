"""What the HTTP interface refuses, and what a client that breaks off leaves behind: nothing."""

import contextlib
import http.client
import socket
import stat
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from label_assets.warehouse.embedded.clickhouse import ClickHouseEndpoint
from label_assets.warehouse.embedded.lifecycle import wait_for
from label_assets_tests.warehouse.embedded.conftest import connect

TABLE = "CREATE TABLE guarded (a UInt64) ENGINE = MergeTree ORDER BY a"


def ask(
    endpoint: ClickHouseEndpoint, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=20)
    try:
        connection.request(method, path, body or None, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def basic(endpoint: ClickHouseEndpoint, password: str | None = None) -> dict[str, str]:
    pair = f"{endpoint.user}:{endpoint.password if password is None else password}"
    return {"Authorization": "Basic " + b64encode(pair.encode()).decode()}


def test_ping_needs_no_password(endpoint: ClickHouseEndpoint) -> None:
    assert ask(endpoint, "GET", "/ping")[::2] == (200, b"Ok.\n")


def test_all_three_ways_of_credentials(endpoint: ClickHouseEndpoint) -> None:
    headers = {"X-ClickHouse-User": endpoint.user, "X-ClickHouse-Key": endpoint.password}
    assert ask(endpoint, "GET", "/?query=SELECT%201", basic(endpoint))[::2] == (200, b"1\n")
    assert ask(endpoint, "GET", "/?query=SELECT%201", headers)[::2] == (200, b"1\n")
    path = f"/?query=SELECT%201&user={endpoint.user}&password={endpoint.password}"
    assert ask(endpoint, "GET", path)[::2] == (200, b"1\n")


@pytest.mark.parametrize(
    "headers", [{}, {"X-ClickHouse-Key": "x"}, {"Authorization": "Basic !"}, {"Authorization": "Bearer x"}]
)
def test_wrong_credentials(endpoint: ClickHouseEndpoint, headers: dict[str, str]) -> None:
    status, answer, body = ask(endpoint, "POST", "/", headers, b"SELECT 1")
    assert (status, answer["X-ClickHouse-Exception-Code"]) == (403, "516")
    assert b"AUTHENTICATION_FAILED" in body


def test_wrong_password_and_user_of_the_client(endpoint: ClickHouseEndpoint) -> None:
    for user, password in (("default", "wrong"), ("other", endpoint.password)):
        with pytest.raises(DatabaseError) as raised:
            clickhouse_connect.get_client(host=endpoint.host, port=endpoint.port, username=user, password=password)
        assert raised.value.code == 516


@pytest.mark.parametrize("path", ["/", "/ping", "/anything"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS"])
def test_any_origin_is_refused(endpoint: ClickHouseEndpoint, method: str, path: str) -> None:
    for origin in ("http://example.org", "null", "", f"http://{endpoint.host}:{endpoint.port}"):
        assert ask(endpoint, method, path, {**basic(endpoint), "Origin": origin})[0] == 403


def test_foreign_host_is_refused(endpoint: ClickHouseEndpoint) -> None:
    for host in ("example.org", "127.0.0.1.example.org", f"example.org:{endpoint.port}", ""):
        assert ask(endpoint, "GET", "/?query=SELECT%201", {**basic(endpoint), "Host": host})[0] == 403
    for host in ("localhost", f"127.0.0.1:{endpoint.port}", "[::1]:1"):
        assert ask(endpoint, "GET", "/?query=SELECT%201", {**basic(endpoint), "Host": host})[0] == 200


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO guarded VALUES (1)",
        "INSERT INTO guarded FORMAT TSV 1",
        "INSERT INTO guarded SELECT 1",
        "DROP TABLE guarded",
        "CREATE TABLE g2 (a UInt8) ENGINE = Memory",
        "ALTER TABLE guarded DELETE WHERE 1",
        "SET readonly = 0",
        "SELECT 1 INTO OUTFILE '/tmp/never'",
        "SELECT 1; DROP TABLE guarded",
        "KILL QUERY WHERE 1",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_writes_nothing(client: Client, endpoint: ClickHouseEndpoint, statement: str, method: str) -> None:
    from urllib.parse import quote

    client.command(TABLE)
    path = f"/?database={client.database}&readonly=0&query={quote(statement)}"
    status, headers, _ = ask(endpoint, method, path, basic(endpoint))
    assert status >= 400
    assert headers["X-ClickHouse-Exception-Code"] in {"164", "62", "48"}
    assert client.command("SELECT count() FROM guarded") == 0
    assert client.command("EXISTS g2") == 0


def test_head_sends_no_body(endpoint: ClickHouseEndpoint) -> None:
    status, headers, body = ask(endpoint, "HEAD", "/?query=SELECT%201", basic(endpoint))
    assert (status, headers["Content-Length"], body) == (200, "2", b"")


def test_query_and_data_may_be_split_over_url_and_body(client: Client, endpoint: ClickHouseEndpoint) -> None:
    client.command(TABLE)
    base = f"/?database={client.database}&query="
    for query, body in (
        ("INSERT%20INTO%20guarded%20FORMAT%20TSV", b"1\n2\n"),
        ("INSERT%20INTO%20guarded%20VALUES", b"(3), (4)"),
        ("SELECT", b"1"),
    ):
        assert ask(endpoint, "POST", base + query, basic(endpoint), body)[0] == 200
    form = {**basic(endpoint), "Content-Type": "application/x-www-form-urlencoded"}
    assert ask(endpoint, "POST", "/", form, b"query=SELECT+%7Ba%3AUInt8%7D&param_a=9")[::2] == (200, b"9\n")
    assert ask(endpoint, "POST", "/", form, b"SELECT 1 = 1")[::2] == (200, b"1\n")  # as curl declares it
    assert client.command("SELECT sum(a) FROM guarded") == 10


def send_raw(endpoint: ClickHouseEndpoint, database: str, headers: str, body: bytes) -> bytes:
    """Send a request whose body ends early, then close the sending side."""
    authorization = basic(endpoint)["Authorization"]
    head = (
        f"POST /?database={database}&query=INSERT%20INTO%20guarded%20FORMAT%20TSV HTTP/1.1\r\n"
        f"Host: localhost\r\nAuthorization: {authorization}\r\n{headers}\r\n\r\n"
    )
    answer = b""
    with socket.create_connection((endpoint.host, endpoint.port), 20) as connection:
        connection.sendall(head.encode() + body)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                answer += piece
    return answer


@pytest.mark.parametrize("rows", [10, 2_000_000])
def test_short_body_inserts_nothing(client: Client, endpoint: ClickHouseEndpoint, rows: int) -> None:
    import lz4.frame

    client.command(TABLE)
    data = b"".join(b"%d\n" % row for row in range(rows))
    whole_frame = lz4.frame.compress(data)
    lz4_header = f"Content-Encoding: lz4\r\nContent-Length: {len(whole_frame) - 9}"
    for headers, body in (
        (f"Content-Length: {len(data) + 1}", data),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(data), data)),
        ("Transfer-Encoding: chunked", b"%x\r\n%s" % (len(data) + 5, data)),
        (lz4_header, whole_frame[:-9]),
    ):
        assert b" 200 " not in send_raw(endpoint, client.database, headers, body)[:20]
    assert client.command("SELECT count() FROM guarded") == 0
    send_raw(endpoint, client.database, f"Content-Length: {len(data)}", data)
    assert client.command("SELECT count() FROM guarded") == rows


def test_query_of_a_client_that_left_is_killed(client: Client, endpoint: ClickHouseEndpoint) -> None:
    query = "SELECT count() FROM numbers(1000000000000) WHERE cityHash64(number) = 1 AND 'abandoned' != ''"
    running = "SELECT count() FROM system.processes WHERE query LIKE '%abandoned%' AND query NOT LIKE '%processes%'"
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
    connection.request("POST", "/", query.encode(), basic(endpoint))
    assert wait_for(lambda: client.command(running) == 1, 20)
    connection.close()
    assert wait_for(lambda: client.command(running) == 0, 20)


@pytest.mark.parametrize("session", ["", "&session_id=leaving"])
def test_client_that_leaves_in_the_midst_of_a_stream(
    client: Client, endpoint: ClickHouseEndpoint, session: str
) -> None:
    running = "SELECT count() FROM system.processes WHERE query LIKE '%streamed%' AND query NOT LIKE '%processes%'"
    for _ in range(3):
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
        query = b"SELECT number, 'streamed' FROM numbers(100000000000) FORMAT TSV"
        connection.request("POST", f"/?{session[1:]}", query, basic(endpoint))
        response = connection.getresponse()
        assert len(response.read(1000)) == 1000
        response.close()
        connection.close()
        assert wait_for(lambda: client.command(running) == 0, 20)
    status, _, body = ask(endpoint, "POST", f"/?{session[1:]}", basic(endpoint), b"SELECT 1")
    assert (status, body) == (200, b"1\n")


def test_keep_alive_after_errors(endpoint: ClickHouseEndpoint) -> None:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=20)
    connection.connect()
    peer = connection.sock
    for body, status in (
        (b"SELECT 1", 200),
        (b"SELECT nope", 404),
        (b"INSERT INTO nope FORMAT TSV\n" + b"1\n" * 500_000, 404),
        (b"SELECT 2", 200),
    ):
        connection.request("POST", "/", body, basic(endpoint))
        response = connection.getresponse()
        response.read()
        assert response.status == status
    assert connection.sock is peer
    connection.close()


def test_same_query_id_twice_at_once(client: Client, endpoint: ClickHouseEndpoint) -> None:
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=20)
    connection.request("POST", "/?query_id=mine", b"SELECT sleep(1.5)", basic(endpoint))
    running = "SELECT count() FROM system.processes WHERE query LIKE '%sleep(1.5)%' AND query NOT LIKE '%processes%'"
    assert wait_for(lambda: client.command(running) == 1, 20)
    with pytest.raises(DatabaseError) as raised:
        client.query("SELECT 1", settings={"query_id": "mine"})
    assert raised.value.code == 216
    response = connection.getresponse()
    assert (response.status, response.headers["X-ClickHouse-Query-Id"]) == (200, "mine")
    connection.close()


def test_secrets_are_private(endpoint: ClickHouseEndpoint, home: Path) -> None:
    folder = home / "clickhouse"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("password", "endpoint.json", "server.log"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert endpoint.password not in repr(endpoint)
    assert endpoint.password not in Path(f"/proc/{endpoint.pid}/cmdline").read_text()
    assert endpoint.url == f"http://default:{endpoint.password}@127.0.0.1:{endpoint.port}"


def test_owner_listens_on_loopback_only(endpoint: ClickHouseEndpoint) -> None:
    import psutil

    listening = [c.laddr for c in psutil.Process(endpoint.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", endpoint.port)]
    with connect(endpoint) as client:
        assert client.command("SELECT timezone()") == "UTC"
