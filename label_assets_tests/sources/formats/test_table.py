"""Tables that someone else fills, on the embedded server."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from label_assets.errors import SourceUnreadableError
from label_assets.sources.declaration import TableDeclaration
from label_assets.sources.formats.table import read_table, table_fingerprint
from label_assets.sources.raw_rows import RawRows
from label_assets.warehouse.client import connect
from label_assets_tests.sources.formats.laws import assert_laws, values

T0 = 1_514_764_800
COLUMNS = "ts DateTime('UTC'), open Float64, high Float64, low Float64, close Float64, volume Float64"
ROWS = "('2018-01-01 00:01:00', 1.2, 1.4, 1.1, 1.3, 6), ('2018-01-01 00:00:00', 1.1, 1.3, 1.0, 1.2, 5)"


@pytest.fixture
def client(clickhouse_url: str) -> Iterator[Client]:
    database = f"t_{uuid.uuid4().hex[:12]}"
    opened = connect(clickhouse_url, "default")
    opened.command(f"CREATE DATABASE {database}")
    opened.close()
    opened = connect(clickhouse_url, database)
    yield opened
    opened.command(f"DROP DATABASE {database} SYNC")
    opened.close()


@pytest.fixture
def make(client: Client) -> Callable[..., None]:
    def make_table(columns: str = COLUMNS, rows: str = ROWS, engine: str = "MergeTree", key: str = "ts") -> None:
        client.command("DROP TABLE IF EXISTS candles SYNC")
        client.command(
            f"CREATE TABLE candles ({columns}) ENGINE = {engine} ORDER BY {key} SETTINGS allow_nullable_key = 1"
        )
        if rows:
            client.command(f"INSERT INTO candles VALUES {rows}")

    return make_table


def _declared(**keys: Any) -> TableDeclaration:
    defaults = {"instrument": "EURUSD", "granularity": "M1", "format": "clickhouse", "table": "candles"}
    return TableDeclaration(**defaults | keys)


def _read(client: Client, **keys: Any) -> RawRows:
    rows = read_table(client, _declared(**keys))
    assert_laws(rows)
    return rows


def test_rows_by_time(client: Client, make: Callable[..., None]) -> None:
    make()
    rows = _read(client)
    assert values(rows) == [(T0, 1.1, 1.3, 1.0, 1.2, 5.0), (T0 + 60, 1.2, 1.4, 1.1, 1.3, 6.0)]
    assert rows.line.tolist() == [1, 2]
    assert rows.is_utc
    assert rows.stamp_texts(rows.line) == ["2018-01-01 00:00:00", "2018-01-01 00:01:00"]
    assert values(_read(client, table=f"{client.database}.candles")) == values(rows)
    make(rows="")
    assert len(_read(client).line) == 0


@pytest.mark.parametrize(
    ("kind", "written", "stamp_s", "has_fraction", "is_utc", "text"),
    [
        ("DateTime", f"{T0}", T0, False, False, "2018-01-01 00:00:00"),
        ("DateTime('America/New_York')", f"{T0}", T0, False, True, "2018-01-01 00:00:00"),
        ("DateTime64(3)", "'2018-01-01 00:00:00.500'", T0, True, False, "2018-01-01 00:00:00.500"),
        ("DateTime64(0, 'UTC')", "'2018-01-01 00:00:00'", T0, False, True, "2018-01-01 00:00:00"),
        ("DateTime64(9, 'UTC')", "'1969-12-31 23:59:59.000000001'", -1, True, True, "1969-12-31 23:59:59.000000001"),
        ("Nullable(DateTime64(6, 'UTC'))", "'2018-01-01 00:00:00'", T0, False, True, "2018-01-01 00:00:00.000000"),
        ("Nullable(DateTime('UTC'))", "NULL", None, False, True, None),
        ("Nullable(DateTime64(3))", "NULL", None, False, False, None),
    ],
)
def test_time_stamps_of_every_type(
    client: Client,
    make: Callable[..., None],
    kind: str,
    written: str,
    stamp_s: int | None,
    has_fraction: bool,
    is_utc: bool,
    text: str | None,
) -> None:
    """A zone says that a column holds instants; without one nobody knows what its filler put in."""
    make(COLUMNS.replace("DateTime('UTC')", kind), f"({written}, 1.1, 1.3, 1.0, 1.2, 5)")
    rows = _read(client)
    assert values(rows)[0][0] == stamp_s
    assert (rows.has_fraction[0], rows.is_utc) == (has_fraction, is_utc)
    assert rows.stamp_texts(rows.line) == [text]


@pytest.mark.parametrize(
    "kind", ["Float64", "Decimal(20, 5)", "Decimal(60, 20)", "Nullable(Float64)", "Nullable(Decimal(20, 5))"]
)
def test_prices_of_every_type(client: Client, make: Callable[..., None], kind: str) -> None:
    make(COLUMNS.replace("Float64", kind), "('2018-01-01 00:00:00', 1.10001, 1.30003, 1.00007, 1.20001, 5)")
    assert values(_read(client)) == [(T0, 1.10001, 1.30003, 1.00007, 1.20001, 5.0)]


@pytest.mark.parametrize("kind", ["Int64", "UInt32", "Int128", "Float32", "Nullable(UInt256)"])
def test_prices_in_points(client: Client, make: Callable[..., None], kind: str) -> None:
    make(COLUMNS.replace("Float64", kind), "('2018-01-01 00:00:00', 110001, 130003, 100007, 120001, 5)")
    assert values(_read(client, price_divisor=100_000)) == [(T0, 1.10001, 1.30003, 1.00007, 1.20001, 5.0)]


def test_missing_values(client: Client, make: Callable[..., None]) -> None:
    make(COLUMNS.replace("Float64", "Nullable(Float64)"), "('2018-01-01 00:00:00', NULL, nan, inf, 1.2, NULL)")
    assert values(_read(client)) == [(T0, None, None, float("inf"), 1.2, None)]


def test_other_names_and_the_rows_of_an_instrument(client: Client, make: Callable[..., None]) -> None:
    """Names that mean something in SQL are names; values are compared as texts, whatever the type."""
    columns = (
        "`select` DateTime('UTC'), `o``p` Float64, high Float64, low Float64, close Float64, symbol String, kind UInt8"
    )
    rows = "('2018-01-01 00:00:00', 1.1, 1.3, 1.0, 1.2, 'EUR''USD', 1), ('2018-01-01 00:00:00', 1, 1, 1, 1, 'X', 1)"
    make(columns, rows, key="`select`")
    names = {"ts": "select", "open": "o`p"}
    found = _read(client, columns=names, where={"symbol": "EUR'USD", "kind": "1"})
    assert values(found) == [(T0, 1.1, 1.3, 1.0, 1.2, 0.0)]
    assert len(_read(client, columns=names).line) == 2
    assert len(_read(client, columns=names, where={"kind": "1 OR 1"}).line) == 0


def test_sides(client: Client, make: Callable[..., None]) -> None:
    columns = "ts DateTime('UTC'), " + ", ".join(
        f"{s}_{p} Float64" for s in ("bid", "ask") for p in ("open", "high", "low", "close")
    )
    make(columns, "('2018-01-01 00:00:00', 1.1, 1.3, 1.0, 1.2, 1.3, 1.5, 1.2, 1.4)")
    assert values(_read(client, price="ask"))[0][1] == 1.3
    assert values(_read(client, price="mid"))[0][1] == (1.1 + 1.3) / 2
    with pytest.raises(SourceUnreadableError, match="no `price` declared"):
        _read(client)


def test_rows_that_are_not_merged_yet(client: Client, make: Callable[..., None]) -> None:
    make(engine="ReplacingMergeTree", rows="('2018-01-01 00:00:00', 1, 1, 1, 1, 1)")
    client.command("INSERT INTO candles VALUES ('2018-01-01 00:00:00', 2, 2, 2, 2, 2)")
    assert _read(client).open.tolist() == [2.0]
    client.command("CREATE VIEW all_candles AS SELECT * FROM candles")
    assert set(_read(client, table="all_candles").open.tolist()) == {1.0, 2.0}


@pytest.mark.parametrize(
    ("columns", "keys", "found"),
    [
        (COLUMNS, {"table": "absent"}, "no such table"),
        (COLUMNS, {"table": "absent.candles"}, "no such table"),
        (COLUMNS.replace("close", "last"), {}, "no column 'close' among ts, open"),
        (COLUMNS, {"columns": {"ts": "time"}}, "no column 'time'"),
        (COLUMNS, {"columns": {"volume": "ticks"}}, "no column 'ticks'"),
        (COLUMNS, {"where": {"symbol": "EURUSD"}}, "no column 'symbol'"),
        (COLUMNS.replace("DateTime('UTC')", "Date"), {}, "column 'ts' of type Date"),
        (COLUMNS.replace("DateTime('UTC')", "String"), {}, "column 'ts' of type String"),
        (COLUMNS.replace("open Float64", "open String"), {}, "column 'open' of type String"),
        (COLUMNS.replace("open Float64", "open Array(Float64)"), {}, "column 'open' of type Array(Float64)"),
    ],
)
def test_tables_that_cannot_be_read(
    client: Client, make: Callable[..., None], columns: str, keys: dict[str, Any], found: str
) -> None:
    make(columns, rows="")
    for read in (read_table, table_fingerprint):
        with pytest.raises(SourceUnreadableError) as caught:
            read(client, _declared(**keys))
        assert found in caught.value.found
        assert caught.value.asked.startswith("candles of table")


def test_a_server_that_refuses(client: Client, make: Callable[..., None]) -> None:
    """What the server says becomes the error that names the table."""
    make()
    client.command("CREATE VIEW broken AS SELECT * FROM candles")
    client.command("ALTER TABLE candles DROP COLUMN close")
    with pytest.raises(SourceUnreadableError, match="candles of table broken"):
        _read(client, table="broken")


def test_the_fingerprint_changes_with_the_rows(client: Client, make: Callable[..., None]) -> None:
    make(COLUMNS.replace("Float64", "Nullable(Float64)") + ", comment String", ROWS.replace(")", ", 'a')"))
    declared = _declared()
    seen = [table_fingerprint(client, declared)]
    assert table_fingerprint(client, declared) == seen[0]
    for change in (
        "INSERT INTO candles VALUES ('2018-01-01 00:00:30', 1.1, 1.3, 1.0, 1.2, NULL, 'a')",
        "ALTER TABLE candles UPDATE high = 1.35 WHERE volume IS NULL SETTINGS mutations_sync = 2",  # a row with a NULL
        "ALTER TABLE candles UPDATE open = NULL WHERE volume = 5 SETTINGS mutations_sync = 2",
        "INSERT INTO candles VALUES ('2018-01-01 00:00:30', 1.1, 1.35, 1.0, 1.2, NULL, 'a')",  # a duplicate
        "ALTER TABLE candles DELETE WHERE volume = 6 SETTINGS mutations_sync = 2",
    ):
        client.command(change)
        seen.append(table_fingerprint(client, declared))
    assert len(set(seen)) == len(seen)
    client.command("ALTER TABLE candles UPDATE comment = 'b' WHERE 1 SETTINGS mutations_sync = 2")
    client.command("OPTIMIZE TABLE candles FINAL")
    assert table_fingerprint(client, declared) == seen[-1]  # columns that are not read do not count
    assert table_fingerprint(client, _declared(where={"comment": "x"})) != seen[-1]
