"""What the configured source holds: what `label-assets sources` prints.

Belongs here: counts and spans of every instrument, in words. Does not belong here: what one file is (`inspection`),
bringing candles into the warehouse (`assets`).
"""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from label_assets.compute.source import configured_source
from label_assets.errors import LabelAssetsError
from label_assets.settings import Settings
from label_assets.sources.batch import CandleBatch, Source

_HEADINGS = ("instrument", "rows", "candles", "first", "last")
_ALL_TIME = 2**40


def summarize_source(settings: Settings, instruments: list[str], console: Console) -> int:
    """Read everything the source has of some instruments and print what it is.

    Args:
        settings: The settings.
        instruments: Names of configured instruments.
        console: Where to print.

    Returns:
        How many instruments could not be read.

    Raises:
        SettingsError: an instrument is not configured, or the source file cannot be used.
    """
    for name in instruments:
        settings.instrument(name)
    source = configured_source(settings)
    console.print(f"{source.describe()}, base {settings.base_granularity}", highlight=False)
    table = Table(box=None, pad_edge=False)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=True, justify="right" if heading in ("rows", "candles") else "left")
    table.add_column("left out", overflow="fold")
    problems: list[str] = []
    for name in instruments:
        try:
            batch = _everything(source, name, settings.base_granularity)
        except LabelAssetsError as error:
            problems.append(f"{name}: {error}")
            continue
        table.add_row(*_cells(batch))
    console.print(table)
    for problem in problems:
        console.print(problem, highlight=False, markup=False)
    return len(problems)


def _everything(source: Source, instrument: str, base: str) -> CandleBatch:
    return source.read(instrument, base, 0, _ALL_TIME, int(time.time()))


def _cells(batch: CandleBatch) -> Iterator[str]:
    ts = batch.candles.ts
    yield batch.instrument
    yield f"{batch.rows_in:,}"
    yield f"{len(ts):,}"
    yield from (_day(int(stamp)) for stamp in (*ts[:1], *ts[-1:])) if len(ts) else ("", "")
    rejected = Counter(row.reason for row in batch.rejected)
    left_out = [f"{count:,} {rule}" for rule, count in batch.dropped.items()]
    yield "\n".join([*left_out, *(f"{count:,} rejected: {reason}" for reason, count in rejected.items())])


def _day(stamp: int) -> str:
    return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d")
