"""The properties of a user's model, found by loading and running it."""
