"""The other side of `from_jax2tf.py`: `python -P -m assay.export.routes.user_jax2tf_script request.json`.

It runs in the tool environment: nothing of ours that needs more than JAX and numpy may be imported here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from assay.export.routes.jax2tf_script import PACKAGES
from assay.export.routes.tf_graphs import write_function
from assay.train.brought.source import built


def main() -> None:
    """Convert one function and write the answer."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    inputs = [(name, dtype, tuple(shape)) for name, dtype, shape in request["inputs"]]
    function = cast("Callable[..., object]", built(Path(request["path"]), request["function"]))
    forward = _flat(function, request)
    transforms = convert(forward, inputs, request["outputs"], Path(request["output"]), request["opset"])
    answer = {"transforms": transforms, "versions": {name: metadata.version(name) for name in PACKAGES}}
    Path(request["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def _flat(function: Callable[..., object], request: Mapping[str, Any]) -> Callable[..., list[object]]:
    """The function of arrays by position, which gives a list of arrays."""
    from assay.train.brought.named.on_jax import by_name  # noqa: PLC0415  only the process that converts loads JAX

    forward = by_name(function, request["names"], request["without"], request["function"])
    return lambda *arrays: list(forward(*arrays).values())


def convert(
    function: Callable[..., list[object]],
    inputs: list[tuple[str, str, tuple[int | None, ...]]],
    names: list[str],
    output: Path,
    opset: int,
) -> tuple[str, ...]:
    """JAX to TensorFlow operators to ONNX; see `assay.export.routes.jax2tf_script.convert` for the settings.

    Args:
        function: of arrays by position to a list of arrays, in the order of `names`.
    """
    from jax.experimental import jax2tf  # noqa: PLC0415  only there in the tool environment

    shapes = [f"({', '.join('batch' if size is None else str(size) for size in shape)})" for _, _, shape in inputs]
    converted = jax2tf.convert(
        function, polymorphic_shapes=shapes, with_gradient=True, native_serialization=False, enable_xla=False
    )
    return write_function(lambda *tensors: dict(zip(names, converted(*tensors), strict=True)), inputs, output, opset)


if __name__ == "__main__":
    main()
