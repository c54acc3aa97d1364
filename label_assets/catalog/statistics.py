"""The tables of the asset `label_statistics`: what adds up over the labels of a day or a month, by the catalogue.

Belongs here: which statistics each column type gets, and the columns that follow. Does not belong here: computing them
(`compute.statistics`).
"""

from dataclasses import dataclass

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.catalog.families import FAMILIES
from label_assets.catalog.tables import GRANULARITY, HORIZON, INSTRUMENT, WINDOW_STATUS

COUNTED_TYPES = (ColumnType.CLASS, ColumnType.FLAG, ColumnType.ENUM)
SUMMED_TYPES = (ColumnType.RELATIVE, ColumnType.BARS)
DECILES = tuple(tenth / 10 for tenth in range(1, 10))

LABEL_COLUMNS = tuple(column for family in FAMILIES for column in family.table.columns)
SUMMED = tuple(column for column in LABEL_COLUMNS if column.type in SUMMED_TYPES)


@dataclass(frozen=True)
class ClassCount:
    """One class of one label.

    Attributes:
        label: Column of `labels`.
        code: Its value there, as it is stored: -1, 0, 1 …, or the code of an enumeration.
        column: Column of the statistics.
    """

    label: str
    code: int
    column: Column


def _classes(column: Column) -> list[ClassCount]:
    if column.type is ColumnType.ENUM:
        named = list(enumerate(column.values))
    elif column.type is ColumnType.FLAG:
        named = [(0, "false"), (1, "true")]
    else:
        codes = range(int(column.low or 0), int(column.high or 0) + 1)
        named = [(code, str(code).replace("-", "minus_")) for code in codes]
    return [
        ClassCount(
            column.name,
            code,
            Column(
                f"{column.name}_{name}", ColumnType.COUNT, f"Complete rows with {column.name} = {name}.", "rows", low=0
            ),
        )
        for code, name in named
    ]


CLASS_COUNTS = tuple(item for column in LABEL_COLUMNS if column.type in COUNTED_TYPES for item in _classes(column))
"""Every class of every label."""


def _sums(column: Column) -> tuple[Column, ...]:
    name, unit = column.name, column.unit
    return (
        Column(f"{name}_count", ColumnType.COUNT, f"Complete rows in which {name} is not NULL.", "rows", low=0),
        Column(f"{name}_sum", ColumnType.PRICE, f"Sum of {name} over them.", unit),
        Column(f"{name}_sum_squares", ColumnType.PRICE, "Sum of its squares over them.", f"{unit}²", low=0),
    )


_STATUS = (
    Column("label_rows", ColumnType.COUNT, "Rows of `labels`, whatever their status.", "rows", low=0),
    *(
        Column(f"{status}_rows", ColumnType.COUNT, f"Rows with window_status = {status}.", "rows", low=0)
        for status in WINDOW_STATUS
    ),
)
_COMMON = (
    *_STATUS,
    *(item.column for item in CLASS_COUNTS),
    *(statistic for column in SUMMED for statistic in _sums(column)),
)


def _key(period: str) -> tuple[Column, ...]:
    return (INSTRUMENT, GRANULARITY, HORIZON, Column("ts", ColumnType.TIME, f"Start of the {period}, UTC.", unit="s"))


LABEL_STATISTICS = Table(
    "label_statistics",
    "What adds up over the labels that open in one UTC day: counts by status and class, sums, sums of squares.",
    _key("day"),
    _COMMON,
)

LABEL_STATISTICS_MONTHLY = Table(
    "label_statistics_monthly",
    "The same over one UTC month, with the nine deciles of every label that is a quantity.",
    _key("month"),
    (
        *_COMMON,
        *(
            Column(
                f"{column.name}_deciles",
                ColumnType.DECILES,
                f"Deciles 0.1 to 0.9 of {column.name} over complete rows; empty where there is none.",
                column.unit,
            )
            for column in SUMMED
        ),
    ),
)
