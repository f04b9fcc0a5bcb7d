"""The finishing of every exported file, whatever route wrote it: the opset asked for, a named batch, metadata,
names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assay.errors import ExportFailedError
from assay.export.graph.inspect import read_model
from assay.export.graph.saved import save_model
from assay.export.routes.request import Argument, ExportRequest, plain_names
from assay.numerics.values import is_whole
from assay.train.brought.model import Tensor

if TYPE_CHECKING:
    import onnx

BATCH = "batch"


def finish(path: Path, opset: int, metadata: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
    """Complete a file in place.

    Args:
        opset: the operator set asked for; where the route wrote another, a conversion is tried.
        metadata: content of `metadata_props`.

    Returns:
        The operator set that the file now has, and what was done or could not be done about it, in words.

    Raises:
        ArtifactError: the route did not write an ONNX file.
    """
    import onnx  # noqa: PLC0415

    model = read_model(path)
    model, notes = _convert_opset(model, opset)
    for value in (*model.graph.input, *model.graph.output):
        _name_batch(value)
    written = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**written, **metadata})
    save_model(model, path)
    return _opset_of(model), notes


def _opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's own operator set."""
    return next((int(e.version) for e in model.opset_import if e.domain in {"", "ai.onnx"}), 0)


def _convert_opset(model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """Return the model at the operator set asked for, or as it was where onnx cannot convert it."""
    from onnx import version_converter  # noqa: PLC0415

    written = _opset_of(model)
    if written == opset:
        return model, ()
    try:
        converted = version_converter.convert_version(model, opset)
    except Exception as error:  # noqa: BLE001  the C++ converter raises RuntimeError and others; the file stays
        reason = " ".join(str(error).split())[:200]
        return model, (f"stays at opset {written}: conversion to {opset} failed ({reason})",)
    return converted, (f"converted from opset {written} to {opset} by onnx.version_converter",)


def _name_batch(value: onnx.ValueInfoProto) -> None:
    """Name the first dimension "batch" where it is dynamic: tf2onnx gives input and output unrelated names."""
    dimensions = value.type.tensor_type.shape.dim
    if dimensions and not dimensions[0].HasField("dim_value"):
        dimensions[0].dim_param = BATCH


def rename(path: Path, request: ExportRequest) -> None:
    """Give the inputs and outputs of a file the model's names, and restore inputs that a route dropped because the
    model does not use them, since they are still inputs of the model.

    Values with the names of the route's request are recognised by them, others by their places. A value inside the
    graph that already has one of the model's names gets another.

    Raises:
        ExportFailedError: the file has another number of them.
    """
    model, proto = request.model, read_model(path)
    graph = proto.graph
    fixed = {tensor.name for tensor in graph.initializer}
    dropped = _add_dropped(graph, fixed, request.inputs())
    pairs: dict[str, str] = {}
    for kind, values, tensors in (
        ("input", [value for value in graph.input if value.name not in fixed], model.inputs),
        ("output", list(graph.output), model.outputs),
    ):
        found, wanted = [value.name for value in values], [one.name for one in tensors]
        if len(found) != len(wanted):
            raise ExportFailedError(
                f"The file has different {kind}s from the model", expected=", ".join(wanted), found=", ".join(found)
            )
        plain = plain_names(kind, len(wanted))
        if set(found) != set(wanted):
            pairs |= dict(zip(plain if set(found) == set(plain) else found, wanted, strict=True))
    if pairs:
        taken = set(pairs.values()) - pairs.keys()
        _rename_values(graph, {name: f"{name}_inside" for name in taken} | pairs)
    if _take_whole_numbers(graph, model.inputs) or pairs or dropped:
        save_model(proto, path)


def _take_whole_numbers(graph: onnx.GraphProto, inputs: Sequence[Tensor]) -> bool:
    """Cast inputs to the types that the model takes; return whether any were cast. JAX without 64-bit types takes int64
    and computes in int32, and its file would take int32 alone.
    """
    import onnx  # noqa: PLC0415

    casts, values = [], {value.name: value for value in graph.input}
    for one in inputs:
        value, wanted = values[one.name], onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype))
        written = value.type.tensor_type.elem_type
        if written == wanted or not is_whole(one.dtype):
            continue
        if not is_whole(onnx.helper.tensor_dtype_to_np_dtype(written)):
            continue
        inside, outside = f"{value.name}_as_computed", value.name
        _rename_values(graph, {outside: inside})
        value.name, value.type.tensor_type.elem_type = outside, wanted
        casts.append(onnx.helper.make_node("Cast", [outside], [inside], to=written))
    nodes = list(graph.node)
    if casts:
        del graph.node[:]
        graph.node.extend([*casts, *nodes])
    return bool(casts)


def _add_dropped(graph: onnx.GraphProto, fixed: set[str], inputs: Sequence[Argument]) -> bool:
    """Add missing inputs in their places; return whether any were added. Only for a file whose inputs have the route's
    names.
    """
    import onnx  # noqa: PLC0415

    found = {value.name: value for value in graph.input if value.name not in fixed}
    if not set(found) < {one.name for one in inputs}:
        return False
    values = [value for value in graph.input if value.name in fixed]
    for one in inputs:
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype))
        shape = [BATCH if size is None else size for size in one.shape]
        values.append(found.get(one.name) or onnx.helper.make_tensor_value_info(one.name, kind, shape))
    del graph.input[:]
    graph.input.extend(values)
    return True


def _rename_values(graph: onnx.GraphProto, pairs: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = pairs.get(value.name, value.name)
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = pairs.get(name, name)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename_values(inner, pairs)
