"""Single operators of a runtime, to see what they do with NaN."""
