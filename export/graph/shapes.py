"""A graph at one batch size, with the shape of every value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.errors import ArtifactError
from assay.export.graph.inspect import one_line

if TYPE_CHECKING:
    import onnx


def at_batch(model: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Return a copy whose inputs have `batch` as first dimension, with functions inlined and all possible shapes
    inferred.

    Raises:
        ArtifactError: inference fails.
    """
    import onnx  # noqa: PLC0415
    import onnx.inliner  # noqa: PLC0415

    static = onnx.ModelProto()
    static.CopyFrom(model)
    if static.functions:
        static = onnx.inliner.inline_local_functions(static)
    initialisers = {entry.name for entry in static.graph.initializer}
    for entry in static.graph.input:
        if entry.name not in initialisers and entry.type.tensor_type.shape.dim:
            entry.type.tensor_type.shape.dim[0].dim_value = batch
    del static.graph.value_info[:]
    for entry in static.graph.output:
        entry.type.tensor_type.ClearField("shape")
    try:
        found = _inferred(static)
        return found if _all_known(found) else _inferred(_folded(found))
    except Exception as error:  # onnx's exceptions have no common base
        raise ArtifactError(
            f"The shapes of the graph cannot be inferred at batch {batch}", found=one_line(error)
        ) from error


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx  # noqa: PLC0415

    return onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)


def _all_known(model: onnx.ModelProto) -> bool:
    """Return whether every value that a node writes has a complete shape."""
    known = {
        entry.name
        for entry in (*model.graph.value_info, *model.graph.output)
        if all(dim.HasField("dim_value") for dim in entry.type.tensor_type.shape.dim)
    }
    return all(name in known for node in model.graph.node for name in node.output if name)


def _folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compute everything that follows from constants and known shapes. onnx itself follows the arithmetic of shapes
    through few operators, and tf2onnx multiplies dimensions by ReduceProd.
    """
    import onnx_ir  # noqa: PLC0415
    from onnxscript.optimizer import fold_constants  # noqa: PLC0415

    graph = onnx_ir.serde.deserialize_model(model)
    fold_constants(graph, onnx_shape_inference=True)
    return onnx_ir.serde.serialize_model(graph)
