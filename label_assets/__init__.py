"""Forward-looking market labels as a Dagster asset graph over ClickHouse."""
