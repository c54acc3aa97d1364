"""Partitions of every asset, and what a run's partition keys mean in time.

Belongs here: instrument × month, the mapping that looks forward, runs of months. Does not belong here: how far a
window reaches (`compute.reach`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import dagster as dg

from label_assets.compute.reach import forward_months
from label_assets.settings import Settings

if TYPE_CHECKING:
    from dagster._core.instance import DynamicPartitionsStore

INSTRUMENT_DIMENSION = "instrument"
MONTH_DIMENSION = "month"
MONTH_FORMAT = "%Y-%m"

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

MAX_PARTITIONS_PER_RUN = 600
"""At least the months of one instrument's history (50 years), so that a full backfill is one run an instrument."""

KEPT_RANGES = 16
"""Ranges of partitions whose keys are kept: a run asks for one, a code server for those of its backfills."""

BACKFILL_POLICY = dg.BackfillPolicy.multi_run(max_partitions_per_run=MAX_PARTITIONS_PER_RUN)
"""One object for all assets: whole chains share one run."""


class InstrumentMonths(dg.MultiPartitionsDefinition):
    """Instrument × month. The keys of a range are made once: Dagster asks for all of a run's for each one of them."""

    def __init__(self, partitions_defs: Mapping[str, dg.PartitionsDefinition[str]]) -> None:
        """Keep the dimensions."""
        super().__init__(partitions_defs)
        self._keys_in_range = lru_cache(maxsize=KEPT_RANGES)(super().get_partition_keys_in_range)

    def get_partition_keys_in_range(
        self,
        partition_key_range: dg.PartitionKeyRange,
        dynamic_partitions_store: "DynamicPartitionsStore | None" = None,
    ) -> Sequence[dg.MultiPartitionKey]:
        """Keys of every instrument between, in every month between, both ends included; no dimension is dynamic."""
        return cast("Sequence[dg.MultiPartitionKey]", self._keys_in_range(partition_key_range))


def partitions(settings: Settings) -> InstrumentMonths:
    """Instrument × month; the running month exists."""
    return InstrumentMonths(
        {
            INSTRUMENT_DIMENSION: dg.StaticPartitionsDefinition([item.name for item in settings.instruments]),
            MONTH_DIMENSION: dg.MonthlyPartitionsDefinition(
                start_date=settings.first_month, fmt=MONTH_FORMAT, end_offset=1
            ),
        }
    )


def forward_mapping(settings: Settings) -> dg.MultiPartitionMapping:
    """Month m of the child depends on months m .. m + reach of the parent: windows end in later months."""
    return dg.MultiPartitionMapping(
        {
            INSTRUMENT_DIMENSION: dg.DimensionPartitionMapping(INSTRUMENT_DIMENSION, dg.IdentityPartitionMapping()),
            MONTH_DIMENSION: dg.DimensionPartitionMapping(
                MONTH_DIMENSION,
                dg.TimeWindowPartitionMapping(
                    start_offset=0, end_offset=forward_months(settings), allow_nonexistent_upstream_partitions=True
                ),
            ),
        }
    )


def partition_key(instrument_id: str, month: str) -> str:
    """Key of one partition as Dagster writes it: dimensions in the order of their names."""
    return str(dg.MultiPartitionKey({INSTRUMENT_DIMENSION: instrument_id, MONTH_DIMENSION: month}))


def month_start(month: str) -> int:
    """Epoch second at which a month `YYYY-MM` begins, UTC."""
    return int(datetime.strptime(month, MONTH_FORMAT).replace(tzinfo=UTC).timestamp())


def next_month(month: str) -> str:
    """The month after `YYYY-MM`."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def months_between(first: str, last: str) -> list[str]:
    """Months from `first` to `last`, both included."""
    months = []
    month = first
    while month <= last:
        months.append(month)
        month = next_month(month)
    return months


def clamp_months(settings: Settings, first: str, last: str) -> tuple[str, str]:
    """A range of months cut to the partitions that exist: from `first_month` to the running month.

    Args:
        settings: The settings.
        first: First month, `YYYY-MM`.
        last: Last month, included.
    """
    present = datetime.now(UTC).strftime(MONTH_FORMAT)
    return max(settings.first_month, min(first, present)), min(present, max(last, settings.first_month))


@dataclass(frozen=True)
class MonthRun:
    """Successive months of one instrument, which are read, computed and written together.

    Attributes:
        instrument_id: The instrument.
        first_month: First month, `YYYY-MM`.
        last_month: Last month, included.
    """

    instrument_id: str
    first_month: str
    last_month: str

    @property
    def start_ts(self) -> int:
        """First open time [epoch s]."""
        return month_start(self.first_month)

    @property
    def end_ts(self) -> int:
        """End of the open times, not included [epoch s]."""
        return month_start(next_month(self.last_month))

    @property
    def months(self) -> list[str]:
        """Its months, in order."""
        return months_between(self.first_month, self.last_month)

    @property
    def keys(self) -> list[str]:
        """Its partition keys, in order."""
        return [partition_key(self.instrument_id, month) for month in self.months]


def month_runs(partition_keys: Iterable[str]) -> list[MonthRun]:
    """Group partition keys, any mix of instruments and months, into runs of successive months.

    Args:
        partition_keys: Keys `INSTRUMENT|YYYY-MM`.

    Returns:
        Runs ordered by instrument and month.
    """
    pairs = sorted({(key.rsplit("|", 1)[0], key.rsplit("|", 1)[1]) for key in (str(item) for item in partition_keys)})
    runs: list[MonthRun] = []
    for instrument_id, month in pairs:
        if runs and runs[-1].instrument_id == instrument_id and next_month(runs[-1].last_month) == month:
            runs[-1] = MonthRun(instrument_id, runs[-1].first_month, month)
        else:
            runs.append(MonthRun(instrument_id, month, month))
    return runs
