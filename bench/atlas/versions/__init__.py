"""Operators judged with packages in other versions: where they run, and what is different there."""
