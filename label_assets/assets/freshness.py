"""When an asset is overdue, and who owns it: what the Dagster UI shows beside every asset.

Dagster judges an asset as a whole: the newest materialization of any partition counts. So the policy tells that nothing
arrives any more, not that one instrument is late; holes within an instrument are what the check no_unexpected_gaps is
for.

Belongs here: policies and owners from settings. Does not belong here: alerts about them (`assets.alerts`).
"""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from label_assets.assets.documentation import documentation
from label_assets.settings import Settings

KEPT_FRESH = ("candles", "labels")
"""Assets that get a policy; whatever lies between them is made by the same run."""


def freshness_policy(settings: Settings) -> dg.FreshnessPolicy | None:
    """Overdue after `overdue_hours`, a warning after three quarters of them; None where they are 0."""
    if not settings.overdue_hours:
        return None
    overdue = timedelta(hours=settings.overdue_hours)
    return dg.FreshnessPolicy.time_window(fail_window=overdue, warn_window=overdue * 3 / 4)


def watched(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets with owners and links to the docs, and with a freshness policy on those that `KEPT_FRESH` names."""
    policy = freshness_policy(settings)

    def described(spec: dg.AssetSpec) -> dg.AssetSpec:
        metadata = {**spec.metadata, **documentation(spec, settings)}
        owned = spec.replace_attributes(owners=list(settings.owners), metadata=metadata)
        kept = policy is not None and spec.key.to_user_string() in KEPT_FRESH
        return owned.replace_attributes(freshness_policy=policy) if kept else owned

    return [asset.map_asset_specs(described) for asset in assets]
