"""The forward pass in NumPy, which every installation has: it checks the reference where no second framework is."""

from __future__ import annotations

from pathlib import Path

from assay.export.routes.request import Forward
from assay.spec import ModelSpec
from assay.train.models import on_numpy
from assay.train.weights import load_weights


def forward(spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return the forward pass in a type of floating point, "float64" or "float32".

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
    """
    return on_numpy.load(spec, load_weights(weights_file), dtype)
