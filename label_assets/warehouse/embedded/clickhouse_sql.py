"""The little that the HTTP interface must know of a statement's text: where its FORMAT stands and its data begins.

A lexer, not a parser: comments, strings, quoted names and brackets are skipped, words outside of them are looked at.
What a statement does is asked of the engine itself. Statements are read as latin-1, one character a byte, so that
offsets are those of the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?(?:\*/|\Z))
      | (?P<quoted>'(?:[^'\\]|\\.|'')*'?|`(?:[^`\\]|\\.|``)*`?|"(?:[^"\\]|\\.|"")*"?|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
      | (?P<word>[A-Za-z_\x80-\xff][\w\x80-\xff]*)
      | (?P<number>\d[\w.]*)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class InsertHead:
    """An INSERT that brings its data with it.

    Attributes:
        statement: The statement up to, without, SETTINGS, FORMAT or VALUES.
        settings: Its SETTINGS clause, empty if it has none.
        format: Input format.
        data_start: Where the data begins, in bytes.
    """

    statement: str
    settings: str
    format: str
    data_start: int


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def _outer_tokens(text: str) -> Iterator[_Token]:
    """Tokens outside of brackets; blanks and comments left out."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = str(match.lastgroup if match.lastgroup != "tag" else "quoted")
        if kind == "blank":
            continue
        if match.group() in {")", "]", "}"}:
            depth -= 1
        if depth == 0:
            yield _Token(kind, match.group().upper() if kind == "word" else match.group(), match.start(), match.end())
        if match.group() in {"(", "[", "{"}:
            depth += 1


def first_word(text: str) -> str:
    """First word of a statement in capitals; opening brackets before it are skipped."""
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "word":
            return match.group().upper()
        if match.lastgroup != "blank" and match.group() != "(":
            break
    return ""


def insert_head(text: bytes) -> InsertHead | None:
    """Find where the data of an INSERT begins; None if the text is no INSERT with data of its own.

    `INSERT … SELECT` and `INSERT … FROM INFILE` have none.
    """
    content = text.decode("latin-1")
    if first_word(content[:4096]) != "INSERT":
        return None
    before = ""
    settings_start = 0
    tokens = _outer_tokens(content)
    for token in tokens:
        names_a_table = before in {"INTO", "TABLE", "FUNCTION", "."}
        before = token.text
        if token.kind != "word" or names_a_table:
            continue
        if token.text in {"SELECT", "WITH", "FROM", "WATCH"}:
            return None
        if token.text == "SETTINGS":
            settings_start = token.start
        if token.text == "VALUES":
            return _head(text, (settings_start or token.start, token.start), "Values", token.end)
        if token.text == "FORMAT":
            name = next(tokens, None)
            if name is not None and name.kind == "word":
                return _head(
                    text,
                    (settings_start or token.start, token.start),
                    content[name.start : name.end],
                    _after_format(text, name.end),
                )
            return None
    return None


def _head(text: bytes, ends: tuple[int, int], fmt: str, data_start: int) -> InsertHead:
    statement, settings = text[: ends[0]].decode("utf-8", "replace"), text[ends[0] : ends[1]].decode("utf-8", "replace")
    return InsertHead(statement, settings, "Values" if fmt.upper() == "VALUES" else fmt, data_start)


def _after_format(text: bytes, end: int) -> int:
    """As the server does it: blanks, then one line end, then data."""
    while text[end : end + 1] in {b" ", b"\t", b"\f"}:
        end += 1
    end += text[end : end + 1] == b"\r"
    end += text[end : end + 1] == b"\n"
    return end


def output_format(statement: str) -> str | None:
    """Format named by a statement's own FORMAT clause, in its own spelling; None if it names none.

    The clause stands at the end; only SETTINGS may follow it.
    """
    tokens = list(_outer_tokens(statement))
    end = _Token("end", ";", len(statement), len(statement))
    for before, clause, name, after in zip(tokens, tokens[1:], tokens[2:], [*tokens[3:], end], strict=False):
        if (
            clause.text == "FORMAT"
            and name.kind == "word"
            and after.text in {";", "SETTINGS"}
            and before.text not in {"AS", ".", "FROM", "JOIN", "INTO", "TABLE"}
        ):
            return statement[name.start : name.end]
    return None


def writes_a_file(statement: str) -> bool:
    """Say whether a statement holds INTO OUTFILE, which in chDB would write a file of the server."""
    before = ""
    for token in _outer_tokens(statement):
        if token.text == "OUTFILE" and before == "INTO":
            return True
        before = token.text
    return False


def ends_the_engine(statement: str) -> bool:
    """Say whether a statement would end the process: SYSTEM SHUTDOWN, SYSTEM KILL, EXIT, QUIT."""
    words = [token.text for _, token in zip(range(2), _outer_tokens(statement), strict=False)]
    return words[:1] in (["EXIT"], ["QUIT"]) or words in (["SYSTEM", "SHUTDOWN"], ["SYSTEM", "KILL"])


def quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def quoted_name(name: str) -> str:
    """A name in backticks."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"
