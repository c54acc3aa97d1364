"""Tests of the benchmark suite: that it measures and tells all of it. Never how fast anything is."""
