"""Stamps for tests: text to epoch seconds and back, without the code under test."""

from datetime import UTC, datetime

import numpy as np

from label_assets.kernels.arrays import IntArray


def utc(*texts: str) -> IntArray:
    """Epoch seconds of UTC times such as "2024-03-10 21:00"."""
    return np.array([int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in texts], np.int64)


def texts(ts: IntArray) -> list[str]:
    """The reverse, to the minute."""
    return [datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d %H:%M") for stamp in ts]
