"""When the FX week is closed, in UTC."""

import numpy as np
import pytest

from label_assets.market.weekend import is_weekend
from label_assets_tests.market.times import utc


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("2024-01-05 21:59", False),  # Friday 16:59 New York, winter
        ("2024-01-05 22:00", True),
        ("2024-01-07 21:59", True),
        ("2024-01-07 22:00", False),  # Sunday 17:00 New York
        ("2024-07-05 20:59", False),  # summer: an hour earlier in UTC
        ("2024-07-05 21:00", True),
        ("2024-07-07 20:59", True),
        ("2024-07-07 21:00", False),
        ("2024-03-08 22:00", True),  # clocks go forward in this weekend, which is 47 hours long
        ("2024-03-10 20:59", True),
        ("2024-03-10 21:00", False),
        ("2024-11-01 21:00", True),  # and back in this one, which is 49
        ("2024-11-03 21:59", True),
        ("2024-11-03 22:00", False),
        ("2024-12-25 12:00", False),  # a holiday is no weekend
    ],
)
def test_weekend_is_friday_to_sunday_17_00_new_york(text: str, closed: bool) -> None:
    assert is_weekend(utc(text)).tolist() == [closed]


def test_no_instants() -> None:
    assert is_weekend(np.empty(0, np.int64)).tolist() == []
