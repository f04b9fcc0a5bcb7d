"""Metrics that a user gives: a function of outputs and labels, of their own or of a library, by name."""
