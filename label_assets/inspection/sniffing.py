"""Which format a file has: declarations that could read it, and the one that reads it best.

Belongs here: signs of a format, the layout of text files that no vendor defines. Does not belong here: reading
(`sources.formats`), what the rows say (`inspection.facts`).
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from label_assets.catalog.granularities import GRANULARITIES
from label_assets.errors import SettingsError, SourceUnreadableError
from label_assets.inspection.columns import has_prices, named_columns, prices_by_size, stamp_format
from label_assets.market.validation import VALID
from label_assets.sources.declaration import PRICES, SIDES, CsvDeclaration, ParquetDeclaration, PresetDeclaration
from label_assets.sources.formats.csv import fields_of
from label_assets.sources.formats.lines import first_lines
from label_assets.sources.formats.numbers import parse_numbers
from label_assets.sources.formats.opening import opened, unreadable
from label_assets.sources.formats.presets import recognized
from label_assets.sources.formats.reading import FileDeclaration, read_file
from label_assets.sources.raw_rows import RawRows

TEXT_PRESETS = ("lean_quote", "histdata", "dukascopy", "oanda_csv", "metatrader")
"""In the order in which they are tried: the strictest first."""
FORMATS = ("parquet", "csv", *get_args(PresetDeclaration.model_fields["format"].annotation))

_FIRST_BYTES = 100_000
_BEGINNINGS = {b"PAR1": "parquet", b"{": "oanda_json", b"[": "arrays_json"}
_LINES = 20_000
_SAMPLE = 500
_SEPARATORS = (",", ";", "\t", "|", " ")
_FEWEST_COLUMNS = 5
_HEADER_LINES = 20
# Replaced when more is known; a declaration cannot do without them.
_PLACEHOLDERS: dict[str, Any] = {"instrument": "UNKNOWN", "granularity": "M1"}


class Read(NamedTuple):
    """A file, read by the declaration that reads most of its rows."""

    declaration: FileDeclaration
    rows: RawRows


def read_best(path: Path, format_name: str | None) -> Read:
    """Find out how a file is read, and read it.

    Args:
        path: The file.
        format_name: Its format, where it is known.

    Raises:
        SettingsError: there is no such format.
        SourceUnreadableError: it cannot be read in any format that is known, or not in that one.
    """
    if format_name is not None and format_name not in FORMATS:
        raise SettingsError(
            asked=f"format {format_name!r}",
            found="no such format",
            allowed=", ".join(FORMATS),
            action="use one of these",
        )
    best: Read | None = None
    failure: SourceUnreadableError | None = None
    for declaration in _guesses(path, format_name):
        try:
            rows = read_file(path, declaration)
        except SourceUnreadableError as error:
            failure = failure or error
            continue
        if best is None or _unreadable_rows(rows) < _unreadable_rows(best.rows):
            best = Read(declaration, rows)
        if not _unreadable_rows(best.rows):
            break
    if best is not None:
        return best
    raise failure or SourceUnreadableError(
        asked=f"the format of {path.name}",
        found="a beginning that is of none of the formats",
        allowed=", ".join(FORMATS),
        action="name it with --format, or declare the columns (docs/sources.md, format csv)",
    )


def file_names(path: Path) -> tuple[str, ...]:
    """Name of a file, and of the file within where it is an archive: either may name an instrument.

    Raises:
        SourceUnreadableError: it cannot be opened.
    """
    with opened(path) as file:
        return file.names


def _unreadable_rows(rows: RawRows) -> int:
    return int(np.count_nonzero((rows.fault != VALID) | ~rows.has_stamp))


def _guesses(path: Path, format_name: str | None) -> Iterator[FileDeclaration]:
    """Declarations that may read a file, the strictest first."""
    with opened(path) as file:
        first = file.stream.read(_FIRST_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    if format_name is None:
        format_name = next((name for begin, name in _BEGINNINGS.items() if first.startswith(begin)), None)
    if format_name == "parquet":
        yield _parquet(path)
    elif format_name not in (None, "csv"):
        yield _preset(format_name, first)
    else:
        yield from (_preset(name) for name in TEXT_PRESETS if format_name is None and _is_of(path, name))
        table = _csv(path)
        if table is not None:
            yield table


def _preset(name: str, first: bytes = b"") -> PresetDeclaration:
    stated = re.search(rb'"granularity"\s*:\s*"(\w+)"', first) if name == "oanda_json" else None
    fields = dict(_PLACEHOLDERS)
    if stated is not None and stated[1].decode() in GRANULARITIES:
        fields["granularity"] = stated[1].decode()  # the reader of this format compares it
    if name == "lean_quote":
        fields["price"] = "mid"
    return PresetDeclaration.model_validate(fields | {"files": ("*",), "format": name})


def _is_of(path: Path, name: str) -> bool:
    try:
        recognized(path, name)
    except SourceUnreadableError:
        return False
    return True


def _parquet(path: Path) -> ParquetDeclaration:
    """Columns by name; the time stamp is a column of that type, the first one if none has a telling name."""
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise unreadable(path, str(error), "a Parquet file") from error
    stamps = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    named = named_columns([name for name in schema.names if name not in stamps])
    stamp = named_columns(stamps).get("ts", stamps[0] if stamps else "ts")
    columns = {ours: theirs for ours, theirs in named.items() if ours not in ("ts", "date", "time")} | {"ts": stamp}
    renamed = {ours: theirs for ours, theirs in columns.items() if ours != theirs and theirs in schema.names}
    return ParquetDeclaration(**_PLACEHOLDERS, files=("*",), format="parquet", columns=renamed, **_side(columns))


def _side(columns: Sequence[str] | dict[str, str]) -> dict[str, Any]:
    """The mean of both sides where a file has these and no other prices."""
    has_both = all(f"{side}_{price}" in columns for side in SIDES for price in PRICES)
    return {"price": "mid"} if has_both and not set(PRICES) <= set(columns) else {}


def _csv(path: Path) -> CsvDeclaration | None:
    """The layout of a text file with columns; None where it has none that can be told."""
    lines, _ = first_lines(path, "utf-8", _LINES)
    separator = _separator([text for _, text in lines[:_SAMPLE]])
    if separator is None:
        return None
    layout = _with_header(lines, separator) or _without_header(lines, separator)
    if layout is None:
        return None
    try:
        return CsvDeclaration(**_PLACEHOLDERS, files=("*",), format="csv", separator=separator, **layout)
    except ValidationError:  # names of columns that are there twice
        return None


def _separator(texts: Sequence[str]) -> str | None:
    """The character that cuts most lines into one number of columns, at least five."""
    best: tuple[int, str] | None = None
    for separator in _SEPARATORS:
        counts = Counter(len(fields_of(text, separator) or ()) for text in texts)
        columns, lines = max(counts.items(), key=lambda item: item[1], default=(0, 0))
        if columns >= _FEWEST_COLUMNS and (best is None or lines > best[0]):
            best = (lines, separator)
    return None if best is None else best[1]


def _with_header(lines: Sequence[tuple[int, str]], separator: str) -> dict[str, Any] | None:
    """Columns by the names of a header; by position where a name is empty or there twice."""
    for place, (number, text) in enumerate(lines[:_HEADER_LINES]):
        names = [name.strip() for name in fields_of(text, separator) or ()]
        columns = named_columns(names)
        if not has_prices(columns):
            continue
        rows = _fields(lines[place + 1 :], separator, len(names))
        stamps = [
            " ".join(row[names.index(columns[name])] for name in ("ts", "date", "time") if name in columns)
            for row in rows
        ]
        form = stamp_format(stamps)
        if form is None:
            return None
        layout = {"stamp_format": form, **_side(columns)}
        if all(theirs and names.count(theirs) == 1 for theirs in columns.values()):
            return layout | {"columns": columns, "header": True, "skip_lines": number - 1}
        ours = {theirs: name for name, theirs in columns.items()}
        by_place = tuple(ours.get(name, "-") if names.index(name) == i else "-" for i, name in enumerate(names))
        return layout | {"columns": by_place, "skip_lines": number}
    return None


def _without_header(lines: Sequence[tuple[int, str]], separator: str) -> dict[str, Any] | None:
    """Columns by what stands in them: a time stamp, four prices, perhaps a volume."""
    widths = Counter(len(fields_of(text, separator) or ()) for _, text in lines[:_SAMPLE])
    width = widths.most_common(1)[0][0]
    rows = _fields(lines, separator, width)
    for place in range(width - len(PRICES)):
        for stamp in (("ts",), ("date", "time")):
            first_price = place + len(stamp)
            if first_price + len(PRICES) > width:
                continue
            form = stamp_format([" ".join(row[place:first_price]) for row in rows])
            if form is None:
                continue
            values = [parse_numbers(pa.array(column, pa.string()))[0] for column in list(zip(*rows, strict=True))]
            prices = prices_by_size(values[first_price : first_price + len(PRICES)])
            if prices is None:
                continue
            rest = width - first_price - len(PRICES)
            columns = (*["-"] * place, *stamp, *prices, *("volume", *["-"] * (rest - 1))[:rest])
            return {"columns": columns, "stamp_format": form}
    return None


def _fields(lines: Sequence[tuple[int, str]], separator: str, width: int) -> list[list[str]]:
    """Fields of a sample of lines from all over those that were read, without lines of another width."""
    sample = lines[:: max(len(lines) // _SAMPLE, 1)]
    rows = (fields_of(text, separator) for _, text in sample)
    return [row for row in rows if row is not None and len(row) == width]
