"""Opening a file of a source: plain, .gz or .zip, as one stream of bytes.

Belongs here: archives and what is wrong with them. Does not belong here: what the bytes mean.
"""

import gzip
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from label_assets.errors import SourceUnreadableError

UNDAMAGED = "nothing of its partition was changed"
"""How the advice of every error ends: what did not happen."""

ARCHIVE_ERRORS = (
    OSError,  # gzip.BadGzipFile too
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    struct.error,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # a password is needed
    ValueError,  # offsets that lie outside of the archive
    OverflowError,
)
"""What the standard library raises over a damaged archive, found by fuzzing."""

_GZIP, _ZIP, _EMPTY_ZIP = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06"
_DATA_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson")
_NO_DATA = re.compile(r"(^|/)(\.|__MACOSX/)|/$")


class Opened(NamedTuple):
    """An open file.

    Attributes:
        stream: Its bytes, decompressed; read them with `read` alone.
        names: Names that may tell something: that of the file within a .zip, then that of the file itself.
        share_read: Gives the share of the file's bytes that have been read, 0 to 1.
    """

    stream: "ByteStream"
    names: tuple[str, ...]
    share_read: Callable[[], float]


class ByteStream:
    """Bytes of a file or of what an archive holds; whatever is wrong with the archive becomes one error."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        """Read from an open file.

        Args:
            path: Its path, for the error.
            file: The open file.
        """
        self._path, self._file = path, file

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size` of them; none at the end.

        Raises:
            SourceUnreadableError: the file or the archive is damaged.
        """
        try:
            return self._file.read(size)
        except ARCHIVE_ERRORS as error:
            raise damaged(self._path, error) from error


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a file; an archive is known by its first bytes.

    Raises:
        SourceUnreadableError: there is no such file, it is empty, a damaged archive, or a .zip with other than one
            file of data.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            data, names = _data(path, file, stack)
            size = path.stat().st_size
        except ARCHIVE_ERRORS as error:
            raise damaged(path, error) from error
        yield Opened(ByteStream(path, data), (*names, path.name), lambda: min(1.0, file.tell() / size))


def unreadable(
    path: Path, found: str, allowed: str, action: str = "replace the file or take it away"
) -> SourceUnreadableError:
    """The error that readers of files raise."""
    return SourceUnreadableError(
        asked=f"candles of file {path.name}", found=found, allowed=allowed, action=f"{action}; {UNDAMAGED}"
    )


def damaged(path: Path, error: Exception) -> SourceUnreadableError:
    """The error for a file that cannot be opened or an archive that cannot be unpacked."""
    found = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return unreadable(path, found, "a whole file, plain, .gz or .zip")


def _data(path: Path, file: IO[bytes], stack: ExitStack) -> tuple[IO[bytes], tuple[str, ...]]:
    """The file of data and its name within an archive."""
    first = file.read(4)
    file.seek(0)
    if not first:
        raise unreadable(path, "an empty file", "a file with candles")
    if first in (_ZIP, _EMPTY_ZIP):
        archive = stack.enter_context(zipfile.ZipFile(file))
        member = _member(path, archive)
        return stack.enter_context(archive.open(member)), (member.rsplit("/", 1)[-1],)
    if first.startswith(_GZIP):
        return cast(IO[bytes], stack.enter_context(gzip.open(file))), ()
    if path.suffix.lower() in (".gz", ".zip"):
        raise unreadable(path, f"first bytes {first!r}, not those of such an archive", "a whole archive")
    return file, ()


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    """Name of the file of data within an archive: the only one, or the only one with a suffix of data."""
    names = [name for name in archive.namelist() if not _NO_DATA.search(name)]
    data = [name for name in names if name.lower().endswith(_DATA_SUFFIXES)] or names
    if len(data) != 1:
        raise unreadable(
            path,
            f"a .zip with {len(data)} files of data{': ' if data else ''}{', '.join(data[:5])}",
            "a .zip with one file of data, so that a line has one number",
            "pack each file on its own, or unpack them",
        )
    return data[0]
