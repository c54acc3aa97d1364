"""Where SQL text comes from: one statement a file in `warehouse/sql`, named verb first, with bound parameters."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Text of `warehouse/sql/<name>.sql`."""
    return files("label_assets.warehouse").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8").strip()
