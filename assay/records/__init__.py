"""Records that are written to disk: one file for each, what they are built on, and how a stale or wrong one is
found.
"""
