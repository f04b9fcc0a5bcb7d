"""Sections on what was trained and exported, and whether it agrees."""
