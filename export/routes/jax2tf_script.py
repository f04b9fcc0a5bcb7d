"""The part of the jax2tf route that runs in its tool environment, with JAX 0.6.2.

    python -P -m assay.export.routes.jax2tf_script REQUEST.json
    python -P -m assay.export.routes.jax2tf_script --serve

The second reads paths of requests, one a line, and answers each with the path, a tab and the status of its conversion,
whose words are in REQUEST.log.

The request has "model", "inputs", "outputs", "output", "opset" and "answer", the file for the answer: "transforms" and
"versions". Nothing of ours that needs more than JAX, numpy and safetensors may be imported here.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from assay.boxed.platform import allow_memory, allow_processor, forked, status_of
from assay.export.routes.tf_graphs import write_function
from assay.spec import ModelSpec
from assay.train.brought.source import built
from assay.train.weights import load_weights

IMPORTED = ("flax.nnx", "jax.experimental.jax2tf", "tensorflow", "tf2onnx")
MOST_SECONDS, MOST_BYTES = 60.0, 4 << 30
"""Limits of a conversion in a fork: processor time, and addresses beyond those that it begins with."""
PACKAGES = ("jax", "flax", "tensorflow-cpu", "tf2onnx", "onnx")
Forward = Callable[..., list[object]]
"""A function from arrays by position to arrays in the order of the outputs."""


def main() -> None:
    """Convert what the command line or the lines of standard input ask for."""
    if sys.argv[1] == "--serve":
        serve()
    else:
        _convert_one(Path(sys.argv[1]))


def serve() -> None:
    """Convert each model that is asked for in a fork of this process, which has imported everything and starts no
    thread: neither JAX nor TensorFlow computes anything before the fork.
    """
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        child = forked()
        if not child:
            _convert_and_end(path)
        os.write(1, f"{path}\t{status_of(child)}\n".encode())


def _convert_and_end(path: Path) -> None:
    """Do one conversion in a fork, with its words in a file."""
    status = 1
    try:
        words = os.open(path.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(words, 1)
        os.dup2(words, 2)
        allow_processor(MOST_SECONDS)
        allow_memory(MOST_BYTES)
        _convert_one(path)
        status = 0
    except BaseException:  # noqa: BLE001  the fork must not go on as this process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _convert_one(path: Path) -> None:
    """Convert one model and write the answer."""
    request = json.loads(path.read_text(encoding="utf-8"))
    model = request["model"]
    forward = _of_weights(model) if "spec" in model else _of_file(model)
    inputs = [(name, dtype, tuple(shape)) for name, dtype, shape in request["inputs"]]
    shapes = [f"({', '.join(map(str, shape))})" for shape in request["shapes"]]
    transforms = convert(forward, inputs, shapes, request["outputs"], Path(request["output"]), request["opset"])
    answer = {"transforms": transforms, "versions": {name: metadata.version(name) for name in PACKAGES}}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def _of_weights(model: Mapping[str, Any]) -> Forward:
    from assay.train.models import on_jax  # noqa: PLC0415  only the process that converts loads JAX

    loaded = on_jax.load(ModelSpec(**model["spec"]), load_weights(Path(model["weights"])))
    return lambda image: [loaded(image)]


def _of_file(model: Mapping[str, Any]) -> Forward:
    from assay.train.brought.named.on_jax import by_name  # noqa: PLC0415  only the process that converts loads JAX

    function = built(Path(model["path"]), model["function"], model["module"])
    assert callable(function), "it was called while the model was inspected"
    forward = by_name(function, model["inputs"], model["without"], model["function"], model["narrow"])
    return lambda *arrays: list(forward(*arrays).values())


def convert(
    forward: Forward,
    inputs: Sequence[tuple[str, str, tuple[int | None, ...]]],
    shapes: Sequence[str],
    names: Sequence[str],
    output: Path,
    opset: int,
) -> tuple[str, ...]:
    """Convert from JAX to TensorFlow operators to ONNX.

    Without native serialization and XLA jax2tf writes plain TensorFlow operators; without gradients it would
    write PreventGradient, which ONNX has no name for.

    Args:
        inputs: name, type and shape of each; None is a dimension of any size.
        shapes: shape of each as jax2tf reads it, "(batch, tokens, 8)"; a word is a dimension of any size.
        names: names of the outputs.
    """
    from jax.experimental import jax2tf  # noqa: PLC0415  only there in the tool environment

    converted = jax2tf.convert(
        forward, polymorphic_shapes=list(shapes), with_gradient=True, native_serialization=False, enable_xla=False
    )
    return write_function(lambda *tensors: dict(zip(names, converted(*tensors), strict=True)), inputs, output, opset)


if __name__ == "__main__":
    main()
