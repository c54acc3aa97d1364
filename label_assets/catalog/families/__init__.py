"""The families of labels, one file each, and the wide table that joins them."""

from label_assets.catalog.columns import Family, Table
from label_assets.catalog.families.barriers import BARRIERS
from label_assets.catalog.families.excursions import EXCURSIONS
from label_assets.catalog.families.level_breaks import LEVEL_BREAKS
from label_assets.catalog.families.level_touches import LEVEL_TOUCHES
from label_assets.catalog.families.path_shape import PATH_SHAPE
from label_assets.catalog.families.returns import RETURNS
from label_assets.catalog.families.sample_weights import SAMPLE_WEIGHTS
from label_assets.catalog.families.volatility import VOLATILITY
from label_assets.catalog.tables import LABEL_BOOKKEEPING, LABEL_KEY, PATH_WINDOWS

FAMILIES: tuple[Family, ...] = (
    RETURNS,
    BARRIERS,
    EXCURSIONS,
    VOLATILITY,
    PATH_SHAPE,
    LEVEL_TOUCHES,
    LEVEL_BREAKS,
    SAMPLE_WEIGHTS,
)
"""Every family, in the order of the columns of `labels`."""

LABELS = Table(
    "labels",
    "Everything known of one candle and horizon: its path window and the labels of every family.",
    LABEL_KEY,
    PATH_WINDOWS.columns + tuple(column for family in FAMILIES for column in family.table.columns) + LABEL_BOOKKEEPING,
    uncompared=frozenset({"computed_at"}),
)
