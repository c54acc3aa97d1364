"""The account of a batch."""

import numpy as np
import pytest

from label_assets.errors import CandleError
from label_assets.kernels.arrays import Candles
from label_assets.sources.batch import CandleBatch, RejectedCandle, Source
from label_assets.sources.parquet import ParquetLandingFolder
from label_assets.sources.synthetic import SyntheticMarket

NONE = Candles(np.empty(0, np.int64), np.empty(0, np.int64), *(np.empty(0),) * 5)
ROW = RejectedCandle("M15", 0, "a.parquet", 1, None, None, None, None, None, None, "missing_stamp", "no stamp")


def test_sums_that_agree() -> None:
    CandleBatch("EURUSD", "M15", NONE).check_accounting()
    CandleBatch("EURUSD", "M15", NONE, (ROW,), {"identical_duplicate": 2}, rows_in=3).check_accounting()


@pytest.mark.parametrize("rows_in", [0, 2, 4])
def test_sums_that_differ(rows_in: int) -> None:
    batch = CandleBatch("EURUSD", "M15", NONE, (ROW,), {"identical_duplicate": 2}, rows_in=rows_in)
    with pytest.raises(CandleError, match="0 kept, 1 rejected, 2 dropped"):
        batch.check_accounting()


def test_the_sources_are_sources() -> None:
    kinds: tuple[type[Source], ...] = (ParquetLandingFolder, SyntheticMarket)
    assert all({"read", "span", "describe"} <= set(dir(kind)) for kind in kinds)
