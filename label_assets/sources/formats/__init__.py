"""How each format is read: one file per format, `raw_rows.RawRows` for all of them."""
