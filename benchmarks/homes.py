"""Homes for parts: embedded servers with settings of the part's own, files of the synthetic market, a Dagster with UI.

Belongs here: starting and ending, and the data that is measured on. Does not belong here: measuring.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from label_assets.assets.partitions import month_start, next_month
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.kernels.arrays import Candles
from label_assets.market.calendar import SessionCalendar
from label_assets.settings import Settings, load_settings
from label_assets.sources.synthetic import SyntheticMarket
from label_assets.stack import stop_servers
from label_assets_tests.assets.landing import Rows, write_rows
from label_assets_tests.ui.dagster_graphql import wait_for
from label_assets_tests.ui.development import Development

BASE = "M15"
FAR_FUTURE = 2**31
START_S = 300.0
ALL_INSTRUMENTS = tuple(item.name for item in DEFAULT_INSTRUMENTS)


def market_candles(instrument: str, start_ts: int, end_ts: int) -> Candles:
    """M15 candles of the synthetic market with start_ts ≤ ts < end_ts [epoch s]."""
    market = SyntheticMarket(7, DEFAULT_INSTRUMENTS, SessionCalendar("17:00 America/New_York"), start_ts=start_ts)
    return market.read(instrument, BASE, start_ts, end_ts, FAR_FUTURE).candles


def market_rows(instrument: str, months: tuple[str, str]) -> Rows:
    """The same for a range of months, both included, as columns of a file."""
    candles = market_candles(instrument, month_start(months[0]), month_start(next_month(months[1])))
    return {name: getattr(candles, name).copy() for name in ("ts", "open", "high", "low", "close", "volume")}


def land(folder: Path, instrument: str, rows: Rows, suffix: str = "") -> Path:
    """Put a file into a landing folder as a person does: under another name first, so that nobody sees half of it."""
    hidden = write_rows(folder / "unfinished", rows, f"{instrument}_{BASE}{suffix}.parquet")
    return hidden.rename(folder / hidden.name)


def land_market(folder: Path, instruments: Sequence[str], months: tuple[str, str]) -> int:
    """One file an instrument with its whole history; returns the number of candles."""
    total = 0
    for name in instruments:
        rows = market_rows(name, months)
        total += len(rows["ts"])
        land(folder, name, rows)
    return total


@contextmanager
def own_servers(home: Path, **overrides: Any) -> Iterator[Settings]:
    """Settings with the default granularities and a landing folder; servers start on demand and are stopped."""
    folder = home / "landing"
    folder.mkdir(parents=True, exist_ok=True)
    defaults: dict[str, Any] = {"home": home, "source": "landing", "landing_folder": folder, "pictures": False}
    settings = load_settings(**(defaults | overrides))
    try:
        yield settings
    finally:
        stop_servers(settings)


@contextmanager
def own_dagster(
    home: Path, landing: Path, instruments: Sequence[str], first_month: str, **settings: str
) -> Iterator[Development]:
    """A `label-assets dev`, started; nothing of it is left afterwards.

    Args:
        home: Folder of the part; its home is made in there.
        landing: Folder of the candles.
        instruments: Names of the instruments.
        first_month: First monthly partition.
        **settings: Variables in lower case and without `LABEL_ASSETS_`.
    """
    home = home / "development"  # it kills what has its home in the command line, as this process has the part's
    home.mkdir(mode=0o755)  # where root may not use namespaces, PostgreSQL runs as another user who must get through
    home.parent.chmod(0o755)
    defaults = {
        "instruments": ",".join(instruments),
        "first_month": first_month,
        "source": "landing",
        "landing_folder": str(landing),
    }
    started = Development(
        home, {f"LABEL_ASSETS_{name.upper()}": value for name, value in (defaults | settings).items()}
    )
    try:
        with suppress(AssertionError):  # its patience is that of a test
            started.start()
        wait_for("the Dagster UI answers", started.ui.answers, START_S)
        yield started
    finally:
        started.kill()
