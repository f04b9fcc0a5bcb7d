"""The part of classification that needs a framework: images at the boundary between two classes."""
