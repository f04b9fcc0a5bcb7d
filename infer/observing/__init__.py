"""Observation of the device and precision that a session computed in, with one file for each framework."""
