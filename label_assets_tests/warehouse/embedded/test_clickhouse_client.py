"""clickhouse-connect as the product uses it gives back what was written, whatever the way."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from label_assets.warehouse.embedded.clickhouse import ClickHouseEndpoint
from label_assets_tests.warehouse.embedded.conftest import connect

PLAIN = "CREATE TABLE plain (a UInt64, b String) ENGINE = MergeTree ORDER BY a"
ROWS = [(1, "one"), (2, "zwei — ü"), (3, "")]


def parts(client: Client, table: str) -> list[tuple[str, int]]:
    return list(
        client.query(
            "SELECT name, rows FROM system.parts WHERE active AND database = {d:String} AND table = {t:String}",
            parameters={"d": client.database, "t": table},
        ).result_rows
    )


@pytest.fixture(params=[False, "lz4", "zstd", "gzip"])
def any_compression(endpoint: ClickHouseEndpoint, database: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    with connect(endpoint, database=database, compress=request.param) as client:
        client.command(PLAIN)
        yield client


def test_every_way_of_writing_and_reading(any_compression: Client) -> None:
    client = any_compression
    client.insert("plain", ROWS, column_names=["a", "b"])
    assert client.query("SELECT * FROM plain ORDER BY a").result_rows == ROWS
    frame = pd.DataFrame({"a": np.array([10, 11], dtype="u8"), "b": ["x", "y"]})
    client.insert_df("plain", frame)
    read = client.query_df("SELECT * FROM plain WHERE a >= 10 ORDER BY a")
    assert read["a"].tolist() == [10, 11]
    assert read["b"].tolist() == ["x", "y"]
    table = pa.table({"a": pa.array([20, 21], pa.uint64()), "b": ["p", "q"]})
    client.insert_arrow("plain", table)
    back = client.query_arrow("SELECT * FROM plain WHERE a >= 20 ORDER BY a", use_strings=True)
    assert back.to_pydict() == table.to_pydict()
    client.raw_insert("plain", column_names=["a", "b"], insert_block="30,thirty\n31,x\n", fmt="CSV")
    client.raw_insert("plain", insert_block=iter([b"32\t", b"tab\n33\tlast"]), fmt="TabSeparated")
    assert client.command("SELECT count() FROM plain WHERE a >= 30") == 4
    assert client.raw_query("SELECT a FROM plain WHERE a < 3 ORDER BY a", fmt="CSV") == b"1\n2\n"


def test_streams_give_every_row_once(any_compression: Client) -> None:
    client = any_compression
    count = 300_000
    query = f"SELECT number, toString(number) AS s FROM numbers({count})"
    with client.query_row_block_stream(query) as stream:
        assert sum(block[-1][0] - block[0][0] + 1 for block in stream) == count
    with client.query_df_stream(query) as stream:
        assert sum(len(frame) for frame in stream) == count
    with client.query_arrow_stream(query) as stream:
        assert pa.Table.from_batches(list(stream)).column("number").to_pylist() == list(range(count))
    assert client.raw_stream(query, fmt="TSV").read().count(b"\n") == count


def test_compressed_raw_insert_of_several_frames(client: Client) -> None:
    import gzip

    import lz4.frame
    import zstandard

    client.command(PLAIN)
    compressors = {"lz4": lz4.frame.compress, "zstd": zstandard.compress, "gzip": gzip.compress}
    for number, (encoding, compress) in enumerate(compressors.items()):
        body = b"".join(compress(b"%d\tx\n" % (number * 100 + row)) for row in range(3))
        client.raw_insert("plain", insert_block=body, fmt="TSV", compression=encoding)
    assert client.command("SELECT count(), uniqExact(a) FROM plain") == ["9", "9"]


def test_one_insert_is_one_part(client: Client) -> None:
    client.command(PLAIN)
    count = 2_500_000  # more than max_insert_block_size of the engine's defaults
    table = pa.table({"a": np.arange(count, dtype="u8"), "b": pa.array(["x"]).take(pa.array(np.zeros(count, "i4")))})
    summary = client.insert_arrow("plain", table)
    assert summary.written_rows == count
    assert [rows for _, rows in parts(client, "plain")] == [count]
    client.insert_df("plain", pd.DataFrame({"a": np.arange(10, dtype="u8"), "b": "y"}))
    assert [rows for _, rows in parts(client, "plain")] == [count, 10]


def test_types_survive(client: Client) -> None:
    client.command(
        """CREATE TABLE types (
            name LowCardinality(String), at DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)), price Float64,
            relative Nullable(Float32), class Nullable(Int8), bars Nullable(UInt16),
            kind Enum8('open' = 1, 'closed' = 2), flag Bool, exact DateTime64(3, 'UTC'), list Array(UInt8)
        ) ENGINE = MergeTree ORDER BY (name, at)"""
    )
    at = dt.datetime(2024, 2, 29, 23, 55, tzinfo=dt.UTC)
    rows = [
        ("EURUSD", at, 1.0e-300, 0.5, -1, 65535, "open", True, at.replace(microsecond=7000), [1, 2]),
        ("EURUSD", at + dt.timedelta(minutes=5), 1.1, None, None, None, "closed", False, at, []),
    ]
    client.insert("types", rows)
    read = client.query("SELECT * FROM types ORDER BY at", query_tz="UTC").result_rows
    assert [(*row[:1], row[2:8], row[9]) for row in read] == [(*row[:1], row[2:8], row[9]) for row in rows]
    assert [row[1].replace(tzinfo=dt.UTC) for row in read] == [row[1] for row in rows]
    arrow = client.query_arrow("SELECT relative, class, bars, flag FROM types ORDER BY at")
    assert arrow.column("relative").to_pylist() == [0.5, None]
    assert arrow.column("class").null_count == 1
    assert arrow.column("flag").to_pylist() == [True, False]


def test_replacing_table_read_through_a_view(client: Client) -> None:
    client.command(
        """CREATE TABLE stored (id UInt32, ts DateTime('UTC'), v Float64, version UInt64, is_deleted UInt8)
        ENGINE = ReplacingMergeTree(version, is_deleted) PARTITION BY toYear(ts) ORDER BY (id, ts)"""
    )
    client.command("CREATE VIEW current AS SELECT id, ts, v FROM stored FINAL")
    names = ["id", "ts", "v", "version", "is_deleted"]
    ts = 1_700_000_000
    client.insert("stored", [[1, ts, 1.0, 1, 0], [2, ts, 2.0, 1, 0]], column_names=names)
    client.insert("stored", [[1, ts, 1.5, 2, 0], [2, ts, 2.0, 2, 1]], column_names=names)
    assert client.query("SELECT id, v FROM current").result_rows == [(1, 1.5)]
    assert len(parts(client, "stored")) == 2


def test_bound_parameters_stay_values(client: Client) -> None:
    text = "it's \\ a\ttab\nnewline — ü; DROP TABLE x"
    bound = {"text": text, "number": 7, "day": dt.date(2024, 1, 2), "list": [1, 2], "name": "one"}
    query = "SELECT {text:String}, {number:UInt8}, {day:Date}, {list:Array(UInt8)}, 1 AS {name:Identifier}"
    result = client.query(query, parameters=bound)
    assert result.result_rows == [(text, 7, dt.date(2024, 1, 2), [1, 2], 1)]
    assert result.column_names[-1] == "one"
    client.command(PLAIN)
    client.command("INSERT INTO plain VALUES ({a:UInt64}, {b:String})", parameters={"a": 1, "b": text})
    client.command(
        "INSERT INTO {table:Identifier} SELECT {a:UInt64}, {b:String}",
        parameters={"table": "plain", "a": 2, "b": text},
    )
    assert client.query("SELECT b FROM plain ORDER BY a").result_rows == [(text,), (text,)]


def test_parameters_in_a_form(endpoint: ClickHouseEndpoint) -> None:
    with connect(endpoint, form_encode_query_params=True) as client:
        rows = client.query("SELECT {a:String} AS a", parameters={"a": "ü" * 50_000}).result_rows
    assert rows == [("ü" * 50_000,)]


def test_external_data(client: Client) -> None:
    external = ExternalData(
        file_name="wanted.csv", fmt="CSV", structure="id UInt32, weight Decimal(9, 2)", data=b"1,0.5\n3,1.5\n"
    )
    query = "SELECT number, weight FROM numbers(5) AS n JOIN wanted ON n.number = wanted.id ORDER BY number"
    assert [row[0] for row in client.query(query, external_data=external).result_rows] == [1, 3]
    typed = ExternalData(file_name="t.tsv", types=["UInt8", "Decimal(9, 2)"], data=b"1\t2\n")
    assert client.query("SELECT _1 FROM t", external_data=typed).result_rows == [(1,)]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM wanted")


def test_settings_and_use_do_not_leak(client: Client, endpoint: ClickHouseEndpoint) -> None:
    ask = "SELECT getSetting('max_threads'), getSetting('async_insert')"
    before = client.query(ask).result_rows
    assert before[0][1] is False
    assert client.query(ask, settings={"max_threads": 7}).result_rows == [(7, False)]
    client.command("SET max_threads = 5")
    client.command("USE system")
    assert client.query(ask).result_rows == before
    assert client.command("SELECT currentDatabase()") == client.database
    with connect(endpoint) as other:
        assert other.command("SELECT currentDatabase()") == "default"


def test_session_keeps_what_statements_set_and_nothing_else(endpoint: ClickHouseEndpoint, database: str) -> None:
    with connect(endpoint, session_id=f"s-{database}") as client:
        client.command("CREATE TEMPORARY TABLE kept (a UInt8)")
        client.command("INSERT INTO kept VALUES (1)")
        client.command("SET max_threads = 3")
        client.command(f"USE {database}")
        ask = "SELECT getSetting('max_threads'), currentDatabase(), (SELECT count() FROM kept)"
        assert client.query(ask).result_rows == [(3, database, 1)]
        assert client.query(ask, settings={"max_threads": 9}).result_rows == [(9, database, 1)]
        assert client.query(ask).result_rows == [(3, database, 1)]
    with connect(endpoint) as other, pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        other.query("SELECT * FROM kept")


@pytest.mark.parametrize(
    ("statement", "code", "name"),
    [
        ("SELECT * FROM nowhere", 60, "UNKNOWN_TABLE"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(number = 3) FROM numbers(5)", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SYSTEM SHUTDOWN", 497, "ACCESS_DENIED"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", 48, "NOT_IMPLEMENTED"),
    ],
)
def test_engine_errors_carry_code_and_name(client: Client, statement: str, code: int, name: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        client.command(statement)
    assert (raised.value.code, raised.value.name) == (code, name)


def test_bad_rows_insert_nothing(client: Client) -> None:
    client.command(PLAIN)
    with pytest.raises(DatabaseError) as raised:
        client.raw_insert("plain", insert_block=b"1\ta\n" * 1000 + b"x\tb\n", fmt="TSV")
    assert raised.value.code == 27
    assert client.command("SELECT count() FROM plain") == 0


def test_an_insert_that_cannot_be_written_is_not_acknowledged(client: Client) -> None:
    client.command("CREATE TABLE small (a UInt64, CONSTRAINT bound CHECK a < 10) ENGINE = MergeTree ORDER BY a")
    client.insert("small", [[1], [2]], column_names=["a"], settings={"max_insert_block_size": 1000})
    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
        client.insert_arrow("small", pa.table({"a": pa.array([3, 10], pa.uint64())}))
    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
        client.command("INSERT INTO small SETTINGS max_threads = 1 VALUES (4), (11)")
    client.command("INSERT INTO small SETTINGS max_threads = 1 VALUES (5)")
    assert client.query("SELECT a FROM small ORDER BY a").result_rows == [(1,), (2,), (5,)]


def test_error_in_the_midst_of_a_stream(client: Client) -> None:
    query = "SELECT number, throwIf(number = 2000000) FROM numbers(5000000)"
    seen = 0
    with pytest.raises(StreamFailureError, match="throwIf"), client.query_row_block_stream(query) as stream:  # noqa: PT012
        for block in stream:
            seen += len(block)
    assert 0 < seen <= 2_000_000
    assert client.command("SELECT 1") == 1
