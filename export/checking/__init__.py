"""Checks that an exported file must pass before anybody uses it."""
