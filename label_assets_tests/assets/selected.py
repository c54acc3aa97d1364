"""Runs of some assets and their checks: seconds less than the whole graph, where a test needs no more."""

from collections.abc import Sequence

import dagster as dg

from label_assets.assets.partitions import RANGE_END_TAG, RANGE_START_TAG, partition_key
from label_assets.settings import Settings
from label_assets_tests.assets.landing import INSTRUMENT, QUIET, job_of


def run_selected(
    settings: Settings,
    assets: Sequence[str],
    *months: str,
    instance: dg.DagsterInstance | None = None,
    instrument: str = INSTRUMENT,
) -> dg.ExecuteInProcessResult:
    """One Dagster run: a single partition for one month, a range from first to last for two."""
    keys = [partition_key(instrument, month) for month in months]
    is_range = len(months) == 2
    return job_of(settings).execute_in_process(
        instance=instance or dg.DagsterInstance.ephemeral(),
        asset_selection=[dg.AssetKey(name) for name in assets],
        partition_key=None if is_range else keys[0],
        tags={RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[1]} if is_range else None,
        run_config=QUIET,
        raise_on_error=False,
    )
