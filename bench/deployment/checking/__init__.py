"""Checks of whether a deployment folder is what was written, and by whom."""
