"""Where candles come from: one file per format, one result for all of them (`sources.batch`)."""
