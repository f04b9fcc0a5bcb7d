"""Weights to ONNX: the routes, the check that every file must pass, and what a wrong one is followed to."""
