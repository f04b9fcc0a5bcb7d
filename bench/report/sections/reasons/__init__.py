"""Sections on why the times are what they are, and what to choose."""
