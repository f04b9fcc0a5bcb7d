"""Keras' layers, with arguments and inputs that are drawn; see `keras_arguments`. An operator is a layer's class."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Mapping

import keras
import numpy as np

from assay.bench.atlas.ready import FOR_CHECKS, frozen, imported
from assay.bench.atlas.suites.keras_arguments import MOST_DRAWN, Arguments, LayerInputs, drawn_arguments, inputs_for
from assay.bench.atlas.suites.suite import Sample, spread
from assay.errors import InputError

LATER = ("tf2onnx", "assay.train.brought.loaders.on_tf", "assay.train.brought.double.on_tf", *FOR_CHECKS)
"""Modules that an export and the check of a file import."""
MOST_OF_IMAGES, MOST_WHOLE = 255.0, 6
"""The largest number of a picture, and one more than the largest whole number."""
MODEL = '''"""{name} of Keras' layers. It needs keras and tensorflow, and nothing else."""

import keras
import numpy as np


def build():
    {names} = [keras.Input(shape, dtype="{dtype}", name=name) for name, shape in {shapes}.items()]
    layer = keras.layers.{name}({arguments})
    model = keras.Model([{names}], {call})
    numbers = np.random.RandomState(0)
    for one in model.weights:
        if "float" in str(one.dtype):
            one.assign(numbers.uniform(0.1, 1.0, one.shape))
    return model
'''


@functools.cache
def prepare() -> None:
    """See `assay.bench.atlas.suites.suite.Reader`. TensorFlow itself begins in each fork: it has threads from then
    on.
    """
    imported(*LATER)
    frozen()


def operators(dtype: str) -> list[str]:
    """See `assay.bench.atlas.suites.suite.Reader`; a layer has its own data types."""
    del dtype
    return sorted(_layers())


def samples(operator: str, dtype: str, most: int) -> Iterator[Sample]:
    """See `assay.bench.atlas.suites.suite.SampleReader`; those that the layer takes, out of all that are drawn."""
    layer = _layers().get(operator)
    if layer is None:
        raise InputError("Keras has no such layer", found=operator)
    parameters = {name: one for name, one in inspect.signature(layer).parameters.items() if name != "kwargs"}
    found: list[Sample] = []
    taken: list[LayerInputs] = []
    for place, arguments in enumerate(drawn_arguments(parameters, operator)):
        for inputs in taken[place % len(taken) :] + taken[: place % len(taken)] if taken else inputs_for(parameters):
            sample = _sample(operator, dtype, place, arguments, inputs, pictures="value_range" in parameters)
            if _is_taken(sample):
                found.append(sample)
                break
        if found and not taken:
            taken = [one for one in inputs_for(parameters) if _is_taken(_sample(operator, dtype, 0, arguments, one))]
        if len(found) == MOST_DRAWN:
            break
    yield from spread(found, most)


@functools.cache
def _layers() -> Mapping[str, type[keras.layers.Layer]]:
    """Return every class of a layer once, under its own name where Keras publishes it under that."""
    public = {name: one for name, one in vars(keras.layers).items() if inspect.isclass(one)}
    layers = {name: one for name, one in public.items() if issubclass(one, keras.layers.Layer)}
    return {name: one for name, one in layers.items() if name == one.__name__ or one.__name__ not in layers}


def _sample(
    operator: str, dtype: str, place: int, arguments: Arguments, inputs: LayerInputs, *, pictures: bool = False
) -> Sample:
    draw = np.random.default_rng(place)
    arrays = [
        draw.integers(0, MOST_WHOLE, shape).astype(np.int32)
        if inputs.whole
        else (draw.uniform(0, MOST_OF_IMAGES, shape) if pictures else draw.standard_normal(shape)).astype(dtype)
        for shape in inputs.shapes
    ]
    text = MODEL.format(
        name=operator,
        names="".join(f"x{number}, " for number in range(len(arrays))).strip(),
        dtype=arrays[0].dtype.name,
        shapes={f"x{number}": shape[1:] for number, shape in enumerate(inputs.shapes)},
        arguments=", ".join(f"{name}={one}" for name, one in arguments.items()),
        call=inputs.call,
    )
    return Sample(place, {"model.py": text.encode()}, {f"x{number}": one for number, one in enumerate(arrays)})


def _is_taken(sample: Sample) -> bool:
    """Return whether the layer can be made with these arguments and called on these inputs."""
    namespace: dict[str, object] = {}
    try:
        exec(sample.files["model.py"], namespace)  # noqa: S102  the text is ours
        build = namespace["build"]
        assert callable(build)
        outputs = build()(list(sample.inputs.values()), training=False)
    except Exception:  # noqa: BLE001  Keras raises anything for what a layer does not take
        return False
    return outputs is not None
