"""Runtimes whose speed is known by construction, with which `assay selfcheck` proves the instrument.

They need numpy alone, so that a process starts quickly, and answer zeros. Their kernel is a running sum: each addition
waits for the one before, so its time depends on its length and little else. A planted slowdown is that many more
additions, work of the same kind. The split runtime spends known times, by the clock, first outside and then inside its
kernel, as a framework does around its own.

On a GPU the work is products of matrices, by PyTorch (`assay.infer.gpu.on_torch_ruler`).
"""

from __future__ import annotations

import functools
import time

import numpy as np

from assay.entries import load_function
from assay.infer.observing.observed import Observed
from assay.infer.runtime import Images, Logits, ModelFiles, signature_of
from assay.spec import Settings

ADDITIONS = 8_000
OVERHEAD_NS, KERNEL_NS = 60_000, 140_000


class CalibratedSession:
    """Works for a known time in `run`, and answers zeros."""

    precision = "fp32"

    def __init__(self, model: ModelFiles, additions: int, overhead_ns: int = 0, kernel_ns: int = 0) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts = {"additions": str(additions), "overhead_ns": str(overhead_ns), "kernel_ns": str(kernel_ns)}
        self._terms, self._sums = np.zeros(additions), np.empty(additions)
        self._overhead_ns, self._kernel_ns = overhead_ns, kernel_ns

    def prepare(self, images: Images) -> Images:
        return images

    def run(self, native: Images) -> Images:
        if self._overhead_ns:
            spend(self._overhead_ns)
        if self._kernel_ns:
            spend(self._kernel_ns)
        if self._terms.size:
            np.add.accumulate(self._terms, out=self._sums)
        return native

    def fetch(self, native: Images) -> Logits:
        return np.zeros((len(native), self.signature.classes), np.float32)

    def observe(self, native: Images) -> Observed:
        return Observed("cpu", "fp32")

    def close(self) -> None:
        """Do nothing: nothing is held."""


def spend(nanoseconds: int) -> None:
    """Keep the processor busy for so long by the clock."""
    clock = time.perf_counter_ns
    end = clock() + nanoseconds
    while clock() < end:
        pass


def _slower(percent: int, model: ModelFiles, settings: Settings) -> CalibratedSession:
    if settings.device == "cuda":
        load_on_gpu = load_function("the calibrated runtime of a GPU", "assay.infer.gpu.on_torch_ruler:load", "gpu")
        found: CalibratedSession = load_on_gpu(percent, model, settings)
        return found
    return CalibratedSession(model, ADDITIONS * (100 + percent) // 100)


load = functools.partial(_slower, 0)
load_slower_3 = functools.partial(_slower, 3)
load_slower_10 = functools.partial(_slower, 10)


def load_split(model: ModelFiles, settings: Settings) -> CalibratedSession:
    """Load a runtime with a known overhead, then a known kernel."""
    del settings
    return CalibratedSession(model, 0, OVERHEAD_NS, KERNEL_NS)


def load_skeleton(model: ModelFiles, settings: Settings) -> CalibratedSession:
    """Load the same overhead with the kernel shrunk to nothing."""
    del settings
    return CalibratedSession(model, 0, OVERHEAD_NS)
