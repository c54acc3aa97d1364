"""Family returns: labels 1 to 5. Kernel: `kernels.returns`; oracle: `label_assets_tests.oracles.returns`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.tables import LABEL_KEY

_INCOMPLETE = "unless the window is complete"

RETURNS = Family(
    table=Table(
        "returns",
        "Returns from entry to horizon end of one candle and horizon.",
        LABEL_KEY,
        (
            Column(
                "forward_return",
                ColumnType.RELATIVE,
                "Return from entry to horizon end, P_X/P − 1.",
                unit="1",
                low=-1,
                null=_INCOMPLETE,
                number="1",
            ),
            Column(
                "vol_scaled_return",
                ColumnType.RELATIVE,
                "Price change to the horizon end in units of the ATR at entry, clipped to ±10.",
                unit="ATR",
                low=-10,
                high=10,
                bounded_by="labels.clip_atr",
                null="unless the window is complete and the ATR defined",
                number="2",
            ),
            Column(
                "vol_scaled_bounded",
                ColumnType.FLAG,
                "The clip of `vol_scaled_return` acted.",
                null="unless the window is complete and the ATR defined",
                number="2",
            ),
            Column(
                "return_sign",
                ColumnType.CLASS,
                "Sign of `forward_return`; 0 where its magnitude is at most `flat_return`.",
                low=-1,
                high=1,
                null=_INCOMPLETE,
                number="3",
            ),
            Column(
                "return_quantile",
                ColumnType.CLASS,
                "Decile of `forward_return` among the returns of earlier windows that had ended by the entry.",
                low=1,
                high=10,
                null="unless the window is complete and its reference sample holds at least min(100, N/2) windows",
                number="4",
            ),
            Column(
                "log_return",
                ColumnType.RELATIVE,
                "Logarithmic return from entry to horizon end, ln(P_X/P).",
                unit="1",
                null=_INCOMPLETE,
                number="5",
            ),
        ),
    ),
    title="Returns",
    summary="Where the price stands at the horizon end: as a return, in ATR, as a sign, as a decile of its own past.",
    version=1,
    parameters=(
        "labels.numbers",
        "labels.atr_period",
        "labels.minimum_coverage",
        "labels.flat_return",
        "labels.clip_atr",
    ),
)
