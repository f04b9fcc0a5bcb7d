"""Loading of a user's model, with one file for each framework."""
