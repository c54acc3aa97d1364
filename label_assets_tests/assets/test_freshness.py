"""Freshness in the words of Dagster's own daemon: in time, about to be overdue, overdue, in time again."""

import asyncio
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest
from dagster._core.test_utils import freeze_time

from label_assets.assets.freshness import KEPT_FRESH
from label_assets.definitions import build_defs
from label_assets.settings import Settings, load_settings
from label_assets_tests.assets.landing import INSTRUMENT


def states(settings: Settings, instance: dg.DagsterInstance, later: timedelta) -> dict[str, str]:
    """State of each asset that is kept fresh, some time from now."""
    graph = build_defs(settings).resolve_asset_graph()
    judge = TimeWindowFreshnessPolicyEvaluator()
    with freeze_time(datetime.now(UTC) + later):
        return {
            name: asyncio.run(
                judge.evaluate_freshness(LoadingContextForTest(instance), graph.get(dg.AssetKey(name)))
            ).value
            for name in KEPT_FRESH
        }


@pytest.mark.parametrize("hours", [4, 96])
def test_candles_and_labels_become_overdue(hours: int) -> None:
    settings = load_settings(overdue_hours=hours)

    def after(share: float) -> dict[str, str]:
        return states(settings, instance, timedelta(hours=hours * share))

    with dg.DagsterInstance.ephemeral() as instance:
        assert after(0) == dict.fromkeys(KEPT_FRESH, "UNKNOWN")
        for name in KEPT_FRESH:
            instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=f"{INSTRUMENT}|2024-01"))
        assert after(0.7) == dict.fromkeys(KEPT_FRESH, "PASS")
        assert after(0.8) == dict.fromkeys(KEPT_FRESH, "WARN")
        assert after(1.01) == dict.fromkeys(KEPT_FRESH, "FAIL")
