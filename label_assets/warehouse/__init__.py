"""ClickHouse: schema from the catalogue, one way to write, statements in files, and the embedded servers."""
