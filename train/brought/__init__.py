"""A model that a user brings: its description, and how it is loaded, called and compared."""
