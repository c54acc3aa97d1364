"""Rows to arrays, arrays through kernels, arrays to rows: pure functions that the batch and the live engine share."""
