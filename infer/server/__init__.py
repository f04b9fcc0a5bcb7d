"""The Triton server on this machine, and the filter in front of it."""
