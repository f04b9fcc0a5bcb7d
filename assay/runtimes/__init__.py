"""What every runtime is: one file for each family of runtimes, and nothing of a runtime stands anywhere else.

A file here is found by itself (`assay.runtimes.known`) where it has `ENTRIES`; another distribution's are found by the
entry-point group `onnx_assay.runtimes`. Nothing here imports a framework.
"""
