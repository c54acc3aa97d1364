"""Family barriers: labels 6 to 8. Kernel: `kernels.barriers`; oracle: `label_assets_tests.oracles.barriers`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.tables import LABEL_KEY

_UNTOUCHED = "in an open window while no barrier is touched, in a gap window, or while the ATR is undefined"
_REFERENCE = "López de Prado 2018, Advances in Financial Machine Learning, ch. 3"

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
        ),
    ),
    title="Barriers",
    summary="The triple barrier, checked bar by bar on the path granularity: which barrier, when, with what return.",
    version=1,
    parameters=("labels.numbers", "labels.atr_period", "labels.minimum_coverage", "labels.barrier_width"),
)
