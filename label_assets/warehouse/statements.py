"""Where SQL text comes from: one statement a file in `warehouse/sql`, named verb first, with bound parameters."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Text of `warehouse/sql/<name>.sql` without its comments: client and server read it word by word each time."""
    text = files("label_assets.warehouse").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
