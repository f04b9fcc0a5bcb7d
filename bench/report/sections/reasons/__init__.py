"""Sections on the reasons for the times, and on choosing."""
