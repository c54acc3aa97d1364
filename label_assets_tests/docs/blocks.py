"""Blocks of code in pages, and the commands in them.

Belongs here: what is a block, which kind, which commands. Does not belong here: running them (`test_commands`).
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = (
    *("label-assets", "make", "python", "curl", "export", "cd", "git", "cat", "mkdir", "tar", "pip"),
    *("docker", "kubectl", "helm", "pg_dump", "pg_restore", "sh", "clickhouse-client", "XADD", "kill", "."),
)
_MARK = re.compile(r"^\s*<!-- (parsed|not run|output|not a command): (.+?) -->\s*$")

_BEGINNINGS = {"python": r"(from|import) [\w.]+", "toml": r"[a-z_]+ = |\[[\w.]+\]$", "yaml": r"[a-z_]+:$"}


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Attributes:
        page: Its page.
        line: Number of its first line.
        text: Its lines without the indentation.
        language: What the fence names, "" for an indented block.
        mark: `parsed`, `not run`, `output` or `not a command` from the comment before it, None without one.
        reason: What the mark gives as its reason.
    """

    page: Path
    line: int
    text: str
    language: str
    mark: str | None
    reason: str

    @property
    def kind(self) -> str:
        """commands, python, toml, yaml, mermaid, or unknown: nobody can say what it is."""
        first = self.text.split("\n", 1)[0]
        if self.mark in {"output", "not a command"}:
            return self.mark
        if self.language in {"python", "toml", "yaml", "mermaid"}:
            return self.language
        if first.startswith("$ ") or _program(first) in PROGRAMS:
            return "commands"
        return next((kind for kind, begin in _BEGINNINGS.items() if re.match(begin, first)), "unknown")


def blocks_of(page: Path) -> list[Block]:
    """Indented and fenced blocks of a page, in order."""
    found: list[Block] = []
    mark: tuple[str | None, str] = (None, "")
    taken: list[str] = []
    start, language, fence, is_after_blank, in_list = 0, "", "", True, False

    def end() -> None:
        nonlocal taken, mark
        text = "\n".join(taken).rstrip()
        if text:
            found.append(Block(page, start, text, language, *mark))
            mark = (None, "")
        taken = []

    for number, line in enumerate([*page.read_text(encoding="utf-8").split("\n"), ""], 1):
        if fence:
            if line.strip() == fence:
                end()
                fence, language = "", ""
            else:
                taken.append(line)
        elif line.startswith("    ") and not in_list and (taken or is_after_blank):
            start = start if taken else number
            taken.append(line[4:])
        elif not line.strip() and taken:
            taken.append("")
        else:
            end()
            if opened := re.match(r"(`{3,})(\w*)$", line):
                fence, language, start = opened[1], opened[2], number + 1
            elif said := _MARK.match(line):
                mark = (said[1], said[2])
            elif line.strip():
                mark = (None, "")
                in_list = bool(re.match(r"([*-]|\d+\.) ", line))
        is_after_blank = not line.strip() or bool(_MARK.match(line))
    end()
    return found


def commands_of(block: Block) -> list[list[str]]:
    """The words of each command, without what a here-document holds.

    With `$ ` before commands, the other lines are what they print.
    """
    lines = re.sub(r"(<<'END')\n.*?\nEND$", r"\1", block.text, flags=re.DOTALL | re.MULTILINE).split("\n")
    shown = any(line.startswith("$ ") for line in lines)
    commands: list[list[str]] = []
    open_text = ""
    for line in lines:
        if not open_text and shown and not line.startswith("$ "):
            continue
        open_text += line.removeprefix("$ ") if not open_text else "\n" + line
        if open_text.endswith("\\"):
            open_text = open_text[:-1] + " "
            continue
        try:
            words = shlex.split(open_text, comments=True)
        except ValueError:  # a quotation goes on in the next line
            continue
        if words:
            commands.append(words[:-1] if words[-1] == "&" else words)
        open_text = ""
    if open_text:
        raise ValueError(f"{block.page.name}:{block.line}: a quotation does not end: {open_text}")
    return commands


def _program(line: str) -> str:
    words = line.split()
    return words[0].removeprefix(".venv/bin/") if words else ""
