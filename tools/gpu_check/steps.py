"""The steps of a check, by name and in order, and those that make what the others use."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable

import numpy as np

from assay.infer.runtimes.same_for_all import environment_for
from assay.registry import REFERENCES, RUNTIMES
from assay.spec import INPUT_NAME, OUTPUT_NAME
from assay.train.architectures import initial_weights
from tools.gpu_check.card import ceilings, frozen, ramp
from tools.gpu_check.place import MODELS, Found, Place, is_there, noting
from tools.gpu_check.runtimes import runtime

AUDITED = 8
IMPORTS = {"tf": "tensorflow", "litert": "ai_edge_litert"}
"""Import names of libraries, where they differ."""
FIRST = (
    "torch.eager",
    "ort.cuda",
    "jax.jit",
    "ort.cuda.graphs",
    "torch.compile",
    "torch.compile.graphs",
    "tf.function",
    "torch.eager.tf32",
    "ort.cuda.tf32",
    "jax.jit.tf32",
)


def facts(place: Place) -> Found:
    """Return the GPU, and the version and devices that each framework says."""
    probes = {one.library: one.probe for one in RUNTIMES.families if one.probe}
    told: Found = {
        "python": sys.version.split()[0],
        "gpu": place.gpu and f"{place.gpu.name}, driver {place.gpu.driver}",
    }
    told |= {name: os.environ.get(name) for name in environment_for(place.device, os.environ)}
    for library, target in probes.items():
        module, _, function = target.partition(":")
        with noting(told, library):
            told[library] = getattr(importlib.import_module(module), function)()
    return told | {"state": place.state()}


def models(place: Place) -> Found:
    """Write weights, images and an ONNX file of each model, and its numbers in float64 and fp32 on the processor."""
    from assay.train.weights import load_weights, save_weights  # noqa: PLC0415

    told: Found = {}
    for spec in MODELS:
        save_weights(place.weights(spec), initial_weights(spec, 0))
        random = np.random.default_rng(1)
        images = random.normal(size=(AUDITED, *spec.image_shape)).astype(np.float32)
        np.save(place.file(spec, "images.npy"), images)
        installed = [name for name in REFERENCES if is_there(REFERENCES[name].packages or ("numpy",))]
        for kind in ("float64", "float32"):
            forward = REFERENCES[installed[0]].load()(spec, place.weights(spec), kind)
            np.save(place.file(spec, f"{kind}.npy"), np.concatenate([forward(one[None]) for one in images]))
        told[spec.architecture] = {"reference": installed[0]}
        with noting(told, f"{spec.architecture} to ONNX"):
            torch = importlib.import_module("torch")
            network = importlib.import_module("assay.train.models.on_torch").load(
                spec, load_weights(place.weights(spec))
            )
            example = torch.from_numpy(images[:2]).permute(0, 3, 1, 2).contiguous()
            torch.onnx.export(
                network.eval(),
                (example,),
                place.file(spec, "onnx"),
                dynamo=True,
                opset_version=18,
                external_data=False,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                verbose=False,
            )
    return told


STEPS: dict[str, Callable[..., Found]] = {
    "facts": facts,
    "models": models,
    "runtime": runtime,
    "clock ramp": ramp,
    "frozen": frozen,
    "ceilings": ceilings,
}


def steps(device: str) -> list[str]:
    """Return the steps in their order: what is installed of the runtimes of a device, the most telling first."""
    able = [
        name
        for name, one in RUNTIMES.items()
        if device in one.devices
        and not one.ruler
        and not one.maker
        and (is_there(("tensorrt",)) or "tensorrt" not in name)
        and {"weights", "onnx"} & {*one.formats}
        and is_there((IMPORTS.get(one.family.library, one.family.library), *one.needs))
    ]
    ordered = [*(name for name in FIRST if name in able), *(name for name in able if name not in FIRST)]
    runs = [f"runtime {name}" for name in ordered]
    by_torch = [["clock ramp", "frozen"], ["ceilings"]] if is_there(("torch",)) else [[], []]
    return ["facts", "models", *runs[:4], *by_torch[0], *runs[4:8], *by_torch[1], *runs[8:]]
