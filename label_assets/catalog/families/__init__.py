"""The families of labels, one file each, and the wide table that joins them."""

from label_assets.catalog.columns import Family, Table
from label_assets.catalog.families.barriers import BARRIERS
from label_assets.catalog.families.excursions import EXCURSIONS
from label_assets.catalog.families.path_shape import PATH_SHAPE
from label_assets.catalog.families.returns import RETURNS
from label_assets.catalog.families.volatility import VOLATILITY
from label_assets.catalog.tables import (
    CANDLES,
    LABEL_BOOKKEEPING,
    LABEL_KEY,
    PATH_WINDOWS,
    RAW_CANDLES,
    REJECTED_CANDLES,
)
from label_assets.errors import CatalogError

FAMILIES: tuple[Family, ...] = (RETURNS, BARRIERS, EXCURSIONS, VOLATILITY, PATH_SHAPE)
"""Every family, in the order of the columns of `labels`."""

LABELS = Table(
    "labels",
    "Everything known of one candle and horizon: its path window and the labels of every family.",
    LABEL_KEY,
    PATH_WINDOWS.columns + tuple(column for family in FAMILIES for column in family.table.columns) + LABEL_BOOKKEEPING,
    uncompared=frozenset({"computed_at"}),
)

TABLES: tuple[Table, ...] = (
    RAW_CANDLES,
    REJECTED_CANDLES,
    CANDLES,
    PATH_WINDOWS,
    *(family.table for family in FAMILIES),
    LABELS,
)
"""Every table of the warehouse."""


def table(name: str) -> Table:
    """Look a table up.

    Raises:
        CatalogError: for a name that does not exist.
    """
    for candidate in TABLES:
        if candidate.name == name:
            return candidate
    raise CatalogError(
        asked=f"table {name!r}",
        found="no such table",
        allowed=", ".join(candidate.name for candidate in TABLES),
        action="use one of these names",
    )
