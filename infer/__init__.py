"""Run any model in any runtime in the same way: load, prepare, run, fetch."""
