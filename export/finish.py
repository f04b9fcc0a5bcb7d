"""What every exported file gets, whatever route wrote it: the opset asked for, a named batch, metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from assay.export.graph.inspect import read_model
from assay.export.graph.saved import save_model

if TYPE_CHECKING:
    import onnx

BATCH = "batch"


def finish(path: Path, opset: int, metadata: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
    """Complete a file in place.

    Args:
        opset: the operator set asked for; where the route wrote another, a conversion is tried.
        metadata: for `metadata_props`.

    Returns:
        The operator set the file has now, and what was done or could not be done about it, in words.

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
    return opset_of(model), notes


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operator set."""
    return next((int(e.version) for e in model.opset_import if e.domain in {"", "ai.onnx"}), 0)


def _convert_opset(model: onnx.ModelProto, opset: int) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """The model at the operator set asked for, or as it was where onnx cannot convert it."""
    from onnx import version_converter  # noqa: PLC0415

    written = opset_of(model)
    if written == opset:
        return model, ()
    try:
        converted = version_converter.convert_version(model, opset)
    except Exception as error:  # noqa: BLE001  the C++ converter raises RuntimeError and others; the file stays
        reason = " ".join(str(error).split())[:200]
        return model, (f"stays at opset {written}: conversion to {opset} failed ({reason})",)
    return converted, (f"converted from opset {written} to {opset} by onnx.version_converter",)


def _name_batch(value: onnx.ValueInfoProto) -> None:
    """Call the first dimension "batch" where it is dynamic: tf2onnx gives input and output unrelated names."""
    dimensions = value.type.tensor_type.shape.dim
    if dimensions and not dimensions[0].HasField("dim_value"):
        dimensions[0].dim_param = BATCH
