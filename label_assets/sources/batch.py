"""What every source gives: candles that keep all rules, and an account of every other row.

Belongs here: the result and the interface of a source. Does not belong here: how a format is read (one file per format)
and how rows of several files are merged (`sources.rows`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from label_assets.errors import CandleError
from label_assets.kernels.arrays import Candles

STREAM_FILE = "stream"
"""What the live engine has in place of a file's name; such rows are its own, and no other source removes them."""


@dataclass(frozen=True, slots=True)
class RejectedCandle:
    """One row that did not become a candle.

    Attributes:
        granularity: Granularity that the row was meant to be.
        ts: Time under which the row is filed [epoch s, UTC]: its own stamp, or for a row without a usable stamp the
            file's first usable one, so that exactly one month reports it.
        source_file: Name of the file, without folders.
        line: 1-based number of the row in the file.
        stamp: The time stamp as found; None where there was none.
        open: First price as found; None where it was missing or not finite. The same holds for the next four.
        high: Highest price.
        low: Lowest price.
        close: Last price.
        volume: Volume.
        reason: A key of `market.validation.REASONS`.
        detail: What is wrong, with the values.
    """

    granularity: str
    ts: int
    source_file: str
    line: int
    stamp: str | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    reason: str
    detail: str


@dataclass(frozen=True, eq=False)
class CandleBatch:
    """What a source has for one instrument, granularity and range of time.

    Attributes:
        instrument: Name of the instrument.
        granularity: Name of the granularity.
        candles: Candles that keep every rule of `market.validation`, sorted by ts, one per ts.
        rejected: Rows that do not, in the order of `ts`, then file and line.
        dropped: Rows left out on purpose, by the name of the rule; rules that dropped nothing are absent.
        rows_in: Rows of the source that fall in the range, whatever became of them.
        files: Names of the files that have rows in the range, in order of precedence (the last one wins).
        spans: For each file, or the source itself, its first and last time [epoch s, both included], whatever range
            was asked for. Inside a span a source knows all there is; outside it says nothing.
        notes: Facts worth showing that cost no row, by name: `unsorted_rows` = rows after a later one of their file,
            `repeated_hour_rows` = rows of an hour that the clock showed twice.
        rows_kept: Rows of the source that went into `candles`, where that is not one each: a source that is finer than
            the base is resampled on the way in.
    """

    instrument: str
    granularity: str
    candles: Candles
    rejected: tuple[RejectedCandle, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    rows_in: int = 0
    files: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    rows_kept: int | None = None

    @property
    def kept(self) -> int:
        """Rows of the source that went into `candles`."""
        return len(self.candles.ts) if self.rows_kept is None else self.rows_kept

    def check_accounting(self) -> None:
        """Make sure that nothing disappeared: rows in = rows kept + rows rejected + rows dropped by a named rule.

        Raises:
            CandleError: when the sums differ.
        """
        kept, rejected, dropped = self.kept, len(self.rejected), sum(self.dropped.values())
        if self.rows_in != kept + rejected + dropped:
            raise CandleError(
                asked=f"an account of {self.rows_in} rows of {self.instrument} {self.granularity}",
                found=f"{kept} kept, {rejected} rejected, {dropped} dropped ({dict(self.dropped)})",
                allowed="sums that agree",
                action="report this: a source of this package loses or invents rows",
            )


@runtime_checkable
class WatchedSource(Protocol):
    """A source that others fill while we run."""

    def watched(self, instrument: str, granularity: str) -> dict[str, Path | str]:
        """What an instrument is read from, by name: the path of a file, or a text that changes with its content."""


class Source(Protocol):
    """Where base candles come from."""

    def read(self, instrument: str, granularity: str, start_ts: int, end_ts: int, now_ts: int) -> CandleBatch:
        """Rows of one instrument and granularity with start_ts ≤ ts < end_ts.

        Args:
            instrument: Name of the instrument.
            granularity: Name of the granularity.
            start_ts: First stamp that counts [epoch s, UTC].
            end_ts: First stamp that no longer counts [epoch s, UTC].
            now_ts: Candles that close after this time are unfinished [epoch s, UTC].

        Raises:
            SourceUnreadableError: a file of the instrument cannot be read at all.
            SourceEmptyError: the source does not have the instrument in this granularity, in any range.
        """

    def span(self, instrument: str, granularity: str) -> tuple[int, int] | None:
        """Stamps of the first and the last row [epoch s, UTC], both included; None when there is none."""

    def describe(self) -> str:
        """One line for logs and metadata."""
