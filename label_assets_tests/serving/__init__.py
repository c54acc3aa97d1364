"""The API on real servers."""
