"""What a source file declares: which files or table hold an instrument, in which format, on which clock.

A file `sources.yaml` looks like this; every key is an attribute of a class below:

    sources:
      - instrument: EURUSD
        granularity: M1
        format: histdata
        files: histdata/DAT_ASCII_EURUSD_M1_*.csv
        clock: America/New_York

Belongs here: the shape of a declaration, and errors that name its line. Does not belong here: reading what it declares
(one file per format), what a clock means (`sources.clocks`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from label_assets.catalog.granularities import granularity
from label_assets.catalog.instruments import INSTRUMENT_PATTERN
from label_assets.errors import CatalogError, LabelAssetsError, SettingsError
from label_assets.sources.clocks import Clock, parse_clock

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PRICES = ("open", "high", "low", "close")
SIDES = ("bid", "ask")
SIDED_PRICES = tuple(f"{side}_{price}" for side in SIDES for price in PRICES)
COLUMN_NAMES = ("ts", "date", "time", *PRICES, *SIDED_PRICES, "volume", "-")
"""What a column of a CSV file, a Parquet file or a table may be: `ts`, or `date` and `time` which are joined with a
space; prices, or prices by side; volume; `-` for one that is not read."""

EPOCHS = {"epoch_s": 1, "epoch_ms": 10**3, "epoch_us": 10**6, "epoch_ns": 10**9}
"""Stamp formats that are numbers since 1970, by units per second."""


_Columns = TypeVar("_Columns", bound=tuple[str, ...] | Mapping[str, str])


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClockPiece(_Declared):
    """The clock of a file from one instant to another.

    Attributes:
        clock: A clock as in `SourceDeclaration.clock`.
        until: Local time, on this piece's own clock, at which the next piece begins; absent in the last piece.
    """

    clock: str
    until: str | None = None


class SourceDeclaration(_Declared):
    """What every declaration has.

    Attributes:
        instrument: Name of the instrument, as configured.
        granularity: Granularity of the candles. One that is finer than the base is resampled, a coarser one refused.
        clock: Clock of the stamps: "UTC", an IANA zone ("America/New_York"), a fixed offset ("+02:00"), a zone moved
            by hours ("America/New_York + 7 h": MetaTrader servers), or a list of pieces where it changes inside a file.
            Unset where the format says it.
        price: Side of the prices where a row has both: bid, ask or mid (the mean of bid and ask, price by price).
        price_divisor: Prices are divided by this: 100000 for prices in points of a five-digit quote.
        weekend_filler: `drop` leaves out flat candles without volume while the FX week is closed (Friday 17:00 to
            Sunday 17:00 New York); `keep` stores them. Unset: drop for fx, metals and indices, keep for others.
        first: First date that counts, UTC, `YYYY-MM-DD`; earlier rows are dropped and counted.
        last: Last date that counts, UTC, included; later rows are dropped and counted.
    """

    instrument: str = Field(pattern=INSTRUMENT_PATTERN)
    granularity: str
    clock: str | tuple[ClockPiece, ...] | None = None
    price: Literal["bid", "ask", "mid"] | None = None
    price_divisor: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    weekend_filler: Literal["drop", "keep"] | None = None
    first: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
    last: str | None = Field(default=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")

    @field_validator("granularity")
    @classmethod
    def _granularity_exists(cls, name: str) -> str:
        try:
            return granularity(name).name
        except CatalogError as error:
            raise ValueError(f"{error.found}; allowed are {error.allowed}") from None

    @field_validator("clock")
    @classmethod
    def _clock_is_known(cls, clock: str | tuple[ClockPiece, ...] | None) -> str | tuple[ClockPiece, ...] | None:
        if clock is not None:
            _clock(clock)
        return clock

    @property
    def parsed_clock(self) -> Clock | None:
        """The declared clock; None where there is none."""
        return None if self.clock is None else _clock(self.clock)


def _clock(clock: str | tuple[ClockPiece, ...]) -> Clock:
    pieces = clock if isinstance(clock, str) else [(piece.clock, piece.until) for piece in clock]
    try:
        return parse_clock(pieces)
    except SettingsError as error:
        raise ValueError(f"{error.found}; allowed: {error.allowed}") from None


class _Files(SourceDeclaration):
    """A declaration of files.

    Attributes:
        files: Pattern of file names (`*`, `?`, `**`), or several; relative to the folder of the declaration. Plain,
            or compressed as .gz or .zip. Of two files the one that was modified later wins.
    """

    files: tuple[str, ...]

    @field_validator("files", mode="before")
    @classmethod
    def _one_pattern(cls, files: Any) -> Any:
        return [files] if isinstance(files, str) else files


class ParquetDeclaration(_Files):
    """Parquet files.

    Attributes:
        format: `parquet`.
        columns: Name in the file of each column that is called otherwise there: `ts`, `open` …, `volume`, or prices by
            side (`bid_open` …).
    """

    format: Literal["parquet"]
    columns: Mapping[str, str] = {}

    @field_validator("columns")
    @classmethod
    def _columns_exist(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        return _known_columns(columns)


class CsvDeclaration(_Files):
    """Text files of a layout that is declared column by column.

    Attributes:
        format: `csv`.
        columns: Columns in the order of the file, by our names (`-`: not read), or for a file with a header a mapping
            from our names to the header's.
        separator: One character; `\\t` is a tab.
        header: The first line names the columns.
        skip_lines: Lines before the header or the first row that are not read.
        stamp_format: As in strptime ("%Y.%m.%d %H:%M:%S.%f"; `%z` for stamps with an offset), or epoch_s, epoch_ms,
            epoch_us, epoch_ns.
        encoding: Of the text: utf-8, utf-16, latin-1 …
    """

    format: Literal["csv"]
    columns: tuple[str, ...] | Mapping[str, str]
    separator: str = Field(default=",", min_length=1, max_length=1)
    header: bool = False
    skip_lines: int = Field(default=0, ge=0, le=10_000)
    stamp_format: str
    encoding: str = "utf-8"

    @field_validator("separator", mode="before")
    @classmethod
    def _tab(cls, separator: Any) -> Any:
        return {"\\t": "\t", "tab": "\t"}.get(separator, separator)

    @field_validator("columns")
    @classmethod
    def _columns_exist(cls, columns: tuple[str, ...] | Mapping[str, str]) -> tuple[str, ...] | Mapping[str, str]:
        known = _known_columns(columns)
        names = [name for name in columns if name != "-"]
        if len(set(names)) != len(names):
            raise ValueError(f"found {', '.join(names)}; allowed is each column once")
        if "ts" not in names and not {"date", "time"} <= set(names):
            raise ValueError(f"found {', '.join(names)}; allowed are columns with `ts`, or with `date` and `time`")
        return known

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if isinstance(self.columns, Mapping) and not self.header:
            raise ValueError("columns by the names of a header need `header: true`; a list gives them by position")
        return self


class PresetDeclaration(_Files):
    """Files of a layout that a vendor defines.

    Attributes:
        format: `dukascopy` (Dukascopy CSV, stamps in GMT or local time with an offset), `histdata` (HistData ASCII),
            `metatrader` (MetaTrader 4 or 5 CSV, with or without a header), `oanda_json` (OANDA v20 candles),
            `oanda_csv` (epoch seconds, tabs, O C H L), `arrays_json` (a list of [milliseconds, O, H, L, C, V]),
            `lean_quote` (milliseconds of the day, bid and ask; the date is in the file's name).
    """

    format: Literal["dukascopy", "histdata", "metatrader", "oanda_json", "oanda_csv", "arrays_json", "lean_quote"]


class TableDeclaration(SourceDeclaration):
    """A ClickHouse table that someone else fills, on the configured server.

    Attributes:
        format: `clickhouse`.
        table: `table` or `database.table`.
        columns: The table's name of each column: `ts` (DateTime or DateTime64), prices, prices by side, `volume`.
        where: Values that the rows of this instrument have, by column: `{symbol: EURUSD}`.
    """

    format: Literal["clickhouse"]
    table: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$")
    columns: Mapping[str, str] = {}
    where: Mapping[str, str] = {}

    @field_validator("columns")
    @classmethod
    def _columns_exist(cls, columns: Mapping[str, str]) -> Mapping[str, str]:
        return _known_columns(columns)


Declaration = Annotated[
    ParquetDeclaration | CsvDeclaration | PresetDeclaration | TableDeclaration, Field(discriminator="format")
]


class _Sources(_Declared):
    sources: tuple[Declaration, ...]

    @field_validator("sources", mode="before")
    @classmethod
    def _any(cls, sources: object) -> object:
        if not sources:  # a bound on the tuple would also count out the declarations that are wrong in themselves
            raise ValueError("nothing is declared")
        return sources


def _known_columns(columns: _Columns) -> _Columns:
    for name in columns:
        if name not in COLUMN_NAMES:
            raise ValueError(f"found column {name!r}; allowed are {', '.join(COLUMN_NAMES)}")
    return columns


def load_declarations(file: Path) -> tuple[Declaration, ...]:
    """Read and check a source file.

    Raises:
        SettingsError: naming the file, the line and the key of each problem.
    """
    try:
        text = file.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        # BaseLoader leaves every scalar a text: no value becomes a date, a number in base 60 or a boolean by its looks.
        content = yaml.load(text, Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(file, str(error)) from error
    except yaml.YAMLError as error:
        raise _unusable(file, _syntax_problem(error)) from error
    try:
        return _Sources.model_validate(content).sources
    except ValidationError as error:
        raise _unusable(file, "; ".join(_problem(root, problem) for problem in error.errors())) from error


def _syntax_problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    hint = " (a pattern that begins with * must stand in quotes)" if error.context == "while scanning an alias" else ""
    return f"line {error.problem_mark.line + 1}: {error.problem}{hint}"


def _problem(root: yaml.Node | None, problem: "ErrorDetails") -> str:
    # An unknown format is reported for the whole declaration.
    location = (*problem["loc"], "format") if problem["type"] == "union_tag_invalid" else problem["loc"]
    found = problem["input"]
    shown = f" (found {found!r})" if isinstance(found, str) else ""
    return f"line {_line(root, location)}: {_key(location)}: {problem['msg']}{shown}"


def _key(location: tuple[int | str, ...]) -> str:
    """The location as a reader of the file would say it: without the alternatives that pydantic tried."""
    return ".".join(str(part) for part in location if isinstance(part, int) or "[" not in part) or "the file"


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """Line of the deepest node that a location of pydantic leads to; parts that name alternatives lead nowhere."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    node, line = value, key.start_mark.line + 1
                    break
    return line


def _unusable(file: Path, found: str) -> LabelAssetsError:
    return SettingsError(
        asked=f"the sources that {file} declares",
        found=found,
        allowed="a list `sources`, each with instrument, granularity, format, files or table, as docs/sources.md shows",
        action="mend that line; `label-assets inspect FILE` prints a declaration to paste",
    )
