"""Family barriers: labels 6 to 8 and 11.a. Kernels: `barriers`, `level_barriers`; oracle: `…oracles.barriers`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.families.levels import CONSIDERED_PARAMETERS
from label_assets.catalog.tables import LABEL_KEY

_UNTOUCHED = "in an open window while no barrier is touched, in a gap window, or while the ATR is undefined"
_REFERENCE = "López de Prado 2018, Advances in Financial Machine Learning, ch. 3"

LEVEL_BARRIER_PARAMETERS = (
    *CONSIDERED_PARAMETERS,
    "labels.level_barrier_atr",
    "labels.level_ahead_atr",
    "labels.level_margin_atr",
)
"""Settings that enter the level-adjusted barrier."""

_KNOWN = "while the ATR is undefined"

_LEVEL_ADJUSTED = (
    Column(
        "enhanced_triple_barrier_label",
        ColumnType.CLASS,
        "Barrier that the path touches first, barriers drawn in to the levels ahead: 1 upper, −1 lower, 0 none.",
        low=-1,
        high=1,
        null=_UNTOUCHED,
        number="11.a",
        reference=_REFERENCE,
    ),
    Column(
        "etb_barrier_hit",
        ColumnType.ENUM,
        "The same by name.",
        null=_UNTOUCHED,
        number="11.a",
        values=("none", "upper", "lower"),
    ),
    Column(
        "etb_time_to_barrier",
        ColumnType.BARS,
        "Path bars to the first touch; all bars of the path if there is none.",
        unit="bars",
        low=1,
        null=_UNTOUCHED,
        number="11.a",
    ),
    Column(
        "etb_end_ts",
        ColumnType.TIME,
        "Close time of the bar that touches; horizon end if none does.",
        unit="s",
        null=_UNTOUCHED,
        number="11.a",
    ),
    Column(
        "etb_exit_price",
        ColumnType.PRICE,
        "Price of the exit: the barrier, a gap's open, or the horizon end's.",
        unit="price",
        low=0,
        null=_UNTOUCHED,
        number="11.a",
    ),
    Column(
        "etb_return",
        ColumnType.RELATIVE,
        "Return from entry to that exit.",
        unit="1",
        low=-1,
        null=_UNTOUCHED,
        number="11.a",
    ),
    Column(
        "etb_ambiguous",
        ColumnType.FLAG,
        "One bar that opens between the barriers reaches both; the one nearer to its open counts.",
        null=_UNTOUCHED,
        number="11.a",
    ),
    Column(
        "etb_upper",
        ColumnType.PRICE,
        "Upper barrier: 2 ATR above the entry, or just below the nearest resistance ahead.",
        unit="price",
        low=0,
        null=_KNOWN,
        number="11.a",
        known_at_entry=True,
    ),
    Column(
        "etb_lower",
        ColumnType.PRICE,
        "Lower barrier: 2 ATR below the entry, or just above the nearest support ahead.",
        unit="price",
        null=_KNOWN,
        number="11.a",
        known_at_entry=True,
    ),
    Column(
        "level_adjusted",
        ColumnType.FLAG,
        "A level moved at least one barrier.",
        null=_KNOWN,
        number="11.a",
        known_at_entry=True,
    ),
    Column(
        "etb_baseline",
        ColumnType.RELATIVE,
        "Chance of reaching the upper barrier first in a driftless market without a time limit.",
        unit="1",
        low=0,
        high=1,
        null=_KNOWN,
        number="11.a",
        known_at_entry=True,
    ),
)

BARRIERS = Family(
    table=Table(
        "barriers",
        "First touch of the triple barrier on the path of one candle and horizon.",
        LABEL_KEY,
        (
            Column(
                "triple_barrier_label",
                ColumnType.CLASS,
                "Barrier that the path touches first: 1 upper, −1 lower, 0 none until the horizon end.",
                low=-1,
                high=1,
                null=_UNTOUCHED,
                number="6",
                reference=_REFERENCE,
            ),
            Column(
                "triple_barrier_ambiguous",
                ColumnType.FLAG,
                "One bar that opens between the barriers reaches both; the one nearer to its open counts.",
                null=_UNTOUCHED,
                number="6",
            ),
            Column(
                "time_to_barrier",
                ColumnType.BARS,
                "Path bars to the first touch; all bars of the path if there is none.",
                unit="bars",
                low=1,
                null=_UNTOUCHED,
                number="7",
            ),
            Column(
                "barrier_end_ts",
                ColumnType.TIME,
                "Close time of the bar that touches; horizon end if none does.",
                unit="s",
                null=_UNTOUCHED,
                number="7",
            ),
            Column(
                "barrier_return",
                ColumnType.RELATIVE,
                "Return from entry to the exit at the barrier, at a gap's open, or at the horizon end.",
                unit="1",
                low=-1,
                null=_UNTOUCHED,
                number="8",
            ),
            *_LEVEL_ADJUSTED,
        ),
    ),
    title="Barriers",
    summary=(
        "The triple barrier, checked bar by bar on the path granularity: which barrier, when, with what return; once "
        "at a fixed width, once drawn in to the levels ahead."
    ),
    version=2,
    parameters=("labels.barrier_width", *LEVEL_BARRIER_PARAMETERS),
)
