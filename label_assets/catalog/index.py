"""Every table of the warehouse."""

from label_assets.catalog.columns import Table
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.families.levels import LEVEL_EVENTS, LEVEL_INTERVALS
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.catalog.tables import CANDLE_REVISIONS, CANDLES, PATH_WINDOWS, RAW_CANDLES, REJECTED_CANDLES
from label_assets.errors import CatalogError

TABLES: tuple[Table, ...] = (
    RAW_CANDLES,
    REJECTED_CANDLES,
    CANDLE_REVISIONS,
    CANDLES,
    LEVEL_INTERVALS,
    LEVEL_EVENTS,
    PATH_WINDOWS,
    *(family.table for family in FAMILIES),
    LABELS,
    LABEL_STATISTICS,
    LABEL_STATISTICS_MONTHLY,
)
"""In the order of the graph."""


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
