"""The highest rates of a machine, measured."""
