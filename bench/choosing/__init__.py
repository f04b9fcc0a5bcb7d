"""The best cell under constraints, and why the others are not chosen. Pure functions."""
