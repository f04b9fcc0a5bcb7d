"""Model files from strangers, checked before anything in them is loaded."""
