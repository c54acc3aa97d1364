"""What Dagster sees: partitions, assets, checks, resources. Bodies are thin: load, compute, upsert, return metadata."""
