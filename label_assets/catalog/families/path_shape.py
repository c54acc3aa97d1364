"""Family path_shape: labels 27 to 34. Kernel: `kernels.path_shape`; oracle: `…oracles.path_shape`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.tables import LABEL_KEY

_INCOMPLETE = "unless the window is complete"

PATH_SHAPE = Family(
    table=Table(
        "path_shape",
        "Shape of the path from entry to horizon end of one candle and horizon.",
        LABEL_KEY,
        (
            Column(
                "path_sharpe",
                ColumnType.RELATIVE,
                "Forward return over the standard deviation of the path's returns since entry.",
                unit="1",
                null="unless the window is complete and that deviation at least 1e-12",
                number="27",
            ),
            Column(
                "drawdown_depth",
                ColumnType.RELATIVE,
                "Deepest fall of a path close below the highest close before it, at most 0.",
                unit="1",
                low=-1,
                high=0,
                null=_INCOMPLETE,
                number="28",
            ),
            Column(
                "time_underwater",
                ColumnType.BARS,
                "Path bars that close below the entry price.",
                unit="bars",
                low=0,
                null=_INCOMPLETE,
                number="29",
            ),
            Column(
                "path_skewness",
                ColumnType.RELATIVE,
                "Population skewness of the path's returns since entry.",
                unit="1",
                null="unless the window is complete with at least 3 bars and a deviation of at least 1e-12",
                number="30",
            ),
            Column(
                "end_extremum_gap",
                ColumnType.RELATIVE,
                "Distance of the exit price from the path's extreme on its side, over the price change; at most 10.",
                unit="1",
                low=0,
                high=10,
                bounded_by="labels.end_extremum_gap_cap",
                null="unless the window is complete and the exit price differs from the entry price",
                number="31",
            ),
            Column(
                "path_efficiency",
                ColumnType.RELATIVE,
                "Net price change over the sum of the path's close-to-close moves.",
                unit="1",
                low=0,
                null="unless the window is complete and the path moves at all",
                number="32",
                reference="Kaufman 1995, Smarter Trading (efficiency ratio)",
            ),
            Column(
                "runup_height",
                ColumnType.RELATIVE,
                "Highest rise of a path close above the lowest close before it, at least 0.",
                unit="1",
                low=0,
                null=_INCOMPLETE,
                number="33",
            ),
            Column(
                "trend_t_value",
                ColumnType.RELATIVE,
                "Slope over its standard error of a line through the path's closes: straightness, not a test.",
                unit="1",
                null="unless the window is complete with at least 3 bars that are not on one line",
                number="34",
                reference="López de Prado 2020, Machine Learning for Asset Managers, ch. 5 (trend scanning)",
            ),
        ),
    ),
    title="Path shape",
    summary="How the price gets to the horizon end: straight or winding, above or under water.",
    version=1,
    parameters=("labels.numbers", "labels.minimum_coverage", "labels.end_extremum_gap_cap"),
)
