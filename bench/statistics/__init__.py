"""Samples to estimates with intervals. Pure functions."""
