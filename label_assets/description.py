"""What the stored labels look like: shares of NULL, quantiles, class balance, and what looks degenerate.

Belongs here: the page that `label-assets describe` makes. Does not belong here: statistics that are stored
(`compute.statistics`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from label_assets.catalog.columns import Column, ColumnType
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.tables import WINDOW_STATUS
from label_assets.errors import SourceEmptyError
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

LARGE_CLASS = 0.97
"""A class with a larger share than this leaves a model little to learn."""

RARE_VALUE = 0.5
"""A label that is NULL in a larger share of the complete windows than this is called rare."""

_COUNTED = (ColumnType.CLASS, ColumnType.FLAG, ColumnType.ENUM)
_LABELS = tuple(column for family in FAMILIES for column in family.table.columns if column.type is not ColumnType.TIME)


def describe(settings: Settings, instruments: Sequence[str] | None = None) -> str:
    """Markdown page about the stored labels of some instruments, one section a granularity and horizon.

    Args:
        settings: The settings.
        instruments: Names; None for all that are stored.

    Raises:
        SourceEmptyError: if there are no labels.
    """
    warehouse = Warehouse(settings)
    names = list(instruments or [item.name for item in settings.instruments])
    sections = warehouse.query("read_labelled_sections", instruments=names).to_pylist()
    if not sections:
        raise SourceEmptyError(
            asked=f"labels of {', '.join(names)}",
            found="none",
            allowed="instruments that were materialized",
            action="run `label-assets demo` or materialize some partitions first",
        )
    lines = ["# What the labels look like", ""]
    lines += [
        f"{', '.join(sorted({name for section in sections for name in section['instruments']}))}. Shares of NULL by "
        "window status; classes, or the quantiles 5 %, 50 %, 95 %, over complete windows.",
    ]
    for section in sections:
        lines += ["", f"## {section['granularity']}, horizon {section['horizon']}", ""]
        lines.append(f"{section['label_rows']:,} rows: {section['complete']:,} complete, {section['open']:,} open, "
                     f"{section['gap']:,} gap; {section['first']} to {section['last']}.")  # fmt: skip
        lines += [
            "",
            "| label | NULL in complete | open | gap | classes or quantiles | looks |",
            "|---|---|---|---|---|---|",
        ]
        lines += list(_rows(warehouse, names, section))
    warehouse.close()
    return "\n".join(lines) + "\n"


def _rows(warehouse: Warehouse, instruments: Sequence[str], section: dict[str, Any]) -> Iterator[str]:
    parts = []
    for column in _LABELS:
        name = column.name
        for status in WINDOW_STATUS:
            is_null = f"`{name}` IS NULL AND window_status = '{status}'"
            parts.append(f"countIf({is_null}) / greatest(1, countIf(window_status = '{status}')) AS `{name}_{status}`")
        if column.type in _COUNTED:
            for code, _ in _classes(column):
                value = f"'{column.values[code]}'" if column.type is ColumnType.ENUM else str(code)
                parts.append(f"countIf(`{name}` = {value} AND window_status = 'complete') AS `{name}_{code}`")
        else:
            known = f"`{name}` IS NOT NULL AND window_status = 'complete'"
            parts.append(f"quantilesExactIf(0.05, 0.5, 0.95)(ifNull(`{name}`, 0), {known}) AS `{name}_quantiles`")
    answer = warehouse.query_text(
        f"SELECT {', '.join(parts)} FROM labels WHERE instrument_id IN {{instruments:Array(String)}} "
        "AND granularity = {granularity:String} AND horizon = {horizon:UInt16}",
        instruments=instruments,
        granularity=section["granularity"],
        horizon=section["horizon"],
    ).to_pylist()[0]
    for column in _LABELS:
        yield _row(column, answer)


def _classes(column: Column) -> list[tuple[int, str]]:
    if column.type is ColumnType.ENUM:
        return list(enumerate(column.values))
    if column.type is ColumnType.FLAG:
        return [(0, "false"), (1, "true")]
    return [(code, str(code)) for code in range(int(column.low or 0), int(column.high or 0) + 1)]


def _row(column: Column, answer: dict[str, Any]) -> str:
    shares = [answer[f"{column.name}_{status}"] for status in WINDOW_STATUS]
    remarks = ["rare"] if shares[0] > RARE_VALUE else []
    if column.type in _COUNTED:
        counts = {text: answer[f"{column.name}_{code}"] for code, text in _classes(column)}
        total = sum(counts.values())
        shown = ", ".join(f"{text} {count / total:.1%}" for text, count in counts.items()) if total else "none"
        if total and max(counts.values()) > LARGE_CLASS * total:
            remarks.append("one class")
    else:
        quantiles = answer[f"{column.name}_quantiles"]
        shown = " / ".join(f"{value:.4g}" for value in quantiles)
        if quantiles[0] == quantiles[-1]:
            remarks.append("constant")
    nulls = " | ".join(f"{share:.1%}" for share in shares)
    return f"| `{column.name}` | {nulls} | {shown} | {', '.join(remarks)} |"
