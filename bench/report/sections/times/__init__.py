"""Sections on times, and on what they cost and are worth."""
