"""The part of the jax2tf route that runs in its tool environment, with JAX 0.6.2.

    python -P -m assay.export.routes.jax2tf_script REQUEST.json

The request has "spec", "weights", "output", "opset" and "answer", the file for the answer: "transforms" and
"versions". Nothing of ours that needs more than numpy and safetensors may be imported here.
"""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path

from assay.export.routes.tf_graphs import write_onnx
from assay.spec import ModelSpec
from assay.train.weights import load_weights

PACKAGES = ("jax", "flax", "tensorflow-cpu", "tf2onnx", "onnx")


def main() -> None:
    """Convert one model and write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    transforms = convert(
        ModelSpec(**request["spec"]), Path(request["weights"]), Path(request["output"]), request["opset"]
    )
    answer = {"transforms": transforms, "versions": {name: metadata.version(name) for name in PACKAGES}}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def convert(spec: ModelSpec, weights: Path, output: Path, opset: int) -> tuple[str, ...]:
    """Flax to TensorFlow operators to ONNX.

    Without native serialization and XLA jax2tf writes plain TensorFlow operators; without gradients it would
    write PreventGradient, which ONNX has no name for.
    """
    from jax.experimental import jax2tf  # noqa: PLC0415  only there in the tool environment

    from assay.train.models import on_jax  # noqa: PLC0415

    model = on_jax.load(spec, load_weights(weights))
    height, width, channels = spec.image_shape
    function = jax2tf.convert(
        model.__call__,
        polymorphic_shapes=[f"(batch, {height}, {width}, {channels})"],
        with_gradient=True,
        native_serialization=False,
        enable_xla=False,
    )
    return write_onnx(function, spec, output, opset)


if __name__ == "__main__":
    main()
