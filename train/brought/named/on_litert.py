"""The inputs and outputs of a LiteRT file by name: those of its signature, or of its tensors where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ai_edge_litert.interpreter import Interpreter

Details = dict[str, Any]
SERVING = "serving_default_"
"""How TensorFlow's converter begins the name of an input's tensor."""


def named_ends(interpreter: Interpreter) -> tuple[dict[str, Details], dict[str, Details]]:
    """Return the interpreter's inputs and outputs by name, each with its details (`index`, `dtype`, `shape_signature`),
    in the file's order.
    """
    signatures = interpreter.get_signature_list()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(signatures) != 1:
        return _by_tensor(inputs), _by_tensor(outputs)
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    return _in_order(runner.get_input_details(), inputs), _in_order(runner.get_output_details(), outputs)


def _in_order(named: Mapping[str, Details], details: list[Details]) -> dict[str, Details]:
    """Return a signature's tensors in the order of the file. Two of its names may stand for one tensor."""
    places = [int(one["index"]) for one in details]
    found = sorted(named.items(), key=lambda item: places.index(int(item[1]["index"])))
    by_place = {int(one["index"]): one for one in details}
    return {name: by_place[int(one["index"])] for name, one in found}


def _by_tensor(details: list[Details]) -> dict[str, Details]:
    found: dict[str, Details] = {}
    for one in details:
        name = str(one["name"]).removeprefix(SERVING).removesuffix(":0")
        found[name if name and name not in found else f"{name}_{one['index']}"] = one
    return found
