"""One file, whatever its format.

Belongs here: which reader takes which declaration. Does not belong here: reading.
"""

from pathlib import Path

from label_assets.sources.declaration import CsvDeclaration, ParquetDeclaration, PresetDeclaration
from label_assets.sources.formats.csv import declared_layout, read_csv
from label_assets.sources.formats.json import read_arrays_json, read_oanda_json
from label_assets.sources.formats.parquet import has_zone, read_parquet
from label_assets.sources.formats.presets import recognized
from label_assets.sources.formats.stamps import carries_offset
from label_assets.sources.raw_rows import RawRows

FileDeclaration = ParquetDeclaration | CsvDeclaration | PresetDeclaration

_JSON_READERS = {"oanda_json": read_oanda_json, "arrays_json": read_arrays_json}


def read_file(path: Path, declaration: FileDeclaration) -> RawRows:
    """All rows of one file as they stand, in its order; broken ones too.

    Args:
        path: The file.
        declaration: Its format, and the side and divisor of its prices; its clock is not applied.

    Raises:
        SourceUnreadableError: the file cannot be read as declared.
    """
    if isinstance(declaration, ParquetDeclaration):
        return read_parquet(path, declaration)
    if isinstance(declaration, CsvDeclaration):
        return read_csv(path, declared_layout(path, declaration), declaration)
    if declaration.format in _JSON_READERS:
        return _JSON_READERS[declaration.format](path, declaration)
    return read_csv(path, recognized(path, declaration.format).layout, declaration)


def format_clock(declaration: FileDeclaration, path: Path) -> str | None:
    """The clock that a format, or the stamps of a file themselves, say: "UTC"; None where one must be declared.

    An epoch in a file of declared columns says nothing: the seconds of MetaTrader's own interface count on the clock
    of the server.

    Raises:
        SourceUnreadableError: the file has to be looked at, and cannot be read as declared.
    """
    if isinstance(declaration, ParquetDeclaration):
        return "UTC" if has_zone(path, declaration) else None
    if isinstance(declaration, CsvDeclaration):
        return "UTC" if carries_offset(declaration.stamp_format) else None
    if declaration.format in _JSON_READERS:
        return "UTC"
    return recognized(path, declaration.format).clock
