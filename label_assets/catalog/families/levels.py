"""Support and resistance levels: the two tables of the asset `levels`, and what enters every label made of levels.

Kernel: `kernels.levels`; oracle: `label_assets_tests.oracles.levels`.
"""

from label_assets.catalog.columns import Column, ColumnType, Table
from label_assets.catalog.tables import GRANULARITY, INSTRUMENT

LEVEL_PARAMETERS = (
    "labels.numbers",
    "labels.atr_period",
    "labels.level_span",
    "labels.level_widths",
    "labels.flip_deadline",
)
"""Settings that enter every level."""

CONSIDERED_PARAMETERS = (
    *LEVEL_PARAMETERS,
    "labels.minimum_coverage",
    "labels.considered_atr",
    "labels.merge_atr",
    "labels.most_considered",
)
"""Settings that enter the levels considered at an entry, and so every label made of them."""

ROLES = ("support", "resistance", "none")

EVENT_TYPES = (
    "NEW_RESISTANCE",
    "NEW_SUPPORT",
    "TOUCH_UP",
    "TOUCH_DOWN",
    "BREAK_RESISTANCE",
    "BREAK_SUPPORT",
    "FLIP_TO_SUPPORT",
    "FLIP_TO_RESISTANCE",
    "DEACTIVATE_UP",
    "DEACTIVATE_DOWN",
)

LEVEL_ID = Column(
    "level_id",
    ColumnType.TEXT,
    "instrument:granularity:pivot's open time as epoch seconds:R or S, the role at birth.",
)

LEVEL_INTERVALS = Table(
    "level_intervals",
    "One stretch of a level as active support or resistance.",
    (
        INSTRUMENT,
        GRANULARITY,
        Column("ts", ColumnType.TIME, "Open time of the level's pivot candle, UTC.", unit="s"),
        LEVEL_ID,
        Column("valid_from", ColumnType.TIME, "From when it is active in this role, included.", unit="s"),
    ),
    (
        Column("role", ColumnType.ENUM, "What it is in this stretch.", values=ROLES[:2]),
        Column("price", ColumnType.PRICE, "The level: the pivot's high or low.", unit="price", low=0),
        Column("touch_width", ColumnType.PRICE, "Half width of the zone of contact.", unit="price", low=0),
        Column("break_width", ColumnType.PRICE, "A close further than this beyond it breaks it.", "price", low=0),
        Column("created_at", ColumnType.TIME, "When the level was confirmed.", unit="s"),
        Column(
            "valid_to",
            ColumnType.TIME,
            "Until when it is active in this role, excluded.",
            unit="s",
            null="while open at the end of the data",
        ),
        Column("touches_before", ColumnType.COUNT, "Touches of the level before this stretch.", "touches", low=0),
    ),
)

LEVEL_EVENTS = Table(
    "level_events",
    "Something that happened to a level at the close of a candle of its granularity.",
    (
        INSTRUMENT,
        GRANULARITY,
        Column("ts", ColumnType.TIME, "When: close time of the candle at whose close it happens, UTC.", unit="s"),
        LEVEL_ID,
        Column("event_type", ColumnType.ENUM, "What: birth, touch, break, flip or end.", values=EVENT_TYPES),
    ),
    (
        Column("price", ColumnType.PRICE, "The level's price.", unit="price", low=0),
        *(
            Column(name, ColumnType.PRICE, f"{name.capitalize()} of that candle.", unit="price", low=0)
            for name in ("open", "high", "low", "close")
        ),
        Column(
            "penetration",
            ColumnType.RELATIVE,
            "How far that candle went beyond the level, for the role before the event, as a share of the price.",
            unit="1",
            low=0,
        ),
    ),
)
