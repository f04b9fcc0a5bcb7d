"""Per-operator times from each framework's own profiler: one recorder and one reader for each, one form for all."""
