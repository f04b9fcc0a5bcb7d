"""A user's model called by the names of its inputs, with one file for each framework."""
