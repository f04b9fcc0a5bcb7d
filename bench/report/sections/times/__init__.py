"""Sections on times, costs and value."""
