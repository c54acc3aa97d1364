"""Lines of a text file: whatever the encoding, the line ends and the borders of blocks."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_assets.sources.formats import lines
from label_assets.sources.formats.lines import line_blocks


def _lines(content: bytes, encoding: str, block_bytes: int) -> list[str]:
    before = lines.BLOCK_BYTES
    lines.BLOCK_BYTES = block_bytes
    try:
        blocks = list(line_blocks(io.BytesIO(content), encoding))
    finally:
        lines.BLOCK_BYTES = before
    assert all(block.endswith(b"\n") for block in blocks)
    return [line for block in blocks for line in block.decode().split("\n")[:-1]]


def _expected(text: str) -> list[str]:
    found = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return found[:-1] if found[-1] == "" else found


@given(
    text=st.text(st.sampled_from("ab,;é€😀\n\r\0\v \t"), max_size=60),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"]),
    block_bytes=st.integers(4, 20),
)
def test_blocks_make_the_text_again(text: str, encoding: str, block_bytes: int) -> None:
    text = "x" + text  # two zeros behind the mark of UTF-16 make the mark of UTF-32
    assert _lines(text.encode(encoding), encoding, block_bytes) == _expected(text)


@given(content=st.binary(max_size=80), block_bytes=st.integers(4, 20))
def test_any_bytes(content: bytes, block_bytes: int) -> None:
    """No byte order mark: bytes that are no UTF-8 are replaced, and no line is lost or made."""
    content = b"x" + content
    assert _lines(content, "utf-8", block_bytes) == _expected(content.decode("utf-8", "replace"))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("declared", ["utf-8", "utf-16", "latin-1"])
def test_a_byte_order_mark_has_the_last_word(encoding: str, declared: str) -> None:
    """MetaTrader writes UTF-16 with a mark, spreadsheets UTF-8 with one, whatever is declared."""
    assert _lines("\ufeff1;2\r\n3;€".encode(encoding), declared, 1_000) == ["1;2", "3;€"]


def test_a_line_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 10)
    found = _lines(b"a\n" + b"x" * 100 + b"\nb\n", "utf-8", 7)
    assert [line[:10] for line in found] == ["a", "x" * 10, "b"]
    assert all(len(line) <= 17 for line in found)
    assert _lines("é".encode() * 50, "utf-8", 7) == ["é" * 5]


@pytest.mark.parametrize("encoding", ["nonsense", "hex", "rot13"])
def test_encodings_that_are_none_of_text(encoding: str) -> None:
    with pytest.raises(LookupError):
        list(line_blocks(io.BytesIO(b"1"), encoding))
