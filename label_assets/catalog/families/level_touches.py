"""Family level_touches: labels 12 to 15. Kernel: `kernels.level_touches`; oracle: `…oracles.level_touches`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.families.levels import CONSIDERED_PARAMETERS
from label_assets.catalog.tables import LABEL_KEY

_NO_ATR = "unless the window is complete and the ATR defined"

LEVEL_TOUCHES = Family(
    table=Table(
        "level_touches",
        "Touches of the levels considered at the entry, on the path of one candle and horizon.",
        LABEL_KEY,
        (
            Column(
                "retouch_count",
                ColumnType.BARS,
                "Touches of all considered levels: bars in contact with one that the bar before was not.",
                unit="touches",
                low=0,
                null=_NO_ATR,
                number="12",
            ),
            Column(
                "max_touches_single_level",
                ColumnType.BARS,
                "Most touches of one level.",
                unit="touches",
                low=0,
                null=_NO_ATR,
                number="12",
            ),
            Column(
                "levels_considered",
                ColumnType.BARS,
                "Levels considered at the entry: within 3 ATR, near duplicates dropped, at most 32.",
                unit="levels",
                low=0,
                null="while the ATR is undefined",
                number="12",
                known_at_entry=True,
            ),
            Column(
                "next_touch_time",
                ColumnType.BARS,
                "Path bars to the first touch of any level.",
                unit="bars",
                low=1,
                null=f"{_NO_ATR} and some level is touched",
                number="13",
            ),
            Column(
                "time_at_level",
                ColumnType.BARS,
                "Path bars in contact with at least one level.",
                unit="bars",
                low=0,
                null=_NO_ATR,
                number="14",
            ),
            Column(
                "consecutive_touch_run",
                ColumnType.BARS,
                "Most contacts in a run of contacts of one level, successive ones at most 2 bars apart.",
                unit="contacts",
                low=0,
                null=_NO_ATR,
                number="15",
            ),
        ),
    ),
    title="Level touches",
    summary="How often and when the path comes to the support and resistance levels that were known at the entry.",
    version=1,
    parameters=CONSIDERED_PARAMETERS,
)
