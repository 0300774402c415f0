"""Measurements: each prints one JSON line and asserts nothing."""
