"""The API: labels, levels and candles over HTTP, from the hot cache, then ClickHouse, then computed."""
