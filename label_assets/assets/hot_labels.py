"""Asset hot_labels: the newest rows of labels in Redis, for the API and the live engine.

Belongs here: what a run tells of it. Does not belong here: which rows these are (`cache.sections`), how they get there
(`cache.warming`).
"""

from typing import Any

import dagster as dg

from label_assets.assets.partitions import BACKFILL_POLICY, month_runs
from label_assets.errors import CacheUnavailableError
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

NO_REDIS = "skipped: no REDIS_URL is set and no embedded Redis runs; everything is answered from ClickHouse"


def warm(settings: Settings, warehouse: Warehouse, instruments: list[str]) -> dict[str, Any]:
    """Bring the hot cache of some instruments to what ClickHouse holds; an outage of Redis is told, and no failure."""
    from label_assets.cache.hot import open_cache  # noqa: PLC0415 - only where there is a Redis
    from label_assets.cache.warming import Warmed, sync  # noqa: PLC0415

    cache = open_cache(settings, start=False)
    done, note = Warmed(), NO_REDIS
    if cache is not None:
        try:
            done, note = sync(cache, warehouse, instruments), "in step with ClickHouse"
        except CacheUnavailableError as error:
            note = (
                f"Redis does not answer ({error.found}): the next look of `label-assets serve` or run writes the rows"
            )
        finally:
            cache.close()
    return {
        "note": note,
        "rows": done.rows,
        "rows_written": done.changed,
        "rows_removed": done.removed,
        "run_sections": done.sections,
    }


def hot_labels_asset(
    settings: Settings, partitions_def: dg.PartitionsDefinition, versions: dict[str, str]
) -> dg.AssetsDefinition:
    """The asset hot_labels."""

    @dg.asset(
        partitions_def=partitions_def,
        backfill_policy=BACKFILL_POLICY,
        code_version=versions["hot_labels"],
        deps=["labels"],
        group_name="labels",
        kinds={"redis"},
        description=(
            "The newest rows of labels of every instrument, granularity and horizon in Redis, where the API and the "
            "live engine read them. Months further back change nothing here."
        ),
    )
    def hot_labels(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        runs = month_runs(context.partition_keys)
        told = warm(settings, warehouse, sorted({months.instrument_id for months in runs}))
        nothing = dict.fromkeys(told, 0) | {"note": told["note"]}
        keys = [key for months in runs for key in months.keys]
        for key in keys:  # counts are those of the whole run
            context.add_asset_metadata(told if key == keys[-1] else nothing, partition_key=key)
        context.log.info(f"hot_labels: {told}")
        return dg.MaterializeResult()

    return hot_labels
