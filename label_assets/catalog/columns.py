"""What a column is: its type in ClickHouse and Arrow, unit, range, when it is NULL, what it says.

Belongs here: the shapes of catalogue entries and the few column types. Does not belong here: single columns
(`catalog.tables`, `catalog.families`), SQL statements (`warehouse.schema`).
"""

from dataclasses import dataclass, field
from enum import Enum

import pyarrow as pa


class ColumnType(Enum):
    """The column types; each is one storage decision for the whole warehouse.

    Attributes of a member:
        clickhouse: ClickHouse type without Nullable; an enumeration's is made from its values.
        codec: Compression codec, or "" for the server's default.
        arrow: Arrow type that people get.
        wire: Arrow type between us and the server: integers for times and enumerations, which both ends treat alike.
    """

    NAME = ("LowCardinality(String)", "", pa.string(), pa.string())
    TEXT = ("String", "ZSTD(1)", pa.string(), pa.string())
    TIME = ("DateTime('UTC')", "DoubleDelta, ZSTD(1)", pa.timestamp("s", tz="UTC"), pa.uint32())
    PRICE = ("Float64", "ZSTD(1)", pa.float64(), pa.float64())
    RELATIVE = ("Float32", "ZSTD(1)", pa.float32(), pa.float32())
    CLASS = ("Int8", "ZSTD(1)", pa.int8(), pa.int8())
    BARS = ("UInt16", "ZSTD(1)", pa.uint16(), pa.uint16())
    COUNT = ("UInt32", "ZSTD(1)", pa.uint32(), pa.uint32())
    FLAG = ("Bool", "ZSTD(1)", pa.bool_(), pa.uint8())
    DECILES = ("Array(Float32)", "ZSTD(1)", pa.list_(pa.float32()), pa.list_(pa.float32()))
    ENUM = ("Enum8", "ZSTD(1)", pa.string(), pa.int8())

    def __init__(self, clickhouse: str, codec: str, arrow: pa.DataType, wire: pa.DataType) -> None:
        """Name the four parts of a member."""
        self.clickhouse = clickhouse
        self.codec = codec
        self.arrow = arrow
        self.wire = wire


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Column name, the same in ClickHouse, Arrow, API and docs.
        type: Its storage type.
        sentence: What it says, one sentence.
        unit: Unit of the value; "1" for ratios, "" for names, classes and booleans.
        low: Smallest value that can occur; None where there is no bound.
        high: Largest value that can occur; None where there is no bound.
        bounded_by: Setting, as a dotted name, that replaces the magnitude of the bounds above; "" for none.
        null: When it is NULL; "" for a column that never is.
        number: Label number in LABELS.md §4; "" for a column that is no label.
        values: Values of an enumeration, in the order of their codes 0, 1, …
        known_at_entry: Set for every window status, from nothing that is later than the entry.
        reference: Publication that defines it, where there is one.
    """

    name: str
    type: ColumnType
    sentence: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    bounded_by: str = ""
    null: str = ""
    number: str = ""
    values: tuple[str, ...] = ()
    known_at_entry: bool = False
    reference: str = ""

    @property
    def nullable(self) -> bool:
        """Whether NULL can occur."""
        return bool(self.null)


@dataclass(frozen=True)
class Table:
    """One table of the warehouse: a storage table and the view of the plain name that people read.

    Attributes:
        name: Name of the view and of the asset.
        sentence: What a row is.
        key: Columns that identify a row, in sort order; `instrument_id` first.
        columns: Every other column.
        uncompared: Columns that do not count when deciding whether a row changed.
    """

    name: str
    sentence: str
    key: tuple[Column, ...]
    columns: tuple[Column, ...]
    uncompared: frozenset[str] = field(default_factory=frozenset)

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """Key and other columns, in the order of the table."""
        return self.key + self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, in the order of the table."""
        return tuple(column.name for column in self.all_columns)

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the key columns, in sort order."""
        return tuple(column.name for column in self.key)

    def arrow_schema(self) -> pa.Schema:
        """Schema of the rows that people get."""
        return pa.schema([pa.field(c.name, c.type.arrow, nullable=c.nullable) for c in self.all_columns])

    def wire_schema(self) -> pa.Schema:
        """Schema of the rows between us and the server."""
        return pa.schema([pa.field(c.name, c.type.wire, nullable=c.nullable) for c in self.all_columns])


@dataclass(frozen=True)
class Family:
    """A family of labels: one asset, one kernel, one table.

    Attributes:
        table: Its table; the key is (instrument_id, granularity, horizon, ts).
        title: Heading in the docs.
        summary: One or two sentences for the docs and the Dagster UI.
        version: Raised by one whenever a definition changes, so that Dagster shows what is outdated.
        parameters: Settings that enter the values, as dotted names.
    """

    table: Table
    title: str
    summary: str
    version: int
    parameters: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the family, its table and its asset."""
        return self.table.name
