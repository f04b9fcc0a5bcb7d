"""Measurements on many machines as one: runs joined, grouped by kind of machine, priced and chosen from."""
