"""Run any model in any runtime, one way: load, prepare, run, fetch."""
