"""A process made ready to be forked: everything imported, one thread, and memory that forks do not write to."""

from __future__ import annotations

import contextlib
import gc
import importlib

from assay.runtimes import openvino

FOR_CHECKS = (
    "onnxruntime",
    *openvino.FAMILY.packages,
    "onnx.reference",
    "onnx.version_converter",
    "onnx.inliner",
)
"""Modules that the check of a file imports."""


def imported(*modules: str) -> None:
    """Import modules; one that is not installed is left out, and its user reports it."""
    for name in modules:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def frozen() -> None:
    """Keep the collector of garbage away from all that is there: it would write to every page, and each fork would have
    a copy of its own.
    """
    gc.collect()
    gc.freeze()
