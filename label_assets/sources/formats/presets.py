"""The layouts of vendors' text files, and which of them a file has.

Belongs here: layouts as plain data, the choice by a file's first lines. Does not belong here: reading by a layout
(`formats.csv`), formats that are not text with columns.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from label_assets.market.calendar import END_TS, FIRST_TS
from label_assets.sources.declaration import PRICES
from label_assets.sources.formats.collecting import clipped
from label_assets.sources.formats.csv import CsvLayout, fields_of
from label_assets.sources.formats.lines import first_lines
from label_assets.sources.formats.numbers import parse_numbers
from label_assets.sources.formats.opening import unreadable
from label_assets.sources.formats.stamps import carries_offset, parse_stamps

_SAMPLE_LINES = 100
"""Lines by which a layout is chosen: enough that broken ones at the beginning do not decide."""

_OHLCV = ("open", "high", "low", "close", "volume")
_BY_NAME = {name: name for name in _OHLCV}


class Preset(NamedTuple):
    """What files of one vendor look like.

    Attributes:
        separators: Between columns, the usual one first.
        headers: Our name of each column that a header may name (lower case, no brackets, `_` for spaces); a header has
            the four prices and a time stamp. Columns that are not here are not read. Empty: there is no header.
        columns: Columns of files without a header; empty: there always is one.
        stamp_formats: In use, as of `stamps.parse_stamps`.
        expected: How a file begins, for an error.
        clock: "UTC" where the format says so; None where the clock differs from file to file.
        local_headers: Headers of the time stamp that say that `clock` does not hold.
        is_by_day: Time stamps count from the day that the file's name tells.
    """

    separators: tuple[str, ...]
    headers: Mapping[str, str]
    columns: tuple[tuple[str, ...], ...]
    stamp_formats: tuple[str, ...]
    expected: str
    clock: str | None = None
    local_headers: tuple[str, ...] = ()
    is_by_day: bool = False


PRESETS = {
    "dukascopy": Preset(
        separators=(",", ";", "\t"),
        headers=_BY_NAME | dict.fromkeys(("gmt_time", "local_time", "time_(utc)", "time_(eet)"), "ts"),
        columns=(),
        stamp_formats=(
            "%d.%m.%Y %H:%M:%S.%f",
            "%d.%m.%Y %H:%M:%S.%f GMT%z",
            "%d.%m.%Y %H:%M:%S",
            "%d.%m.%Y %H:%M:%S GMT%z",
            "%Y.%m.%d %H:%M:%S",
        ),
        expected="a header such as 'Gmt time,Open,High,Low,Close,Volume'",
        clock="UTC",
        local_headers=("local_time", "time_(eet)"),
    ),
    "histdata": Preset(
        separators=(";",),
        headers={},
        columns=(("ts", *_OHLCV),),
        stamp_formats=("%Y%m%d %H%M%S",),
        expected="lines such as '20180101 170000;1.200370;1.201000;1.200370;1.201000;0'",
    ),
    "metatrader": Preset(
        separators=(",", "\t", ";"),
        headers=_BY_NAME
        | {"date": "date", "time": "time", "datetime": "ts"}
        | dict.fromkeys(("tickvol", "tick_volume"), "volume"),
        columns=(
            ("ts", *_OHLCV),
            ("date", "time", *_OHLCV),
            ("date", "time", *_OHLCV, "-", "-"),  # real volume and spread behind the number of ticks
            ("date", "time", *_OHLCV, "-"),
            ("ts", *_OHLCV, "-", "-"),
            ("ts", *_OHLCV, "-"),
            ("date", "time", *PRICES),
            ("ts", *PRICES),
        ),
        stamp_formats=(
            *(f"%Y{mark}%m{mark}%d{time}" for mark, time in product((".", "-", "/", ""), (" %H:%M", " %H:%M:%S", ""))),
            "epoch_s",
        ),
        expected="lines such as '2018.01.01,00:00,1.20037,1.20100,1.20037,1.20100,12', or a header '<DATE>…<OPEN>…'",
    ),
    "oanda_csv": Preset(
        separators=("\t",),
        headers=_BY_NAME | {"time": "ts"},
        columns=(),
        stamp_formats=("epoch_s",),
        expected="a header 'TIME OPEN CLOSE HIGH LOW VOLUME' with tabs",
        clock="UTC",
    ),
    "lean_quote": Preset(
        separators=(",",),
        headers={},
        columns=(("ts", *(f"bid_{name}" for name in PRICES), "-", *(f"ask_{name}" for name in PRICES), "-"),),
        stamp_formats=("epoch_ms",),
        expected="lines of 11 columns: milliseconds of the day, bid O H L C and size, ask O H L C and size",
        is_by_day=True,
    ),
}


class Recognized(NamedTuple):
    """The layout of one file.

    Attributes:
        layout: How it is read.
        clock: "UTC" where the format says so, or the stamps do themselves; None where a clock must be declared.
    """

    layout: CsvLayout
    clock: str | None


class _Header(NamedTuple):
    columns: tuple[str, ...]
    separator: str
    stamp_name: str


def recognized(path: Path, format_name: str) -> Recognized:
    """The layout of a vendor's file, by its first lines; a broken line among them does not decide.

    Args:
        path: The file.
        format_name: A key of `PRESETS`.

    Raises:
        SourceUnreadableError: the file cannot be opened or is not of this format; says how it begins.
    """
    preset = PRESETS[format_name]
    lines, names = first_lines(path, "utf-8", _SAMPLE_LINES)
    header = _header(lines[0][1], preset) if lines else None
    texts = [text for _, text in (lines[1:] if header else lines)]
    columns, separators = ((header.columns,), (header.separator,)) if header else (preset.columns, preset.separators)
    first_line = lines[0][0] + 1 if header else 1
    day_s = _day_s(path, names) if preset.is_by_day else None
    layouts = [
        CsvLayout(some, separator, first_line, stamp_format, day_s=day_s)
        for separator, some, stamp_format in product(separators, columns, preset.stamp_formats)
    ]
    fits = [_fit(texts, layout) for layout in layouts]
    if not header and not any(fits):
        first = f"first line {clipped(lines[0][1])}" if lines else "no line that is not blank"
        raise unreadable(path, first, preset.expected, "correct `format` in the declaration, or replace the file")
    layout = layouts[fits.index(max(fits))]
    is_local = header is not None and header.stamp_name in preset.local_headers
    return Recognized(layout, "UTC" if carries_offset(layout.stamp_format) else None if is_local else preset.clock)


def _header(line: str, preset: Preset) -> _Header | None:
    """The header that a line is; None where it is none."""
    for separator in preset.separators if preset.headers else ():
        names = [_plain(name) for name in fields_of(line, separator) or ()]
        columns = [preset.headers.get(name, "-") for name in names]
        if "volume" not in columns and "vol" in names:
            columns[names.index("vol")] = "volume"
        columns = [name if columns.index(name) == place else "-" for place, name in enumerate(columns)]
        if len({"date", "time"} & set(columns)) == 1:
            columns = ["ts" if name in ("date", "time") else name for name in columns]
        has_stamp = "ts" in columns or "date" in columns
        if has_stamp and set(PRICES) <= set(columns):
            stamp_name = names[columns.index("ts" if "ts" in columns else "date")]
            return _Header(tuple(columns), separator, stamp_name)
    return None


def _plain(name: str) -> str:
    return name.strip().strip("<>").lower().replace(" ", "_")


def _fit(texts: list[str], layout: CsvLayout) -> int:
    """How many lines are rows of a layout: right in their columns, their stamp (of 1990 to 2037) and their numbers."""
    split = [fields_of(text, layout.separator) for text in texts]
    rows = [fields for fields in split if fields is not None and len(fields) == len(layout.columns)]
    if not rows:
        return 0
    columns = dict(zip(layout.columns, zip(*rows, strict=True), strict=True))
    stamps = columns["ts"] if "ts" in columns else map(" ".join, zip(columns["date"], columns["time"], strict=True))
    stamp_s, is_fit, _ = parse_stamps(pa.array([text.strip() for text in stamps], pa.string()), layout.stamp_format)
    if layout.day_s is None:
        is_fit = is_fit & (stamp_s >= FIRST_TS) & (stamp_s < END_TS)  # 1, 2, 3 … are no seconds since 1970
    for name, column in columns.items():
        if name not in ("ts", "date", "time", "-"):
            _, bad = parse_numbers(pa.array(column, pa.string()))
            is_fit[bad] = False
    return int(is_fit.sum())


def _day_s(path: Path, names: tuple[str, ...]) -> int:
    """The day in the name of a file or of what its archive holds [epoch s]."""
    for name in names:
        for digits in re.findall(r"(?<!\d)\d{8}(?!\d)", name):
            try:
                return int(datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC).timestamp())
            except ValueError:
                continue
    raise unreadable(path, f"no date in {' or '.join(names)}", "yyyymmdd in the name of the file", "rename the file")
