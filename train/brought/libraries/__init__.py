"""Models that a library makes by their names, each with the shape of what its own preprocessing gives it."""
