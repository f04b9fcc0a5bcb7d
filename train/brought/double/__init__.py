"""A user's model in float64, one file a framework."""
