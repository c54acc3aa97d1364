"""The live engine: finished base candles from Redis streams, labels readable in milliseconds, ClickHouse in batches."""
