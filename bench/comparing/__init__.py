"""Two runs, or two environments, compared."""
