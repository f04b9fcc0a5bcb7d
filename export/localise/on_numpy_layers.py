"""The steps of one of our models, by canonical layer, with which a wrong file is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assay.export.localise.source import ComputationStep, ExactComputation
from assay.export.routes.request import Images
from assay.spec import ModelSpec
from assay.train.models import on_numpy
from assay.train.models.on_numpy import Array
from assay.train.weights import load_weights


def follow(spec: ModelSpec, weights_file: Path, images: Images) -> ExactComputation:
    """Record every operation of the forward pass in float64, in order.

    Each value is named by its canonical layer (`assay.train.architectures`) and the operation,
    "stage1.unit1.norm: batch_norm".

    Args:
        images: normalised float32 (images, height, width, channels).
    """
    start = images.astype(np.float64)
    values: dict[str, np.ndarray] = {"image": start}
    names = {id(start): "image"}
    steps: list[ComputationStep] = []

    def told(layer: str, text: str, inputs: tuple[Array, ...], found: Array) -> None:
        name = f"{layer or 'model'}: {text.partition('(')[0]}"
        name = name if name not in values else f"{name} {len(steps)}"
        steps.append(ComputationStep(text, tuple(names[id(one)] for one in inputs), (name,), layer))
        values[name] = found  # which also keeps its identity from being given to another array
        names[id(found)] = name

    on_numpy.load(spec, load_weights(weights_file), told=told)(start)
    return ExactComputation(values, frozenset(), tuple(steps))
