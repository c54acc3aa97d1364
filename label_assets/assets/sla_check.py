"""The check service_levels: what the last evaluation of `label-assets monitor` says of the API and the live engine.

It looks at the service and not at what was materialized, so it blocks nothing.

Belongs here: what the check shows. Does not belong here: evaluating (`monitoring.evaluation`).
"""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from label_assets.errors import CacheUnavailableError
from label_assets.settings import Settings

if TYPE_CHECKING:
    from label_assets.monitoring.record import Evaluation

SERVICE_LEVELS = dg.AssetCheckSpec(
    "service_levels",
    asset="hot_labels",
    blocking=False,
    description=(
        "Latency, labels a minute, hit rate, error rate and memory of `serve` and `live` are within the settings "
        "`sla`, says the last evaluation of `label-assets monitor`. Passes where no monitor has ever looked."
    ),
)

MOST_INTERVALS = 10
"""An evaluation that is so many intervals old says that the monitor is gone."""


def sla_result(evaluation: "Evaluation | None", now_s: float, problem: str = "") -> dg.AssetCheckResult:
    """Result of the check.

    Args:
        evaluation: The last evaluation; None where there is none.
        now_s: The present [epoch s].
        problem: Why the last evaluation cannot be read; "" where it could.
    """
    if problem:
        return _result(False, dg.AssetCheckSeverity.WARN, f"The last evaluation cannot be read: {problem}")
    if evaluation is None:
        return _result(True, dg.AssetCheckSeverity.WARN, "No monitor has looked: start `label-assets monitor`.")
    figures: dict[str, Any] = {"evaluated_at": dg.MetadataValue.timestamp(evaluation.at_s), **evaluation.figures}
    if now_s - evaluation.at_s > MOST_INTERVALS * evaluation.interval_s:
        at = datetime.fromtimestamp(evaluation.at_s, UTC).isoformat(" ", "seconds")
        return _result(False, dg.AssetCheckSeverity.WARN, f"The monitor has been silent since {at}: start it.", figures)
    violations = evaluation.violations
    is_critical = any(violation["severity"] == "critical" for violation in violations)
    return _result(
        not violations,
        dg.AssetCheckSeverity.ERROR if is_critical else dg.AssetCheckSeverity.WARN,
        "; ".join(violation["text"] for violation in violations) or None,
        figures,
    )


def _result(
    passed: bool,
    severity: dg.AssetCheckSeverity,
    description: str | None,
    metadata: dict[str, Any] | None = None,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=SERVICE_LEVELS.asset_key,
        check_name=SERVICE_LEVELS.name,
        passed=passed,
        severity=severity,
        description=description,
        metadata=metadata or {},
    )


def sla_check(settings: Settings) -> dg.AssetChecksDefinition:
    """The check service_levels."""

    @dg.multi_asset_check(name="service_levels", specs=[SERVICE_LEVELS])
    def check() -> dg.AssetCheckResult:
        from label_assets.monitoring.record import last_evaluation  # noqa: PLC0415 - Redis' client, a tenth of a second

        try:
            return sla_result(last_evaluation(settings), time.time())
        except CacheUnavailableError as error:
            return sla_result(None, time.time(), error.found)

    return check
