"""Family volatility: labels 22, 23, 25, 26. Kernel: `kernels.volatility`; oracle: `…oracles.volatility`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.tables import LABEL_KEY

_NO_ATR = "unless the window is complete and the ATR defined"

VOLATILITY = Family(
    table=Table(
        "volatility",
        "Volatility after the entry of one candle and horizon, against what it was before.",
        LABEL_KEY,
        (
            Column(
                "range_expansion",
                ColumnType.RELATIVE,
                "Largest relative range of the next candles over that of the entry candle, − 1.",
                unit="1",
                low=-1,
                null="unless the window is complete, and where the entry candle has no range",
                number="22",
            ),
            Column(
                "realized_volatility",
                ColumnType.RELATIVE,
                "Root of the summed squared log returns of the path bars.",
                unit="1",
                low=0,
                null="unless the window is complete",
                number="23",
                reference="Andersen, Bollerslev, Diebold, Labys 2003, doi:10.1111/1468-0262.00418",
            ),
            Column(
                "volatility_ratio",
                ColumnType.RELATIVE,
                "Mean true range of the next candles over the ATR at entry.",
                unit="1",
                low=0,
                null=_NO_ATR,
                number="25",
            ),
            Column(
                "max_bar_move",
                ColumnType.RELATIVE,
                "Largest close-to-close move of a path bar in units of the ATR at entry.",
                unit="ATR",
                low=0,
                null=_NO_ATR,
                number="26",
            ),
        ),
    ),
    title="Volatility",
    summary="How much the market moves until the horizon end, whatever the direction.",
    version=1,
    parameters=("labels.numbers", "labels.atr_period", "labels.minimum_coverage"),
)
