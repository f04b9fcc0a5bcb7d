"""The atlas: single operators, from test suites that others wrote, through every route and runtime that applies.

Nothing here is timed. Each operator is a small model that goes the way of every model that a user brings: float64,
derived tolerances, export, checks at every optimisation level, and the node at which a wrong file goes wrong.
"""
