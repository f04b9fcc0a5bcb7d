"""The graph that a server gets, and whether it keeps its contract."""
