"""Code versions: what changes when a definition or a setting that enters values changes.

Belongs here: hashes over the catalogue and the settings. Does not belong here: what Dagster does with them (`assets`).
"""

import hashlib
import json
from typing import Any

from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.families.levels import LEVEL_PARAMETERS
from label_assets.catalog.statistics import LABEL_STATISTICS, LABEL_STATISTICS_MONTHLY
from label_assets.settings import Settings

CANDLES_VERSION = 1
WINDOWS_VERSION = 1
LEVELS_VERSION = 1
STATISTICS_VERSION = 1
HOT_LABELS_VERSION = 1

CANDLE_PARAMETERS = ("base_granularity", "session_open")
ROW_PARAMETERS = (*CANDLE_PARAMETERS, "granularities", "horizons")
WINDOW_PARAMETERS = (*ROW_PARAMETERS, "labels.atr_period", "labels.minimum_coverage", "labels.numbers")


def _digest(version: object, values: dict[str, Any]) -> str:
    text = json.dumps([version, values], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def code_versions(settings: Settings) -> dict[str, str]:
    """Code version of every asset by name: the definition's number and a hash of the settings that enter its values."""

    def version(asset: str, number: int, parameters: tuple[str, ...]) -> str:
        return f"{number}-{_digest([asset, number], {name: settings.value(name) for name in parameters})}"

    versions = {
        "raw_candles": version("raw_candles", CANDLES_VERSION, ("base_granularity",)),
        "candles": version("candles", CANDLES_VERSION, CANDLE_PARAMETERS),
        "levels": version("levels", LEVELS_VERSION, (*CANDLE_PARAMETERS, "granularities", *LEVEL_PARAMETERS)),
        "path_windows": version("path_windows", WINDOWS_VERSION, WINDOW_PARAMETERS),
    }
    for family in FAMILIES:
        versions[family.name] = version(family.name, family.version, (*ROW_PARAMETERS, *family.parameters))
    versions["labels"] = f"{WINDOWS_VERSION}-{_digest(LABELS.names, dict(versions))}"
    names = (LABEL_STATISTICS.names, LABEL_STATISTICS_MONTHLY.names)
    versions["label_statistics"] = f"{STATISTICS_VERSION}-{_digest(names, {'labels': versions['labels']})}"
    versions["hot_labels"] = f"{HOT_LABELS_VERSION}-{_digest('hot_labels', {'labels': versions['labels']})}"
    return versions
