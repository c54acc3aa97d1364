"""Whether the service keeps what it promises: thresholds of the settings against the metrics of its processes."""
