"""What raw_candles says of its source: the account of rows, what was revised; and reading that back in a check.

Belongs here: names of metadata about the source. Does not belong here: what every asset tells (`assets.metadata`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import dagster as dg
import numpy as np

from label_assets.assets.partitions import MonthRun, month_start, months_between
from label_assets.compute.accounting import fingerprints
from label_assets.compute.revisions import Changes
from label_assets.sources.batch import CandleBatch, Source

_READ_AT = "source_read_at"
_FINGERPRINT = "source_fingerprint"


class SourceReading(NamedTuple):
    """What a materialization noted of the source when it read a month.

    Attributes:
        read_at: When [epoch s]; candles that had not closed were not finished then.
        fingerprint: Of the candles and rejected rows of the month.
    """

    read_at: int
    fingerprint: str


def data_version(accounts: Sequence[Mapping[str, Any]]) -> dg.DataVersion:
    """Version of what a run read, from the accounts of its months: what is made from other data is then outdated.

    One for all partitions of the run, for Dagster knows no other: the same months read again have the same version.
    """
    text = "".join(str(account[_FINGERPRINT]) for account in accounts)
    return dg.DataVersion(blake2b(text.encode(), digest_size=12).hexdigest())


def month_borders(months: MonthRun) -> list[int]:
    """Starts of the months of a run, and the end of the last one [epoch s]."""
    return [*(month_start(month) for month in months.months), months.end_ts]


def run_account(batch: CandleBatch, source: Source) -> dict[str, Any]:
    """Metadata of a run: rows in = kept + rejected + dropped."""
    account: dict[str, Any] = {
        "run_source_rows": batch.rows_in,
        "run_rows_kept": batch.kept,
        "run_rows_rejected": len(batch.rejected),
        "run_rows_rejected_by_reason": dict(Counter(row.reason for row in batch.rejected)),
        "run_rows_dropped": sum(batch.dropped.values()),
        "run_rows_dropped_by_rule": dict(batch.dropped),
        "run_source": source.describe(),
        **({"run_files": ", ".join(batch.files)} if batch.files else {}),
        **{f"run_{name}": count for name, count in batch.notes.items()},
    }
    if not batch.rows_in:
        account["skipped"] = "the source has no row in these months; what it does not cover stays stored"
    return account


def month_accounts(batch: CandleBatch, months: MonthRun, read_at: int) -> list[dict[str, Any]]:
    """Metadata of each month of a run: its candles and rejected rows, and what the check needs to read it again."""
    borders = month_borders(months)
    candles = np.diff(np.searchsorted(batch.candles.ts, borders))
    rejected = np.diff(np.searchsorted(np.array([row.ts for row in batch.rejected], np.int64), borders))
    return [
        {
            "source_candles": ours,
            "rows_rejected": bad,
            _READ_AT: dg.MetadataValue.timestamp(float(read_at)),
            _FINGERPRINT: fingerprint,
        }
        for ours, bad, fingerprint in zip(
            candles.tolist(), rejected.tolist(), fingerprints(batch, borders), strict=True
        )
    ]


def recorded_readings(instance: dg.DagsterInstance, months: MonthRun) -> dict[str, SourceReading]:
    """What the newest materialization of each month noted of the source; months without one are absent."""
    asset = dg.AssetKey("raw_candles")
    newest = instance.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, set(months.keys)
    )
    if not newest:
        return {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(newest.values())), limit=len(newest)
    ).records
    readings = {}
    for record in records:
        metadata = record.asset_materialization.metadata if record.asset_materialization else {}
        if record.partition_key and _FINGERPRINT in metadata:
            month = record.partition_key.rsplit("|", 1)[1]
            readings[month] = SourceReading(
                int(float(str(metadata[_READ_AT].value))), str(metadata[_FINGERPRINT].value)
            )
    return readings


def revision_account(changes: Changes, affected: tuple[str, str] | None) -> dict[str, Any]:
    """Metadata of a run: what it changed in known history, from when to when, and which months that reaches."""
    account: dict[str, Any] = {f"run_rows_{name}": count for name, count in changes.counts().items()}
    if changes.span is not None and affected is not None:
        account |= {
            "run_first_change": dg.MetadataValue.timestamp(float(changes.span[0])),
            "run_last_change": dg.MetadataValue.timestamp(float(changes.span[1])),
            "run_first_affected_month": affected[0],
            "run_last_affected_month": affected[1],
        }
    return account


def stale_months(months: MonthRun, affected: tuple[str, str]) -> list[str]:
    """Affected months that a run does not have: until they are made again, their labels are of the older candles."""
    return [month for month in months_between(*affected) if month not in set(months.months)]


def revision_line(changes: Changes, months: MonthRun, affected: tuple[str, str]) -> str:
    """One line for the log: what changed, and which months have to be materialized for all labels to be current."""
    first, last = (datetime.fromtimestamp(ts, UTC).isoformat(" ", "minutes") for ts in changes.span or (0, 0))
    what = ", ".join(f"{count} {name}" for name, count in changes.counts().items())
    line = f"{months.instrument_id}: {what} and {len(changes.added_ts)} new candles, {first} to {last}"
    if stale_months(months, affected):
        return f"{line}; materialize {affected[0]}..{affected[1]} for all labels to be current"
    return f"{line}; these months hold all labels that depend on them"
