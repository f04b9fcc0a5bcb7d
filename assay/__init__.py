"""Assay: times native and ONNX inference side by side, and proves that the numbers agree.

What lies in this folder itself is shared by all and imports none of `train`, `export`, `infer` and `bench`, which are
links to the folders beside it, and no framework.
"""

__version__ = "0.1.0"
