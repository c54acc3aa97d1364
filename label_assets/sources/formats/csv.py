"""Candles from text files with columns.

The lines are found here and only then handed to Arrow's parser, which is told of no quotes and sees each line as a row
of the right number of columns: so a line has its physical number, one stray quote cannot swallow the lines behind it,
and a line that is not of the layout stays as a row that says so.

Belongs here: a layout, and reading by it. Does not belong here: which layout a vendor's file has (`formats.presets`).
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions
from pyarrow.csv import read_csv as parse_csv

from label_assets.catalog.granularities import DAY_S
from label_assets.errors import SourceUnreadableError
from label_assets.kernels.arrays import FloatArray, IntArray
from label_assets.market.validation import BAD_VOLUME, BROKEN_ROW, NON_FINITE_PRICE
from label_assets.sources.declaration import CsvDeclaration, SourceDeclaration
from label_assets.sources.formats.collecting import Block, RowCollector, clipped
from label_assets.sources.formats.lines import first_lines, line_blocks
from label_assets.sources.formats.numbers import parse_numbers
from label_assets.sources.formats.opening import Opened, opened, unreadable
from label_assets.sources.formats.sides import combined_prices, price_columns
from label_assets.sources.formats.stamps import Stamps, carries_offset, parse_stamps
from label_assets.sources.raw_rows import RawRows

_NEWLINE, _QUOTE, _SPACE = b'\n" '
_WITHIN = "\x1f"
"""Stands for a separator within quotes while Arrow parses."""

_LONGEST_NUMBER = 40
"""Characters that are shown of what should have been a number."""


class CsvLayout(NamedTuple):
    """How a text file is laid out.

    Attributes:
        columns: Names of `declaration.COLUMN_NAMES` in the order of the file.
        separator: One ASCII character.
        first_line: Number of the first physical line that is a row; what stands before it is not read.
        stamp_format: As `stamps.parse_stamps` takes it.
        encoding: A text encoding of Python.
        day_s: The day that the file's name tells, where a row tells the time of the day only [epoch s].
    """

    columns: tuple[str, ...]
    separator: str
    first_line: int
    stamp_format: str
    encoding: str = "utf-8"
    day_s: int | None = None


class _Rows(NamedTuple):
    """Lines of a block that are rows.

    Attributes:
        text: The lines, each with the number of columns of the layout; all empty for one that has another number.
        line: Their physical numbers.
        faults: What is wrong with a line as a whole, by number.
        has_quoted: There are separators within quotes, written as `_WITHIN`.
    """

    text: bytes
    line: IntArray
    faults: dict[int, str]
    has_quoted: bool


def read_csv(path: Path, layout: CsvLayout, declaration: SourceDeclaration) -> RawRows:
    """Rows of a text file: each line from `first_line` on that is not blank.

    Args:
        path: The file; plain, .gz or .zip.
        layout: How it is laid out.
        declaration: Says the side and the divisor of the prices.

    Raises:
        SourceUnreadableError: the file cannot be opened, or the layout cannot be used: no prices, a format without a
            date, an encoding that does not exist.
    """
    _check(path, layout)
    prices = price_columns(f"file {path.name}", layout.columns, declaration.price)
    for name in (name for names in prices for name in names):
        if name not in layout.columns:
            raise unreadable(path, f"no column {name!r} among {', '.join(layout.columns)}", "open, high, low and close")
    collector = RowCollector(path.name)
    number = 1
    try:
        with opened(path) as file:
            for block in line_blocks(file.stream, layout.encoding):
                count = block.count(b"\n")
                skipped = min(max(layout.first_line - number, 0), count)
                rows = _rows_of(block.split(b"\n", skipped)[-1], number + skipped, layout)
                number += count
                if len(rows.line):
                    _collect(rows, file, collector, (layout, prices, declaration.price_divisor))
    except UnicodeError as error:
        raise unreadable(path, str(error), f"text in the encoding {layout.encoding}") from error
    return collector.rows(is_utc=carries_offset(layout.stamp_format))


def declared_layout(path: Path, declaration: CsvDeclaration) -> CsvLayout:
    """The layout of a file whose columns are declared; the file is opened where it has a header.

    Raises:
        SourceUnreadableError: the file cannot be opened, or its header lacks a column.
    """
    columns, first_line = tuple(declaration.columns), declaration.skip_lines + 1
    if declaration.header:
        try:
            lines, _ = first_lines(path, declaration.encoding, 1, declaration.skip_lines)
        except (LookupError, UnicodeError) as error:
            raise unreadable(path, str(error), "an encoding of Python", "correct the declaration") from error
        if not lines:
            raise unreadable(path, f"no header after {declaration.skip_lines} lines", "a line that names the columns")
        first_line = lines[0][0] + 1
        if isinstance(declaration.columns, Mapping):
            names = [name.strip() for name in fields_of(lines[0][1], declaration.separator) or ()]
            columns = _columns_of_header(path, names, declaration.columns)
    return CsvLayout(columns, declaration.separator, first_line, declaration.stamp_format, declaration.encoding)


def fields_of(text: str, separator: str) -> list[str] | None:
    """Fields of one line; None where its quotes do not match."""
    if '"' not in text:
        return text.split(separator)
    try:
        (fields,) = csv.reader([text], delimiter=separator, strict=True)
    except csv.Error:
        return None
    return fields


def _columns_of_header(path: Path, names: list[str], declared: Mapping[str, str]) -> tuple[str, ...]:
    """Our names in the order of a header, `-` for columns that are not read."""
    for name in declared.values():
        if names.count(name) != 1:
            found = f"{names.count(name) or 'no'} columns {name!r} in the header {clipped(', '.join(names))}"
            raise unreadable(path, found, "each declared column once", "correct `columns` in the declaration")
    ours = {theirs: our for our, theirs in declared.items()}
    return tuple(ours.get(name, "-") for name in names)


def _check(path: Path, layout: CsvLayout) -> None:
    """Refuse what no text file can be laid out like."""
    allowed = "a separator of ASCII, a stamp format as of strptime with a date, an encoding of Python"
    try:
        "".encode(layout.encoding)
        parse_stamps(pa.array([], pa.string()), layout.stamp_format)
    except (LookupError, ValueError) as error:
        raise unreadable(path, str(error), allowed, "correct the declaration") from error
    if not layout.separator.isascii() or layout.separator in '"\r\n\0' + _WITHIN:
        raise unreadable(path, f"separator {layout.separator!r}", allowed, "correct the declaration")


def _collect(
    rows: _Rows, file: Opened, collector: RowCollector, meaning: tuple[CsvLayout, tuple[tuple[str, ...], ...], float]
) -> None:
    """Read the columns of some rows."""
    layout, prices, divisor = meaning
    columns = _columns(rows, layout)
    texts = _stamp_texts(columns)
    stamps = parse_stamps(texts, layout.stamp_format)
    if layout.day_s is not None:
        is_read = stamps.is_read & (stamps.stamp_s >= 0) & (stamps.stamp_s < DAY_S)
        stamps = Stamps(stamps.stamp_s + layout.day_s, is_read, stamps.has_fraction & is_read)
    form = layout.stamp_format if layout.day_s is None else f"{layout.stamp_format} of one day"
    collector.add_unread_stamps(rows.line, texts, stamps, form)
    wanted = {name for names in prices for name in names}
    values = {name: _numbers(name, columns[name], rows.line, collector) for name in layout.columns if name in wanted}
    volume = np.zeros(len(rows.line))
    if "volume" in columns:
        volume = _numbers("volume", columns["volume"], rows.line, collector)
    for number, detail in rows.faults.items():
        collector.add_fault(number, BROKEN_ROW, detail)
    block = Block(rows.line, stamps, *combined_prices(values, prices, divisor), volume)
    collector.add(block, texts, file.share_read)


def _rows_of(block: bytes, first_number: int, layout: CsvLayout) -> _Rows:
    """The rows of whole lines, however many columns they have."""
    if not block:
        return _Rows(block, np.zeros(0, np.int64), {}, has_quoted=False)
    content = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(content == _NEWLINE)
    starts = np.append(0, ends[:-1] + 1)
    separators = np.add.reduceat(content == ord(layout.separator), starts, dtype=np.int32)
    is_special = (separators != len(layout.columns) - 1) | (content[starts] <= _SPACE)
    if b'"' in block:
        is_special |= np.logical_or.reduceat(content == _QUOTE, starts)
    line = np.arange(first_number, first_number + len(ends))
    if not is_special.any():
        return _Rows(block, line, {}, has_quoted=False)
    parts, is_row, faults, done = [], np.ones(len(ends), np.bool_), {}, 0
    for index in np.flatnonzero(is_special).tolist():
        parts.append(block[done : starts[index]])
        text = block[starts[index] : ends[index]].decode()
        done = int(ends[index]) + 1
        is_row[index] = bool(text.strip(" \t\x0b\x0c"))
        if is_row[index]:
            fields, fault = _fields(text, layout)
            parts.append(layout.separator.join(field.replace(layout.separator, _WITHIN) for field in fields).encode())
            parts.append(b"\n")
            if fault:
                faults[first_number + index] = fault
    parts.append(block[done:])
    return _Rows(b"".join(parts), line[is_row], faults, has_quoted=b'"' in block)


def _fields(text: str, layout: CsvLayout) -> tuple[list[str], str]:
    """Fields of one line, and what is wrong with it; as many empty fields as there are columns where something is."""
    count = len(layout.columns)
    fields = fields_of(text, layout.separator)
    if fields is None:
        return [""] * count, f"quotes that do not match: {clipped(text)}"
    if len(fields) == count:
        return fields, ""
    return [""] * count, f"{len(fields)} columns where {count} are declared: {clipped(text)}"


def _columns(rows: _Rows, layout: CsvLayout) -> dict[str, pa.Array]:
    """Texts of the columns that are read, by name; null where a field is empty."""
    names = [name if name != "-" else f"-{place}" for place, name in enumerate(layout.columns)]
    read = [name for name in names if not name.startswith("-")]
    table = parse_csv(
        pa.BufferReader(rows.text),
        ReadOptions(column_names=names, block_size=len(rows.text) + 1, use_threads=False),
        ParseOptions(delimiter=layout.separator, quote_char=False, double_quote=False, ignore_empty_lines=False),
        ConvertOptions(
            include_columns=read,
            column_types=dict.fromkeys(read, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            check_utf8=False,  # `line_blocks` gives nothing else
        ),
    )
    if len(table) != len(rows.line):
        raise SourceUnreadableError(
            asked=f"{len(rows.line)} lines as rows",
            found=f"{len(table)} rows",
            allowed="one row for each line",
            action="report this: the parser of this package counts lines otherwise; nothing was changed",
        )
    columns = {name: table.column(name).combine_chunks() for name in read}
    if rows.has_quoted:
        return {name: pc.replace_substring(texts, _WITHIN, layout.separator) for name, texts in columns.items()}
    return columns


def _stamp_texts(columns: dict[str, pa.Array]) -> pa.Array:
    """Time stamps as text, the one column or date and time; null where there is none."""
    if "ts" in columns:
        texts = columns["ts"]
    else:
        texts = pc.binary_join_element_wise(
            columns["date"], columns["time"], " ", null_handling="replace", null_replacement=""
        )
    texts = pc.ascii_trim_whitespace(texts)
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _numbers(name: str, texts: pa.Array, line: IntArray, collector: RowCollector) -> FloatArray:
    """Numbers of one column; what is none becomes a fault of its row."""
    numbers, bad = parse_numbers(texts)
    reason = BAD_VOLUME if name == "volume" else NON_FINITE_PRICE
    for number, text in zip(line[bad].tolist(), texts.take(pa.array(bad)).to_pylist(), strict=True):
        collector.add_fault(number, reason, f"{name} {clipped(text, _LONGEST_NUMBER)} is no number")
    return numbers
