"""Lines of a text file, block by block.

Belongs here: encodings, line ends. Does not belong here: what a line says.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

from label_assets.sources.formats.opening import ByteStream, opened

BLOCK_BYTES = 1 << 22
"""Bytes that are read at a time; what a reader holds beside its rows is a small multiple of it."""

LONGEST_LINE = 1 << 20
"""A line that is longer than this is cut [bytes]: a file without line ends must not fill the memory."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def line_blocks(stream: ByteStream, encoding: str) -> Iterator[bytes]:
    r"""Blocks of whole lines as valid UTF-8; every line ends with `\n`, the last one of the file too.

    `\r\n` and a lone `\r` end a line as `\n` does. A byte order mark has the last word about the encoding, and is
    taken off. Bytes that the encoding does not have become U+FFFD: the line that has them stays, and can be reported.

    Args:
        stream: Bytes of the file from its beginning.
        encoding: A text encoding of Python.

    Raises:
        LookupError: there is no such encoding of text.
        UnicodeError: bytes over which the encoding cannot go on.
    """
    rest, is_cut = b"", False
    for text in _decoded(stream, encoding):
        data = text
        if is_cut:  # the beginning of this line is in `rest`, the remainder is left out
            newline = data.find(b"\n")
            if newline < 0:
                continue
            data, is_cut = data[newline:], False
        data = rest + data
        end = data.rfind(b"\n") + 1
        if end:
            yield data[:end]
        rest = data[end:]
        if len(rest) > LONGEST_LINE:
            rest, is_cut = rest[:LONGEST_LINE].decode("utf-8", "ignore").encode(), True
    if rest:
        yield rest + b"\n"


def first_lines(
    path: Path, encoding: str, count: int, skipped: int = 0
) -> tuple[list[tuple[int, str]], tuple[str, ...]]:
    """The first lines of a file that are not blank, each with its number, and the file's names as `opened` has them.

    Args:
        path: The file.
        encoding: As of `line_blocks`.
        count: How many lines at most.
        skipped: Lines at the beginning that do not count.

    Raises:
        SourceUnreadableError: the file cannot be opened.
        LookupError: as `line_blocks`; UnicodeError too.
    """
    found: list[tuple[int, str]] = []
    number = 0
    with opened(path) as file:
        for block in line_blocks(file.stream, encoding):
            for line in block[:-1].split(b"\n"):
                number += 1
                if number > skipped and line.strip():
                    found.append((number, line.decode()))
                if len(found) == count:
                    return found, file.names
        return found, file.names


def _decoded(stream: ByteStream, encoding: str) -> Iterator[bytes]:
    """The text as UTF-8 with newlines, in pieces of any length."""
    "".encode(encoding)  # raises LookupError for what is no encoding of text, where a decoder would do something else
    chunk = stream.read(BLOCK_BYTES)
    for mark, marked in _MARKS.items():
        if chunk.startswith(mark):
            chunk, encoding = chunk[len(mark) :] or stream.read(BLOCK_BYTES), marked
            break
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    is_utf8 = codecs.lookup(encoding).name == "utf-8"
    held = b""
    while chunk:
        if is_utf8 and chunk.isascii() and not decoder.getstate()[0]:
            text = held + chunk
        else:
            text = held + decoder.decode(chunk).encode("utf-8", "replace")
        held = b"\r" if text.endswith(b"\r") else b""  # half of a line end, perhaps
        yield _with_newlines(text[: len(text) - len(held)])
        chunk = stream.read(BLOCK_BYTES)
    yield _with_newlines(held + decoder.decode(b"", True).encode("utf-8", "replace"))


def _with_newlines(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
