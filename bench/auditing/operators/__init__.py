"""Single operators of a runtime, to see how they treat NaN."""
