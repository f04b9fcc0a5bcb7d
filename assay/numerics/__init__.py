"""Distances between numbers, how large they may be, and what causes them. Pure functions."""
