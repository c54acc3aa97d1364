"""Family sample_weights. Kernel: `kernels.sample_weights`; oracle: `…oracles.sample_weights`."""

from label_assets.catalog.columns import Column, ColumnType, Family, Table
from label_assets.catalog.families.barriers import LEVEL_BARRIER_PARAMETERS
from label_assets.catalog.tables import LABEL_KEY

_NULL = "unless the window is complete, the ATR defined, and no gap lies within the horizon before and after the candle"
_REFERENCE = "López de Prado 2018, Advances in Financial Machine Learning, ch. 4"

SAMPLE_WEIGHTS = Family(
    table=Table(
        "sample_weights",
        "Weights for training on overlapping labels, from the life of the level-adjusted barrier label.",
        LABEL_KEY,
        (
            Column(
                "concurrency",
                ColumnType.BARS,
                "Labels alive at the candle in which this one ends.",
                unit="labels",
                low=1,
                null=_NULL,
                reference=f"{_REFERENCE}.3",
            ),
            Column(
                "average_uniqueness",
                ColumnType.RELATIVE,
                "Mean over the label's life of one over the labels alive.",
                unit="1",
                low=0,
                high=1,
                null=_NULL,
                reference=f"{_REFERENCE}.4",
            ),
            Column(
                "return_weight",
                ColumnType.RELATIVE,
                "Magnitude of the log return over the label's life, each candle's shared among the labels alive.",
                unit="1",
                low=0,
                null=_NULL,
                reference=f"{_REFERENCE}.6",
            ),
        ),
    ),
    title="Sample weights",
    summary="How much of its information a label shares with its neighbours: weights for training.",
    version=1,
    parameters=LEVEL_BARRIER_PARAMETERS,
)
