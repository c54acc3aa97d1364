"""Family excursions: labels 9 and 10. Kernel: `kernels.excursions`; oracle: `label_assets_tests.oracles.excursions`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.tables import LABEL_KEY

_INCOMPLETE = "unless the window is complete"
_REFERENCE = "Sweeney 1997, Maximum Adverse Excursion"

EXCURSIONS = Family(
    table=Table(
        "excursions",
        "Largest moves for and against a long entry on the path of one candle and horizon.",
        LABEL_KEY,
        (
            Column(
                "mfe",
                ColumnType.RELATIVE,
                "Maximum favourable excursion: highest price of the path over the entry price − 1, at least 0.",
                unit="1",
                low=0,
                null=_INCOMPLETE,
                number="9",
                reference=_REFERENCE,
            ),
            Column(
                "time_to_mfe",
                ColumnType.BARS,
                "Path bars to the first bar that reaches the highest price.",
                unit="bars",
                low=1,
                null="unless the window is complete and `mfe` is above 0",
                number="9",
            ),
            Column(
                "mae",
                ColumnType.RELATIVE,
                "Maximum adverse excursion: lowest price of the path over the entry price − 1, at most 0.",
                unit="1",
                low=-1,
                high=0,
                null=_INCOMPLETE,
                number="10",
                reference=_REFERENCE,
            ),
            Column(
                "time_to_mae",
                ColumnType.BARS,
                "Path bars to the first bar that reaches the lowest price.",
                unit="bars",
                low=1,
                null="unless the window is complete and `mae` is below 0",
                number="10",
            ),
            Column(
                "profit_factor",
                ColumnType.RELATIVE,
                "mfe over |mae|, at most 100.",
                unit="1",
                low=0,
                high=100,
                bounded_by="labels.profit_factor_cap",
                null="unless the window is complete and |mae| at least 1e-12",
                number="10",
            ),
        ),
    ),
    title="Excursions",
    summary="How far the path goes for and against the entry, and when.",
    version=1,
    parameters=("labels.numbers", "labels.minimum_coverage", "labels.profit_factor_cap"),
)
