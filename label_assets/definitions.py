"""What Dagster loads: the only place where assets, checks and resources meet.

Run it with `label-assets dev`, or `dagster dev -m label_assets.definitions` where servers and settings are at hand.
"""

import warnings

import dagster as dg

from label_assets.assets.agreement_checks import agreement_checks
from label_assets.assets.alerts import alert_sensors
from label_assets.assets.audit_check import audit_check
from label_assets.assets.candles import candle_assets
from label_assets.assets.checks import checks
from label_assets.assets.drift_check import drift_check
from label_assets.assets.freshness import watched
from label_assets.assets.gap_check import gap_check
from label_assets.assets.hot_labels import hot_labels_asset
from label_assets.assets.labels import label_assets
from label_assets.assets.levels import level_asset
from label_assets.assets.partitions import partitions
from label_assets.assets.resources import resources
from label_assets.assets.sensors import sensors
from label_assets.assets.sla_check import sla_check
from label_assets.assets.statistics import statistics_asset
from label_assets.compute.versions import code_versions
from label_assets.settings import Settings, load_settings
from label_assets.sources.batch import Source
from label_assets.warm_runs import keep_warm

keep_warm()  # before any run is launched, and in a code server only


def build_defs(settings: Settings, source: Source | None = None) -> dg.Definitions:
    """Assets, checks and resources for some settings.

    Args:
        settings: The settings.
        source: Source of raw candles to use instead of the configured one.
    """
    with warnings.catch_warnings():
        # Multi-partition mappings and freshness policies are beta or preview in Dagster 1.13; we pin the minor version.
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        partitions_def = partitions(settings)
        versions = code_versions(settings)
        assets = [
            *candle_assets(settings, partitions_def, versions),
            level_asset(settings, partitions_def, versions),
            *label_assets(settings, partitions_def, versions),
            statistics_asset(partitions_def, versions),
            hot_labels_asset(settings, partitions_def, versions),
        ]
        return dg.Definitions(
            assets=watched(assets, settings),
            sensors=[*sensors(settings, [asset.key.to_user_string() for asset in assets]), *alert_sensors(settings)],
            asset_checks=[
                *checks(settings),
                gap_check(settings),
                agreement_checks(settings),
                audit_check(settings),
                drift_check(),
                sla_check(settings),
            ],
            resources=resources(settings, source),
            executor=dg.in_process_executor,
        )


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions for the settings of the environment."""
    return build_defs(load_settings())
