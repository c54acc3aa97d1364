"""The wide table: path windows and families side by side.

Belongs here: the join. Does not belong here: values (`kernels`), what the columns are (`catalog.families`).
"""

from collections.abc import Mapping

import pyarrow as pa

from label_assets.catalog.families import FAMILIES, LABELS
from label_assets.catalog.tables import PATH_WINDOWS
from label_assets.errors import WarehouseError
from label_assets.warehouse.client import Warehouse
from label_assets.warehouse.upsert import Scope


def label_rows(warehouse: Warehouse, scope: Scope, label_version: str, now_ts: int) -> pa.Table:
    """Rows of `labels` of a scope, joined from the tables of path windows and of every family.

    Args:
        warehouse: Where they are.
        scope: Instrument and range of time.
        label_version: Version to write into each row.
        now_ts: Time of writing [epoch s].

    Returns:
        Rows in the wire schema, one for each path window.

    Raises:
        WarehouseError: if a family has other rows than path_windows, with what to materialize.
    """
    rows = warehouse.read_all_written([PATH_WINDOWS, *(family.table for family in FAMILIES)], scope)
    families = {family.name: rows[family.table.name] for family in FAMILIES}
    return joined_rows(scope.instrument_id, rows[PATH_WINDOWS.name], families, label_version, now_ts)


def joined_rows(
    instrument_id: str, windows: pa.Table, families: Mapping[str, pa.Table], label_version: str, now_ts: int
) -> pa.Table:
    """Rows of `labels` from path windows and the rows of every family with the same keys in the same order.

    Args:
        instrument_id: The instrument.
        windows: Rows of `path_windows`, in the wire schema.
        families: Rows of each family by its name, in the wire schema.
        label_version: Version to write into each row.
        now_ts: Time of writing [epoch s].

    Returns:
        Rows in the wire schema, in the order of the windows.

    Raises:
        WarehouseError: as `label_rows`.
    """
    columns = {name: windows[name] for name in PATH_WINDOWS.names}
    keys = windows.select(PATH_WINDOWS.key_names)
    for family in FAMILIES:
        rows = families[family.name]
        if not rows.select(family.table.key_names).equals(keys):
            raise WarehouseError(
                asked=f"labels of {instrument_id}, one row for each of {windows.num_rows} path windows",
                found=f"{rows.num_rows} rows of {family.name}, or other keys",
                allowed="the same keys in path_windows and in every family",
                action=f"materialize path_windows and {family.name} for these partitions, then labels again",
            )
        columns |= {column.name: rows[column.name] for column in family.table.columns}
    schema = LABELS.wire_schema()
    columns["label_version"] = pa.repeat(pa.scalar(label_version), windows.num_rows)
    columns["computed_at"] = pa.repeat(pa.scalar(now_ts, schema.field("computed_at").type), windows.num_rows)
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
