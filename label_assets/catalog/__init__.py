"""What exists: granularities, instruments, tables, families and their columns. Plain data and nothing that acts."""
