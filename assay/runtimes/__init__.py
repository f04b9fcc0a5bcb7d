"""The description of every runtime: one file for each family, and no other place names a runtime.

Files here that have `ENTRIES` are found automatically (`assay.runtimes.known`); those of other distributions are found
by the entry-point group `onnx_assay.runtimes`. Nothing here imports a framework.
"""
