"""A model that a user brings: what it is, how it is loaded, called and compared."""
