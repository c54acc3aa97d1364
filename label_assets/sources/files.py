"""Files that were read, kept until they change. Every source that reads files shares it.

Belongs here: the cache. Does not belong here: which files belong to an instrument (`sources.declared`,
`sources.parquet`), reading a format (`sources.formats`).
"""

import logging
from collections import OrderedDict
from pathlib import Path

from label_assets.errors import SettingsError, SourceUnreadableError
from label_assets.sources.clocks import Clock, parse_clock
from label_assets.sources.declaration import CsvDeclaration, ParquetDeclaration, PresetDeclaration
from label_assets.sources.formats.reading import format_clock, read_file
from label_assets.sources.rows import FileRows, file_rows

FileDeclaration = ParquetDeclaration | CsvDeclaration | PresetDeclaration

# About 80 bytes a row: 400 MB. Thirty years of M15 are 0.75 million rows, of M1 11 million.
_CACHED_ROWS = 5_000_000

log = logging.getLogger("label_assets.sources")


class FileCache:
    """Rows of files, read once and kept until a file's modification time or size changes.

    The oldest ones are let go beyond 5 million rows. An object is for one thread.
    """

    def __init__(self, clock: str | None = None) -> None:
        """An empty cache.

        Args:
            clock: Clock of stamps of which neither the file nor its declaration says it; None: it must be declared.
        """
        self._clock = clock
        self._kept: OrderedDict[tuple[Path, str, int, int], FileRows] = OrderedDict()

    def rows(self, path: Path, declaration: FileDeclaration, name: str = "") -> FileRows:
        """Rows of one file on UTC, sorted by time.

        Args:
            path: The file.
            declaration: How it is read.
            name: What it is called in `rejected_candles`; its name without folders where this is empty.

        Raises:
            SourceUnreadableError: the file cannot be read as declared.
            SettingsError: the declaration lacks a clock that the file does not give, or gives one that contradicts it.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise _gone(path, error) from error
        key = (path, declaration.model_dump_json(), status.st_mtime_ns, status.st_size)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        rows = self._read(path, declaration, name or path.name, status.st_mtime_ns)
        for old in [old for old in self._kept if old[:2] == key[:2]]:
            del self._kept[old]
        self._kept[key] = rows
        while len(self._kept) > 1 and sum(len(kept.line) for kept in self._kept.values()) > _CACHED_ROWS:
            self._kept.popitem(last=False)
        return rows

    def _read(self, path: Path, declaration: FileDeclaration, name: str, modified_ns: int) -> FileRows:
        raw = read_file(path, declaration)
        clock = None if raw.is_utc else format_clock(declaration, path) or self._clock
        rows = file_rows(name, modified_ns, raw, _clock(path, declaration, clock, is_utc=raw.is_utc))
        log.info("%s: read %s rows of %s", name, f"{len(rows.line):,}", declaration.format)
        return rows


def _clock(path: Path, declaration: FileDeclaration, otherwise: str | None, *, is_utc: bool) -> Clock | None:
    """Clock of a file's stamps, `otherwise` where none is declared; None where they carry their offset."""
    declared = declaration.parsed_clock
    if is_utc:
        if declared is not None:
            raise SettingsError(
                asked=f"clock {declared.name} for {path.name}",
                found="stamps that carry their offset from UTC themselves",
                allowed="no clock for such a file",
                action="remove `clock` from its declaration",
            )
        return None
    if declared is not None:
        return declared
    if otherwise is None:
        raise SettingsError(
            asked=f"the instants of {path.name} ({declaration.format})",
            found="stamps of a local time, and no clock declared",
            allowed="UTC, an IANA zone, a fixed offset, 'America/New_York + 7 h' (MetaTrader servers), or pieces",
            action="add `clock` to its declaration; `label-assets inspect` tells what the file shows",
        )
    return parse_clock(otherwise)


def _gone(path: Path, error: OSError) -> SourceUnreadableError:
    return SourceUnreadableError(
        asked=f"candles of file {path.name}",
        found=error.strerror or type(error).__name__,
        allowed="a file that can be read",
        action="replace the file or take it away; nothing of its partition was changed",
    )
