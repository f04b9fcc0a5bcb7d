"""The graph that a server gets, and checks of whether it keeps its contract."""
