"""Ad-hoc questions to the warehouse: what `label-assets sql` and `label-assets schema plan` print.

Belongs here: reading on behalf of a person. Does not belong here: statements of the product (`warehouse/sql`).
"""

from clickhouse_connect.driver.exceptions import ClickHouseError

from label_assets.catalog.index import TABLES
from label_assets.errors import WarehouseError
from label_assets.settings import Settings
from label_assets.warehouse import migration
from label_assets.warehouse.client import Warehouse, address, connect, server_message

FORMATS = {"table": "PrettyCompactMonoBlock", "csv": "CSVWithNames", "json": "JSONEachRow"}

READ_ONLY = {"readonly": 2, "output_format_pretty_color": 0, "output_format_json_array_of_rows": 1}


def run_query(settings: Settings, sql: str, output: str = "table") -> str:
    """Run one statement that only reads and return what it gives as text.

    Args:
        settings: The settings.
        sql: The statement; the database of the settings is the default one.
        output: `table`, `csv` or `json`.

    Raises:
        WarehouseError: for an unknown format, a statement that fails or one that writes.
    """
    if output not in FORMATS:
        raise WarehouseError(
            asked=f"format {output!r}",
            found="no such format",
            allowed=", ".join(FORMATS),
            action="use one of these",
        )
    warehouse = Warehouse(settings)
    try:
        answer = warehouse.client.raw_query(sql.strip().rstrip(";"), fmt=FORMATS[output], settings=READ_ONLY)
    except ClickHouseError as error:
        raise WarehouseError(
            asked=f"statement {sql.strip()!r}",
            found=server_message(error),
            allowed=f"a statement that reads; tables: {', '.join(table.name for table in TABLES)}",
            action="mend the statement; DESCRIBE TABLE name shows columns and what they say",
        ) from error
    finally:
        warehouse.close()
    return answer.decode("utf-8")


def planned_statements(settings: Settings) -> str:
    """Statements that would bring the database to the catalogue, and what cannot be mended that way."""
    client = connect(address(settings), settings.database)
    try:
        plan = migration.plan_migration(client)
    finally:
        client.close()
    lines = [f"{sql};\n" for sql in plan.statements] + [f"-- refused: {line}" for line in plan.refused]
    return "\n".join(lines) or "-- nothing to do: the database holds the schema of the catalogue"
