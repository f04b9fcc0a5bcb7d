"""A user's model in float64, with one file for each framework."""
