"""Plain files, archives, and damaged ones."""

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from label_assets.errors import SourceUnreadableError
from label_assets.sources.formats.opening import opened
from label_assets_tests.sources.formats.laws import write

CONTENT = b"2018-01-01 00:00,1.1,1.3,1.0,1.2,5\n" * 2_000


def _zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def _read(path: Path) -> tuple[bytes, tuple[str, ...]]:
    with opened(path) as file:
        content = b""
        while part := file.stream.read(1_000):
            content += part
        assert 0.5 < file.share_read() <= 1.0  # the rest is the directory of a .zip
        return content, file.names


def _id(value: object) -> str:
    """Names of tests that are alike in every process: archives hold the time of their making."""
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("a.csv", CONTENT, ("a.csv",)),
        ("a.csv.gz", gzip.compress(CONTENT), ("a.csv.gz",)),
        ("a.csv", gzip.compress(CONTENT), ("a.csv",)),  # by content, whatever it is called
        ("a.gz", gzip.compress(CONTENT[:35]) + gzip.compress(CONTENT[35:]), ("a.gz",)),
        ("a.zip", _zipped({"b.csv": CONTENT}), ("b.csv", "a.zip")),
        ("a.csv", _zipped({"folder/b.csv": CONTENT}), ("b.csv", "a.csv")),
        ("a.zip", _zipped({"b": CONTENT}, zipfile.ZIP_STORED), ("b", "a.zip")),
        ("a.zip", _zipped({"b.csv": CONTENT}, zipfile.ZIP_LZMA), ("b.csv", "a.zip")),
        # HistData packs a report beside the data, macOS its own folder.
        ("a.zip", _zipped({"b.txt": b"gaps", "b.csv": CONTENT}), ("b.csv", "a.zip")),
        ("a.zip", _zipped({"b.txt": CONTENT, "__MACOSX/._b.txt": b"x", ".b": b"x"}), ("b.txt", "a.zip")),
    ],
    ids=_id,
)
def test_what_is_in_the_file(tmp_path: Path, name: str, content: bytes, names: tuple[str, ...]) -> None:
    assert _read(write(tmp_path, content, name)) == (CONTENT, names)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.csv", b"", "an empty file"),
        ("a.gz", CONTENT, "first bytes b'2018'"),
        ("a.zip", CONTENT, "first bytes b'2018'"),
        ("a.gz", gzip.compress(CONTENT)[:-9], "Compressed file ended"),
        ("a.gz", gzip.compress(CONTENT) + b"x", "Not a gzipped file"),
        ("a.gz", gzip.compress(CONTENT)[:-8] + bytes(8), "CRC check failed"),
        ("a.zip", _zipped({"b.csv": CONTENT})[:100], "not a zip file"),
        ("a.zip", _zipped({}), "a .zip with 0 files of data"),
        ("a.zip", _zipped({"b.csv": b"1", "c.csv": b"2"}), "a .zip with 2 files of data: b.csv, c.csv"),
        ("a.zip", _zipped({"b": b"1", "c": b"2"}), "a .zip with 2 files of data: b, c"),
    ],
    ids=_id,
)
def test_what_cannot_be_read(tmp_path: Path, name: str, content: bytes, found: str) -> None:
    with pytest.raises(SourceUnreadableError) as caught:
        _read(write(tmp_path, content, name))
    assert found in caught.value.found
    assert caught.value.asked == f"candles of file {name}"
    assert caught.value.action.endswith("; nothing of its partition was changed")
    assert str(tmp_path) not in str(caught.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for name, found in (("absent.csv", "No such file"), (".", "Is a directory")):
        with pytest.raises(SourceUnreadableError, match=found) as caught:
            _read(tmp_path / name)
        assert str(tmp_path) not in caught.value.found


@pytest.mark.parametrize("name", ["a.gz", "a.zip", "stored.zip"])
def test_damaged_archives_give_the_error_and_no_other(tmp_path: Path, name: str) -> None:
    compression = zipfile.ZIP_STORED if name == "stored.zip" else zipfile.ZIP_DEFLATED
    content = gzip.compress(CONTENT) if name == "a.gz" else _zipped({"b.csv": CONTENT}, compression)
    draw = np.random.default_rng(3)
    path = tmp_path / name
    failed = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in draw.integers(0, len(content), 3):
            damaged[place] = draw.integers(256)
        # What says how the archive is built stands at its end and its beginning.
        damaged[-draw.integers(1, 60)] = draw.integers(256)
        damaged[draw.integers(4, 40)] = draw.integers(256)
        path.write_bytes(bytes(damaged[: draw.integers(1, len(content) + 1)] if draw.random() < 0.2 else damaged))
        try:
            assert len(_read_all(path)) <= 10_000_000
        except SourceUnreadableError:
            failed += 1
    assert failed > 100


def _read_all(path: Path) -> bytes:
    content = b""
    with opened(path) as file:
        while part := file.stream.read(1_000_000):
            content += part
    return content
