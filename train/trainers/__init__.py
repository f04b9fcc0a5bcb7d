"""One training step, with one file for each framework, and the seam between them and the loop."""
