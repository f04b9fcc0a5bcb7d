"""One training step, one file a framework, and the seam between them and the loop."""
