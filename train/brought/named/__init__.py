"""A user's model called by the names of its inputs, one file a framework."""
