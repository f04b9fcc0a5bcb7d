"""What a machine can do at most, measured."""
