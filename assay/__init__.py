"""Assay: times native and ONNX inference side by side, and proves that the numbers agree.

    import assay
    found = assay.compare(model, {"features": features})
    found.cells, found.passed, found.report

The modules in this folder itself are shared by all the others. They import no framework, and none of `train`, `export`,
`infer` and `bench`, which are links to the folders beside it. The calls are looked up when they are first named, so
that `import assay` stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assay.bench.python.calls import audit, compare, read

__version__ = "0.1.0"
__all__ = ["__version__", "audit", "compare", "read"]
CALLS = "assay.bench.python.calls"


def __getattr__(name: str) -> object:
    if name in {"audit", "compare", "read"}:
        return getattr(importlib.import_module(CALLS), name)
    raise AttributeError(f"module 'assay' has no attribute '{name}'")
