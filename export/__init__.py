"""Weights to ONNX: the routes, the check that every file must pass, and the search for where a wrong file goes
wrong.
"""
