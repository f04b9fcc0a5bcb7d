"""Runtimes on a GPU that may round fp32 to TF32, one file a framework."""
