"""Pictures in the metadata of materializations: what a person looks at first in the Dagster UI.

One for each run of months and asset, on its last partition: an image is 20 KB in the event log and a third of a second.

Belongs here: which picture goes with which asset. Does not belong here: drawing (`charts`).
"""

from typing import Any

import dagster as dg

from label_assets.assets.partitions import MonthRun, month_start
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse

FAVORITE_GRANULARITY = "H4"
SIGNED_LABELS = ("return_sign", "triple_barrier_label", "enhanced_triple_barrier_label", "first_level_reached")


def levels_picture(settings: Settings, warehouse: Warehouse, months: MonthRun) -> dict[str, Any]:
    """Candles, levels and, once they are stored, the barriers of the last entry of the last month.

    Returns:
        Metadata; empty if the month has no candle or the settings want no pictures.
    """
    if not settings.pictures:
        return {}
    granularities = settings.granularities
    granularity = FAVORITE_GRANULARITY if FAVORITE_GRANULARITY in granularities else granularities[0]
    last = warehouse.query(
        "read_last_entry",
        instrument=months.instrument_id,
        granularity=granularity,
        start=month_start(months.last_month),
        end=months.end_ts,
    )["ts"][0].as_py()
    if not last:
        return {}
    from label_assets.charts.levels import Entry, as_markdown, draw_levels  # noqa: PLC0415 - matplotlib: half a second

    image = draw_levels(warehouse, Entry(months.instrument_id, granularity, settings.horizons[0], last), small=True)
    return {"chart": dg.MetadataValue.md(as_markdown(image))}


def class_balance(settings: Settings, warehouse: Warehouse, months: MonthRun) -> dict[str, Any]:
    """Shares of the classes of signed labels among the complete windows of a run of months.

    Returns:
        Metadata; empty if there is no complete window or the settings want no pictures.
    """
    if not settings.pictures:
        return {}
    rows = warehouse.query(
        "read_class_counts", instrument=months.instrument_id, start=months.start_ts, end=months.end_ts
    ).to_pylist()
    # No wider than the space that the page of a partition has: what is beyond is cut off.
    lines = ["| | label | −1 | 0 | +1 |", "|---|---|---:|---:|---:|"]
    for row in rows:
        where = f"{row['granularity']}\u00a0{row['horizon']}"
        for label in SIGNED_LABELS:
            counts = row[label]
            if sum(counts):
                shares = " | ".join(f"{count / sum(counts):.1%}" for count in counts)
                lines.append(f"| {where} | {label} | {shares} |")
    return {"class_balance": dg.MetadataValue.md("\n".join(lines))} if len(lines) > 2 else {}
