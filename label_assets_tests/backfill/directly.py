"""What a backfill must end in: the tables of one run an instrument, in this process, in a database of its own."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from label_assets.settings import Settings
from label_assets.warehouse.client import Warehouse
from label_assets_tests.assets.landing import contents
from label_assets_tests.assets.runs import failures, materialize


def computed_directly(
    make_settings: Callable[..., Settings], like: Settings, months: tuple[str, str], instruments: Sequence[str] = ()
) -> dict[str, pa.Table]:
    """Contents of a fresh database after a run for each instrument, with the definitions and source of `like`."""
    same = ("source", "landing_folder", "base_granularity", "granularities", "horizons", "first_month", "labels")
    settings = make_settings(
        **{name: getattr(like, name) for name in same}, instruments=[item.name for item in like.instruments]
    )
    for name in instruments or [item.name for item in like.instruments]:
        result = materialize(settings, name, months, checks=False)
        assert result.success, failures(result)
    warehouse = Warehouse(settings)
    try:
        return contents(warehouse)
    finally:
        warehouse.close()


def report(text: str) -> None:
    """Show a measured figure; `pytest -s` does not swallow it."""
    print(f"\n{text}")  # noqa: T201 - figures are what a person reads the output for
