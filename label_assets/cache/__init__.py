"""The hot cache: the newest label rows of every instrument, granularity and horizon, in Redis."""
