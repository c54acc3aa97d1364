"""A broker's own H1, H4 and D candles are what its M15 candles resample to."""

from pathlib import Path

import numpy as np
import pytest

from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.market.resampling import ladder
from label_assets.market.validation import breaks_ohlc, is_misaligned, opens_too_early
from label_assets.sources.parquet import ParquetLandingFolder
from label_assets_tests.market.times import utc

DATA = Path(__file__).parents[3] / "shared" / "data" / "oanda_v20"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"real candles are not part of the project: no {DATA}")

NEW_YORK = SessionCalendar("17:00 America/New_York")
# On 2021-05-09 from 21:00 UTC the vendor's H1 lacks the hour, and its H4 and D lack what M15 has of it.
ODD = {"GBPUSD": utc("2021-05-09 21:00")[0]}


def _vendor(instrument: str, granularity: str) -> Candles:
    batch = ParquetLandingFolder(DATA, NEW_YORK).read(instrument, granularity, 0, 2**40, 2**40)
    assert not batch.rejected
    assert not batch.dropped
    return batch.candles


@pytest.mark.parametrize("instrument", ["EURUSD", "GBPUSD", "USDJPY"])
def test_the_vendors_own_candles_are_rebuilt_exactly(instrument: str) -> None:
    made = ladder(_vendor(instrument, "M15"), "M15", NEW_YORK)
    for granularity in ("H1", "H4", "D"):
        ours, theirs = made[granularity], _vendor(instrument, granularity)
        # The vendor's files end with a D bucket that its M15 data still reach the end of: nothing is left over.
        odd = ODD.get(instrument)
        ours = Candles._make(column[ours.ts != odd] for column in ours)
        theirs = Candles._make(column[theirs.ts != odd] for column in theirs)
        for name, a, b in zip(Candles._fields, ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{instrument} {granularity} {name}")


def test_the_odd_bucket_differs_and_exists() -> None:
    """Guards the exception above: should the data be replaced by a corrected set, the exception has to go."""
    ours = ladder(_vendor("GBPUSD", "M15"), "M15", NEW_YORK)
    assert ODD["GBPUSD"] in ours["H1"].ts
    assert ODD["GBPUSD"] not in _vendor("GBPUSD", "H1").ts


def test_h4_opens_of_a_session_in_utc() -> None:
    made = ladder(_vendor("EURUSD", "M15"), "M15", SessionCalendar("21:00 UTC"))["H4"]
    assert set((made.ts % 86_400 // 3_600).tolist()) == {1, 5, 9, 13, 17, 21}


@pytest.mark.parametrize("granularity", ["M15", "H1", "H4", "D"])
def test_real_candles_are_sound(granularity: str) -> None:
    candles = _vendor("USDJPY", granularity)
    assert not breaks_ohlc(candles).any()
    assert not is_misaligned(candles.ts, granularity, NEW_YORK).any()
    assert not opens_too_early(candles.ts, candles.close_ts).any()
