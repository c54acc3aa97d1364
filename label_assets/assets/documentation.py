"""Where the docs say more of an asset, and where its rows are: links that the Dagster UI shows beside it.

Belongs here: pages of the docs by asset. Does not belong here: what stands on them (`pages`).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import dagster as dg

from label_assets.catalog.families import FAMILIES
from label_assets.settings import Settings

PAGES: Mapping[str, str] = MappingProxyType(
    {
        "raw_candles": "sources.md",
        "candles": "labels.md#granularities",
        "levels": "levels.md",
        "path_windows": "labels.md#path-window",
        **{family.name: f"labels.md#{family.title.lower().replace(' ', '-')}" for family in FAMILIES},
        "labels": "labels.md",
        "label_statistics": "labels.md#tables",
        "hot_labels": "labels.md",
    }
)
"""Page and heading of each asset, in the folder `docs`."""


def documentation(spec: dg.AssetSpec, settings: Settings) -> dict[str, Any]:
    """Metadata of an asset: its page of the docs, and its table with the database."""
    page = PAGES[spec.key.to_user_string()]
    found: dict[str, Any] = {
        "docs": dg.MetadataValue.url(f"{settings.docs_url.rstrip('/')}/{page}")
        if settings.docs_url
        else dg.MetadataValue.path(f"docs/{page}")
    }
    table = spec.metadata.get("dagster/table_name")
    return found | ({"dagster/table_name": f"{settings.database}.{table}"} if table else {})
