"""Comparisons of two runs, or two environments."""
