"""Fuzzing of the readers, in a process of its own: `python -m label_assets_tests.sources.formats.fuzzing csv CORPUS`.

What must hold for any bytes: no exception but the one for unreadable files, and as many rows as the file has lines that
are not blank, or candles. A finding ends the process with the input that shows it.
"""

import codecs
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["label_assets.sources.formats"]):
    from label_assets.sources.formats.reading import format_clock, read_file

from label_assets.errors import SourceUnreadableError
from label_assets.sources.declaration import CsvDeclaration, PresetDeclaration
from label_assets_tests.sources.formats.laws import assert_laws, csv, preset

SEPARATORS = (",", ";", "\\t", " ")
STAMP_FORMATS = (
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S.%f GMT%z",
    "%Y%m%d %H%M%S",
    "epoch_s",
    "epoch_ms",
    "%d %b %y %I%p",
)
HEADERS: tuple[dict[str, Any], ...] = (
    {},
    {"header": True, "skip_lines": 1},
    {"header": True, "columns": {"ts": "t", "open": "o", "high": "h", "low": "l", "close": "c"}},
    {"columns": ["date", "time", "open", "high", "low", "close", "-", "volume"]},
)
TEXT_PRESETS = ("dukascopy", "histdata", "metatrader", "oanda_csv", "lean_quote")
JSON_PRESETS = ("oanda_json", "arrays_json")


def lines_of(content: bytes) -> list[int]:
    """Numbers of the lines that are not blank, found without the readers."""
    marks = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    encoding, start = next(
        ((name, len(mark)) for mark, name in marks.items() if content.startswith(mark)), ("utf-8", 0)
    )
    text = content[start:].decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
    return [number for number, line in enumerate(text.split("\n"), 1) if line.strip(" \t\v\f")]


def is_archive(content: bytes) -> bool:
    return content.startswith((b"\x1f\x8b", b"PK"))


def check_csv(path: Path, content: bytes, choice: int) -> None:
    keys = HEADERS[choice % 4] | {
        "separator": SEPARATORS[choice // 4 % 4],
        "stamp_format": STAMP_FORMATS[choice // 16 % 6],
    }
    declaration: CsvDeclaration = csv(**keys)
    rows = read_file(path, declaration)
    assert_laws(rows)
    if not is_archive(content) and not declaration.header:
        assert rows.line.tolist() == lines_of(content)


def check_presets(path: Path, content: bytes, choice: int) -> None:
    declaration: PresetDeclaration = preset(TEXT_PRESETS[choice % 5], price="mid")
    rows = read_file(path, declaration)
    assert_laws(rows)
    assert format_clock(declaration, path) in ("UTC", None)
    if not is_archive(content):
        found = lines_of(content)
        assert rows.line.tolist() in (found, found[1:])  # with a header or without


def check_json(path: Path, content: bytes, choice: int) -> None:
    rows = read_file(path, preset(JSON_PRESETS[choice % 2], price=(None, "bid", "mid")[choice // 2 % 3]))
    assert_laws(rows)
    try:
        document = json.loads(content.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError):
        return  # one document a line, or an archive
    assert len(rows.line) == len(document["candles"] if choice % 2 == 0 else document)


CHECKS: dict[str, Callable[[Path, bytes, int], None]] = {
    "csv": check_csv,
    "presets": check_presets,
    "json": check_json,
}


def main() -> None:
    check = CHECKS[sys.argv.pop(1)]
    path = Path(tempfile.mkdtemp()) / "20180101.csv"

    def one_input(data: bytes) -> None:
        """The first byte chooses what is declared, the rest is the file."""
        choice, content = (data[0], data[1:]) if data else (0, b"")
        path.write_bytes(content)
        try:
            check(path, content, choice)
        except SourceUnreadableError as error:
            if path.name not in error.asked:
                raise AssertionError("an error that does not name the file") from error

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
