"""The runtime that does nothing: its time is the instrument's own."""

from __future__ import annotations

import numpy as np

from assay.infer.observing.observed import Observed
from assay.infer.runtime import Images, Logits, ModelFiles, signature_of
from assay.spec import Settings


class NullSession:
    """Passes the images through and answers zeros."""

    precision = "fp32"

    def __init__(self, model: ModelFiles) -> None:
        self.signature = signature_of(model, "NHWC")
        self.facts: dict[str, str] = {}

    def prepare(self, images: Images) -> Images:
        return images

    def run(self, native: Images) -> Images:
        return native

    def fetch(self, native: Images) -> Logits:
        return np.zeros((len(native), self.signature.classes), np.float32)

    def observe(self, native: Images) -> Observed:
        return Observed("cpu", "fp32")

    def close(self) -> None:
        """Do nothing: nothing is held."""


def load(model: ModelFiles, settings: Settings) -> NullSession:
    del settings
    return NullSession(model)
