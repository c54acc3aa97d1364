"""What a person sees in the metadata of a materialization, and charts as files."""

import base64
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from label_assets.assets.partitions import month_start
from label_assets.charts.candles import draw_month
from label_assets.charts.levels import Entry, draw_entry, draw_levels
from label_assets.description import describe
from label_assets.errors import SourceEmptyError
from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.runs import failures, materialize

PNG = b"\x89PNG\r\n"


def test_pictures_are_on_the_last_partition_and_show_something(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(granularities=("H4", "D"), pictures=True)
    done = materialize(settings, "EURUSD", ("2024-01", "2024-03"))
    assert done.success, failures(done)
    shown = {
        (event.asset_key.to_user_string(), event.partition): event.materialization.metadata
        for event in done.get_asset_materialization_events()
        if event.asset_key
    }
    for asset in ("levels", "barriers"):
        text = shown[asset, "EURUSD|2024-03"]["chart"].value
        image = base64.b64decode(text.partition("base64,")[2].rstrip(")"))
        assert image.startswith(PNG)
        assert 5_000 < len(image) < 60_000
        assert "chart" not in shown[asset, "EURUSD|2024-02"]
    balance = shown["labels", "EURUSD|2024-03"]["class_balance"]
    assert isinstance(balance, dg.MarkdownMetadataValue)
    assert balance.value.count("enhanced_triple_barrier_label") == 2
    for line in balance.value.splitlines()[2:]:
        shares = [float(cell.strip(" %")) for cell in line.split("|")[3:6]]
        assert sum(shares) == pytest.approx(100, abs=0.2)

    warehouse = Warehouse(settings)
    last = tmp_path / "last.png"
    draw_entry(warehouse, "EURUSD", "H4", month_start("2024-03"), None, last)
    month = (month_start("2024-02"), month_start("2024-03"))
    draw_month(warehouse, "EURUSD", "H4", month, 6, tmp_path / "deep" / "month.png")
    for file in (last, tmp_path / "deep" / "month.png"):
        assert file.read_bytes().startswith(PNG)
        assert file.stat().st_size > 20_000
    with pytest.raises(SourceEmptyError, match="materialize"):
        draw_levels(warehouse, Entry("EURUSD", "H4", 6, month_start("2024-02") + 1))
    warehouse.close()

    page = describe(settings)
    assert "## H4, horizon 6" in page
    assert page.count("`enhanced_triple_barrier_label`") == 2
    with pytest.raises(SourceEmptyError):
        describe(settings, ["GBPUSD"])
