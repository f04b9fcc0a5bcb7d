"""PyTorch's own forward pass: in float64 the reference, in float32 the native run of exports from PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from assay.errors import InputError
from assay.export.routes.request import Forward, Images, ShownForward
from assay.spec import ModelSpec
from assay.train.brought.narrow.on_torch import narrow_arithmetic
from assay.train.models import on_torch
from assay.train.weights import load_weights

DTYPES = ("float32", "float64")


def forward(spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return the forward pass in "float32" or "float64".

    Raises:
        ArtifactError: the weights cannot be read or do not fit.
        InputError: the dtype is another.
    """
    if dtype not in DTYPES:
        raise InputError("Unknown dtype", expected=" or ".join(DTYPES), found=dtype)
    # At 224 pixels channels last is a quarter faster in float32, and a quarter slower in float64.
    layout = torch.channels_last if dtype == "float32" else torch.contiguous_format
    model = on_torch.load(spec, load_weights(weights_file), dtype).to(memory_format=layout)

    def run(images: Images) -> NDArray[np.floating]:
        channels_first = (
            torch.from_numpy(np.ascontiguousarray(images, dtype)).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        )
        with torch.inference_mode():
            logits: NDArray[np.floating] = model(channels_first).numpy()
        return logits

    def operators(images: Images) -> tuple[str, ...]:
        with narrow_arithmetic() as seen:
            run(images)
        return tuple(sorted(seen.kernels))

    return ShownForward(run, operators) if dtype == "float32" else run
