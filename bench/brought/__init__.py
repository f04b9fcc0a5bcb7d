"""A model of the user's own, from a file to the results of a study: `compare.py` goes through it."""
