"""Whether times may be believed, and what follows from them: cells, ratios, verdicts. Pure functions."""
