"""Explanations of a time: layers, factors, the roofline. Pure functions."""
