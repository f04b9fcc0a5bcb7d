"""Models that live in the caller's process, written to disk in the way that their form allows; one file for each
framework.
"""
