"""Telephone calls: one `Call` for every way they reach us, and the providers' media streams."""
