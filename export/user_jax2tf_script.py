"""The other side of `export.from_user_jax2tf`: `python -P -m export.user_jax2tf_script request.json`.

It runs in the tool environment: nothing of ours that needs more than numpy may be imported here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import cast

from assay.user.source import built
from export.jax2tf_script import PACKAGES
from export.tf_graphs import write_function


def main() -> None:
    """Convert one function and write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    inputs = [(name, dtype, tuple(shape)) for name, dtype, shape in request["inputs"]]
    function = cast("Callable[..., object]", built(Path(request["path"]), request["function"]))
    transforms = convert(function, inputs, request["outputs"], Path(request["output"]), request["opset"])
    answer = {"transforms": transforms, "versions": {name: metadata.version(name) for name in PACKAGES}}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def convert(
    function: Callable[..., object],
    inputs: list[tuple[str, str, tuple[int | None, ...]]],
    names: list[str],
    output: Path,
    opset: int,
) -> tuple[str, ...]:
    """JAX to TensorFlow operators to ONNX; see `export.jax2tf_script.convert` for the settings."""
    import jax  # noqa: PLC0415  only the process that converts loads it
    from jax.experimental import jax2tf  # noqa: PLC0415  only there in the tool environment

    def flat(*arrays: jax.Array) -> list[jax.Array]:
        found: list[jax.Array] = jax.tree.leaves(function(*arrays))
        return found

    shapes = [f"({', '.join('batch' if size is None else str(size) for size in shape)})" for _, _, shape in inputs]
    converted = jax2tf.convert(
        flat, polymorphic_shapes=shapes, with_gradient=True, native_serialization=False, enable_xla=False
    )
    return write_function(lambda *tensors: dict(zip(names, converted(*tensors), strict=True)), inputs, output, opset)


if __name__ == "__main__":
    main()
