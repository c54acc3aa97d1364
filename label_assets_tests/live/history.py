"""Candles as a landing folder, and Dagster runs over them, for tests of the live engine."""

from pathlib import Path

from label_assets.kernels.arrays import Candles
from label_assets.settings import Settings
from label_assets_tests.assets.runs import failures, materialize, write_parquet, written

MONTHS = ("2024-01", "2024-02")


def land(settings: Settings, instrument: str, candles: Candles) -> None:
    """Make the landing folder hold these candles of an instrument."""
    folder = Path(str(settings.landing_folder))
    folder.mkdir(parents=True, exist_ok=True)
    columns = {name: getattr(candles, name) for name in ("ts", "open", "high", "low", "close", "volume")}
    write_parquet(folder / f"{instrument}_M15.parquet", columns)


def run_whole(settings: Settings, *instruments: str) -> dict[str, int]:
    """Rows written to ClickHouse by each asset of a run over everything; `hot_labels` writes to the cache."""
    total: dict[str, int] = {}
    for name in instruments:
        result = materialize(settings, name, MONTHS)
        assert result.success, failures(result)
        for asset, count in (written(result) | {"hot_labels": 0}).items():
            total[asset] = total.get(asset, 0) + count
    return total
