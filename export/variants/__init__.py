"""Variants of reduced precision of a good export."""
