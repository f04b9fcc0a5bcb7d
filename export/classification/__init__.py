"""What classification asks of a framework: images at the boundary between two classes."""
