"""One owner, whoever asks and whenever it dies; no acknowledged row is lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from label_assets.errors import EmbeddedServerError
from label_assets.warehouse.embedded import clickhouse, lifecycle
from label_assets.warehouse.embedded.clickhouse import ClickHouseEndpoint
from label_assets_tests.warehouse.embedded.conftest import connect

SPAWN = multiprocessing.get_context("spawn")
TABLE = "CREATE TABLE counted (worker UInt8, n UInt32) ENGINE = MergeTree ORDER BY (worker, n)"


def owners(home: Path) -> list[int]:
    """Owner processes of a folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if str(home) in command and any(word.endswith("clickhouse_owner") for word in command):
            found.append(int(process.info["pid"]))
    return found


def start_and_tell(home: Path, answers: Connection) -> None:
    answers.send(clickhouse.ensure_running(home).pid)


def insert_and_read(endpoint: ClickHouseEndpoint, database: str, worker: int, answers: Connection) -> None:
    with connect(endpoint, database=database) as client:
        for n in range(10):
            # raw_insert: insert would import pandas, 2 s of each process
            client.raw_insert("counted", insert_block=f"{worker}\t{n}\n", fmt="TSV")
            seen = client.command("SELECT count() FROM counted WHERE worker = {w:UInt8}", parameters={"w": worker})
            assert seen == n + 1
    answers.send(worker)


def run_together(target: object, arguments: list[tuple[object, ...]]) -> list[int]:
    """Run processes at once and collect one answer of each."""
    pipes = [SPAWN.Pipe(duplex=False) for _ in arguments]
    workers = [
        SPAWN.Process(target=target, args=(*given, sending))  # type: ignore[arg-type]
        for given, (_, sending) in zip(arguments, pipes, strict=True)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    return [receiving.recv() for receiving, _ in pipes]


def test_four_starters_start_one_owner(own_home: Path) -> None:
    pids = run_together(start_and_tell, [(own_home,)] * 4)
    assert len(set(pids)) == 1
    assert owners(own_home) == pids[:1]


def test_four_clients_insert_and_read_at_once(endpoint: ClickHouseEndpoint, database: str) -> None:
    with connect(endpoint, database=database) as client:
        client.command(TABLE)
        assert run_together(insert_and_read, [(endpoint, database, w) for w in range(4)]) == [0, 1, 2, 3]
        assert client.command("SELECT count(), uniqExact(worker, n) FROM counted") == ["40", "40"]


def test_kill_in_the_midst_of_inserts_loses_no_acknowledged_row(own_home: Path) -> None:
    endpoint = clickhouse.ensure_running(own_home)
    client = connect(endpoint)
    client.command(TABLE)
    acknowledged: list[set[int]] = [set(), set()]
    enough = threading.Event()

    def insert(worker: int) -> None:
        with connect(endpoint) as own:
            for n in range(100_000):
                try:
                    own.insert("counted", [[worker, n]], column_names=["worker", "n"])
                except ClickHouseError:
                    return
                acknowledged[worker].add(n)
                if n == 30:
                    enough.set()

    workers = [threading.Thread(target=insert, args=(worker,)) for worker in (0, 1)]
    for worker in workers:
        worker.start()
    assert enough.wait(60)
    os.kill(endpoint.pid, signal.SIGKILL)
    for worker in workers:
        worker.join(60)
    again = clickhouse.ensure_running(own_home)
    assert again.pid != endpoint.pid
    assert (again.port, again.password) == (endpoint.port, endpoint.password)
    rows = client.query("SELECT worker, n FROM counted").result_rows  # the client made before the crash
    for worker in (0, 1):
        stored = [n for w, n in rows if w == worker]
        assert acknowledged[worker] <= set(stored)
        assert len(stored) == len(set(stored)) <= len(acknowledged[worker]) + 1  # one may be stored unacknowledged
    client.close()


def test_stop_keeps_data_port_and_password(own_home: Path) -> None:
    assert not clickhouse.status(own_home).running
    assert clickhouse.stop(own_home) is False
    first = clickhouse.ensure_running(own_home)
    with connect(first) as client:
        client.command(TABLE)
        client.insert("counted", [[1, 1]], column_names=["worker", "n"])
    status = clickhouse.status(own_home)
    assert (status.running, status.pid, status.url) == (True, first.pid, f"http://default@{first.host}:{first.port}")
    assert status.version is not None
    assert status.version.startswith("26.")
    assert status.size_bytes > 0
    assert status.uptime_s is not None
    assert clickhouse.stop(own_home) is True
    assert clickhouse.stop(own_home) is False
    after = clickhouse.status(own_home)
    assert (after.running, after.pid, after.url, after.uptime_s) == (False, None, None, None)
    assert owners(own_home) == []
    second = clickhouse.ensure_running(own_home)
    assert (second.port, second.password) == (first.port, first.password)
    with connect(second) as client:
        assert client.command("SELECT count() FROM counted") == 1


def test_another_port_if_the_old_one_is_taken(own_home: Path) -> None:
    import socket

    first = clickhouse.ensure_running(own_home)
    clickhouse.stop(own_home)
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind((first.host, first.port))
        squatter.listen()
        second = clickhouse.ensure_running(own_home)
    assert second.port != first.port
    assert second.password == first.password


def test_stop_ends_a_running_query(own_home: Path) -> None:
    endpoint = clickhouse.ensure_running(own_home)
    seen: list[Exception] = []

    def query() -> None:
        try:
            with connect(endpoint) as client:
                client.query("SELECT count() FROM numbers(1000000000000) WHERE cityHash64(number) = 1")
        except ClickHouseError as error:
            seen.append(error)

    with connect(endpoint) as client:
        thread = threading.Thread(target=query)
        thread.start()
        running = (
            "SELECT count() FROM system.processes WHERE query LIKE '%cityHash64%' AND query NOT LIKE '%processes%'"
        )
        assert lifecycle.wait_for(lambda: client.command(running) == 1, 20)
    assert clickhouse.stop(own_home) is True
    thread.join(30)
    assert len(seen) == 1


def test_a_stranger_with_the_recorded_pid_is_left_alone(own_home: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        folder = lifecycle.server_folder(own_home, "clickhouse")
        record = lifecycle.ServerRecord("127.0.0.1", 1, stranger.pid, "another boot:1", 0.0, "26.9")
        lifecycle.write_record(folder, record)
        assert not clickhouse.status(own_home).running
        assert clickhouse.stop(own_home) is False
        endpoint = clickhouse.ensure_running(own_home)
        assert endpoint.pid != stranger.pid
        clickhouse.stop(own_home)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_torn_endpoint_file(own_home: Path) -> None:
    folder = lifecycle.server_folder(own_home, "clickhouse")
    (folder / "endpoint.json").write_text('{"host": "127.0.0.1", "po')
    assert not clickhouse.status(own_home).running
    assert clickhouse.ensure_running(own_home).pid in owners(own_home)


def test_failed_start_quotes_the_log(own_home: Path) -> None:
    folder = lifecycle.server_folder(own_home, "clickhouse")
    (folder / "data").write_text("a file where the engine wants a folder")
    with pytest.raises(EmbeddedServerError, match=r"(?s)ended with code 1; end of its log:.*Error"):
        clickhouse.ensure_running(own_home)


def test_home_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="NotADirectoryError"):
        clickhouse.ensure_running(tmp_path / "file")


def test_missing_wheel_names_the_extra(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EmbeddedServerError, match=r"pip install 'label-assets\[local\]'"):
        clickhouse.ensure_running(own_home)


def test_only_the_owner_imports_chdb() -> None:
    modules = "label_assets.warehouse.embedded import clickhouse, postgres, redis"
    code = f"import sys; from {modules}; print('chdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "False\n"
