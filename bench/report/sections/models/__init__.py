"""Sections on the models that were trained and exported, and on whether they agree."""
