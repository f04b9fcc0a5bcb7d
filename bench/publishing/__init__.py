"""Findings of a run for other tools: experiment trackers and model cards. Nothing is sent unasked."""
