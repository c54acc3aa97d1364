"""The catalogue is whole, and nothing drifts from it."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from label_assets.catalog.columns import ColumnType, Table
from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.families.levels import EVENT_TYPES, ROLES
from label_assets.catalog.granularities import GRANULARITIES, granularity, ladder
from label_assets.catalog.index import TABLES, table
from label_assets.catalog.instruments import DEFAULT_INSTRUMENTS
from label_assets.catalog.tables import PATH_WINDOWS, WINDOW_STATUS
from label_assets.errors import CatalogError
from label_assets.kernels import (
    barriers,
    excursions,
    level_barriers,
    level_breaks,
    level_touches,
    levels,
    path_shape,
    returns,
    sample_weights,
    volatility,
    windows,
)
from label_assets.pages import generated_pages
from label_assets.settings import load_settings

KERNEL_RESULTS = {
    "path_windows": windows.Windows,
    "returns": returns.Returns,
    "barriers": barriers.Barriers,
    "excursions": excursions.Excursions,
    "volatility": volatility.Volatility,
    "path_shape": path_shape.PathShape,
    "level_touches": level_touches.LevelTouches,
    "level_breaks": level_breaks.LevelBreaks,
    "sample_weights": sample_weights.SampleWeights,
}


@pytest.mark.parametrize("name", KERNEL_RESULTS)
def test_kernel_fields_are_the_columns(name: str) -> None:
    fields = KERNEL_RESULTS[name]._fields + (level_barriers.LevelBarriers._fields if name == "barriers" else ())
    assert fields == tuple(column.name for column in table(name).columns)


def test_every_family_has_a_kernel() -> None:
    assert set(KERNEL_RESULTS) == {"path_windows", *(family.name for family in FAMILIES)}


def test_codes_are_those_of_the_kernels() -> None:
    assert windows.WINDOW_STATUS == WINDOW_STATUS
    assert levels.EVENT_TYPES == EVENT_TYPES
    assert levels.ROLES == ROLES
    values = {column.name: column.values for column in LABELS.columns}
    assert values["etb_barrier_hit"] == level_barriers.BARRIER_HITS
    assert values["next_event_type"] == level_breaks.NEXT_EVENTS


def test_labels_hold_each_column_once() -> None:
    assert [name for name, count in Counter(LABELS.names).items() if count > 1] == []
    for family in FAMILIES:
        assert {column.name for column in family.table.columns} <= set(LABELS.names)
    assert set(PATH_WINDOWS.names) <= set(LABELS.names)


@pytest.mark.parametrize("checked", TABLES, ids=lambda item: item.name)
def test_columns_say_what_they_are(checked: Table) -> None:
    assert checked.key_names[0] == "instrument_id"
    assert "ts" in checked.key_names
    for column in checked.all_columns:
        assert column.sentence.endswith("."), column.name
        assert (column.type is ColumnType.ENUM) == bool(column.values), column.name
    for column in checked.key:
        assert not column.nullable, column.name
    assert checked.arrow_schema().names == checked.wire_schema().names == list(checked.names)


def test_every_label_is_there() -> None:
    numbers = {column.number for family in FAMILIES for column in family.table.columns}
    assert numbers - {""} == {str(number) for number in range(1, 38)} - {"11"} | {"11.a"}


def test_bounds_of_columns_name_settings() -> None:
    settings = load_settings()
    for column in LABELS.columns:
        if column.bounded_by:
            assert float(settings.value(column.bounded_by)) == column.high


def test_parameters_name_settings() -> None:
    settings = load_settings()
    for family in FAMILIES:
        for name in family.parameters:
            settings.value(name)


def test_generated_pages_are_committed() -> None:
    docs = Path(__file__).parents[2] / "docs"
    for name, text in generated_pages().items():
        assert (docs / name).read_text(encoding="utf-8") == text, f"run `make docs`: {name} is not up to date"


def test_instruments() -> None:
    assert len(DEFAULT_INSTRUMENTS) == len({item.name for item in DEFAULT_INSTRUMENTS}) == 29


def test_ladder() -> None:
    assert [rung.name for rung in ladder("M15", "D")] == ["M15", "H1", "H4", "D"]
    with pytest.raises(CatalogError, match="M1, M5"):
        granularity("h1")
    for rung in GRANULARITIES.values():
        if rung.path:
            assert GRANULARITIES[rung.path].seconds < rung.seconds


def test_unknown_table_lists_the_known() -> None:
    with pytest.raises(CatalogError, match="raw_candles"):
        table("nothing")


def test_public_schema_has_zones_and_names() -> None:
    schema = LABELS.arrow_schema()
    assert schema.field("ts").type == pa.timestamp("s", tz="UTC")
    assert schema.field("window_status").type == pa.string()
