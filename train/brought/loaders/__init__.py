"""Loading a user's model, one file a framework."""
