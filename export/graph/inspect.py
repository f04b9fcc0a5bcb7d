"""The content of an ONNX file, and its graph after ONNX Runtime's optimisation.

Files are opened in a process of their own (`inspect_file`): the conductor imports neither onnx nor onnxruntime,
and a file that brings their native code down costs only that process.
"""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from assay.boxed.boxing import Box
from assay.errors import ArtifactError, WorkerError
from assay.files.mistakes import mistake_in
from assay.foreign import cleaned, said_by, shortened
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.steps import Limit, load_seconds, size_of, step
from assay.texts import printable

if TYPE_CHECKING:
    import onnx
    from google.protobuf.message import Message as ProtobufMessage

STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
REMEDY = "Export it again; `assay export` writes files that pass every check"


class TensorInfo(Record):
    """An input or output; a dimension is a number, a name where it is dynamic, or "?" if unknown."""

    name: str
    type: str
    shape: tuple[int | str, ...]


class Optimised(Record):
    """The graph after ONNX Runtime's optimisation at its highest level, on this machine's processor.

    Attributes:
        fused: counts of operators outside the ONNX standard, by "domain:type".
    """

    nodes: int
    operators: dict[str, int]
    transposes: int
    fused: dict[str, int]


class Inspection(Record):
    """The content of an ONNX file.

    Attributes:
        file_bytes: size, including external data.
        opsets: operator set version by domain; "" is ONNX itself.
        producer: the tool that wrote it, with its version.
        metadata: the file's own metadata properties.
        parameters: count of numbers that a network learned, in whatever type they are stored.
        operators: counts by type, the most frequent first.
        transposes: number of Transpose nodes, each of which copies a tensor.
        optimised: the optimised graph; None where ONNX Runtime refuses the file, and `refusal` says why.
    """

    file_bytes: int
    opsets: dict[str, int]
    producer: str
    metadata: dict[str, str]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    parameters: int
    nodes: int
    operators: dict[str, int]
    transposes: int
    optimised: Optimised | None
    refusal: str = ""


class InspectionRequest(Record):
    """The ONNX file to inspect."""

    path: Path


INSPECT = Job("assay.export.graph.inspect", "inspect", InspectionRequest, Inspection)


def inspect_file(path: Path, *, trusted: bool = False, host: Starter = HERE) -> Inspection:
    """Inspect an ONNX file in a process of its own.

    Args:
        trusted: whether to inspect it outside a box; see `assay.boxed.boxing.Box`.

    Raises:
        ArtifactError: it is missing, damaged, not ONNX, or ONNX Runtime refuses or does not survive it.
        NotInstalledError: onnx or onnxruntime is missing.
    """
    with tempfile.TemporaryDirectory(prefix="assay-inspect-") as folder:
        try:
            return run_job(
                INSPECT,
                InspectionRequest(path=path),
                Path(folder) / "log",
                limit_seconds=Limit(load_seconds(size_of(path)), f"Reading {path.name}"),
                box=Box(trusted=trusted),
                host=host,
            )
        except WorkerError as error:
            raise ArtifactError(f"{path} cannot be inspected", found=str(error), remedy=REMEDY) from error


def read_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file with its external data, its nodes in the order in which they can be computed.

    Raises:
        ArtifactError: it is missing, truncated, not ONNX, its external data is missing or lies elsewhere, or it
            declares more than memory holds.
    """
    import onnx  # noqa: PLC0415  only the process that opens files loads it

    from assay.export.graph.on_onnx_order import put_in_order  # noqa: PLC0415
    from assay.export.graph.on_onnx_sizes import check_declared  # noqa: PLC0415

    if not path.is_file():
        raise ArtifactError(f"There is no ONNX file {path}", found="a folder" if path.is_dir() else "nothing")
    try:
        model = onnx.load(path, format="protobuf")
    except Exception as error:  # the exceptions of onnx and protobuf have no common base
        raise ArtifactError(
            f"{path} cannot be read",
            expected="a complete ONNX file, its external data beside it",
            found=shortened(cleaned(mistake_in(error))),
            remedy=REMEDY,
        ) from error
    if not model.ir_version or not model.graph.node:
        raise ArtifactError(f"{path} is not an ONNX model", expected="a graph", found="none", remedy=REMEDY)
    wrong = next(_undecodable(model), None)
    if wrong is not None:
        raise ArtifactError(
            f"{path} has a name that is not text", expected="UTF-8, as ONNX requires", found=ascii(wrong[:100])
        )
    check_declared(model, path)
    put_in_order(model.graph)
    return model


def _undecodable(message: ProtobufMessage) -> Iterator[bytes]:
    """Iterate over strings of a protobuf message that are not UTF-8, which its Python reader returns as bytes."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            strings = (value,) if isinstance(value, str | bytes) else value
            yield from (one for one in strings if isinstance(one, bytes))
        elif field.type == field.TYPE_MESSAGE:
            for inner in (value,) if hasattr(value, "ListFields") else value:
                yield from _undecodable(inner)


def inspect(path: Path) -> Inspection:
    """Inspect an ONNX file in this process; see `inspect_file`.

    Raises:
        ArtifactError: it is missing, damaged or not ONNX.
    """
    model = read_model(path)
    nodes = list(_all_nodes(model.graph))
    try:
        optimised, refusal = optimise(path), ""
    except ArtifactError as error:
        optimised, refusal = None, error.found or str(error)
    return Inspection(
        file_bytes=_size_in_bytes(path),
        opsets={entry.domain: entry.version for entry in model.opset_import},
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        inputs=_tensors(model.graph.input),
        outputs=_tensors(model.graph.output),
        parameters=_parameters(model),
        nodes=len(nodes),
        operators=_by_count(node.op_type for node in nodes),
        transposes=sum(node.op_type == "Transpose" for node in nodes),
        optimised=optimised,
        refusal=refusal,
    )


def optimise(path: Path) -> Optimised:
    """Return the graph that ONNX Runtime really runs.

    Raises:
        ArtifactError: ONNX Runtime refuses the file.
    """
    import onnx  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="assay-inspect-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(optimised)
        options.log_severity_level = 4
        try:
            with step(f"Optimising {path.name}", load_seconds(size_of(path)), apart=True):
                onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base
            raise ArtifactError(f"ONNX Runtime refuses {path}", found=one_line(error), remedy=REMEDY) from error
        nodes = list(_all_nodes(onnx.load(optimised, load_external_data=False).graph))
    return Optimised(
        nodes=len(nodes),
        operators=_by_count(node.op_type for node in nodes),
        transposes=sum(node.op_type == "Transpose" for node in nodes),
        fused=_by_count(f"{n.domain}:{n.op_type}" for n in nodes if n.domain not in STANDARD_DOMAINS),
    )


def render(inspection: Inspection) -> str:
    """Render an inspection as text for a terminal."""
    opsets = ", ".join(f"{domain or 'ONNX'} {version}" for domain, version in inspection.opsets.items())
    lines = [
        f"producer    {inspection.producer or 'unknown'}",
        f"opset       {opsets}",
        *(f"input       {_tensor_text(tensor)}" for tensor in inspection.inputs),
        *(f"output      {_tensor_text(tensor)}" for tensor in inspection.outputs),
        f"parameters  {inspection.parameters:,}",
        f"file        {inspection.file_bytes:,} bytes",
        "",
        f"as written: {inspection.nodes} nodes, {inspection.transposes} transposes",
        f"  {_counts_text(inspection.operators)}",
        *_optimised_lines(inspection),
    ]
    if inspection.metadata:
        width = max(map(len, inspection.metadata))
        lines += ["", *(f"{key:<{width}}  {value}" for key, value in sorted(inspection.metadata.items()))]
    return "\n".join(map(printable, lines))


def _optimised_lines(inspection: Inspection) -> list[str]:
    after = inspection.optimised
    if after is None:
        return [f"ONNX Runtime refuses it: {inspection.refusal}"]
    return [
        f"after ONNX Runtime's optimisation: {after.nodes} nodes, {after.transposes} transposes",
        f"  {_counts_text(after.operators)}",
        f"  of these not standard ONNX: {_counts_text(after.fused) or 'none'}",
    ]


def _all_nodes(graph: onnx.GraphProto) -> Iterable[onnx.NodeProto]:
    """Iterate over the nodes of a graph and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def _by_count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def _tensors(values: Iterable[onnx.ValueInfoProto]) -> tuple[TensorInfo, ...]:
    return tuple(_tensor(value) for value in values)


def _tensor(value: onnx.ValueInfoProto) -> TensorInfo:
    import onnx  # noqa: PLC0415

    tensor = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim)
    return TensorInfo(name=value.name, type=onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), shape=shape)


def _parameters(model: onnx.ModelProto) -> int:
    """Count the numbers in initialisers that a network learned: floats, integers of 8 bits or fewer, and dequantised
    ones.

    Other integers are shapes and axes. Scales and zero points say what integers stand for, and do not count.
    """
    import onnx  # noqa: PLC0415

    kinds = onnx.TensorProto.DataType
    learned = {
        number
        for name, number in kinds.items()
        if name.startswith(("FLOAT", "BFLOAT16", "INT8", "UINT8", "INT4", "UINT4", "INT2", "UINT2"))
    }
    nodes = model.graph.node
    dequantised = {node.input[0] for node in nodes if node.op_type == "DequantizeLinear"}
    dequantised |= {node.input[8] for node in nodes if node.op_type == "QLinearConv" and len(node.input) > 8}
    beside = {name for node in nodes for name in _scales_of(node)}
    tensors = (
        tensor
        for tensor in model.graph.initializer
        if tensor.name not in beside and (tensor.data_type in learned or tensor.name in dequantised)
    )
    return sum(math.prod(tensor.dims) for tensor in tensors)


def _scales_of(node: onnx.NodeProto) -> list[str]:
    """Return the inputs that are scales and zero points of other inputs, by the operator's schema; in other domains, by
    their names.
    """
    import onnx  # noqa: PLC0415

    if node.domain in {"", "ai.onnx"} and onnx.defs.has(node.op_type):
        if not any(part in node.op_type for part in ("uantize", "QLinear", "Integer")):
            return []  # a norm's scale is learned
        said = [one.name for one in onnx.defs.get_schema(node.op_type).inputs]
    else:
        said = [name.lower() for name in node.input]
    pairs = zip(node.input, said, strict=False)
    return [name for name, called in pairs if called.endswith(("_scale", "scale", "zero_point"))]


def _size_in_bytes(path: Path) -> int:
    """Return the size of a file that was read, and of the files with its external data."""
    import onnx  # noqa: PLC0415

    model = onnx.load(path, format="protobuf", load_external_data=False)
    entries = (entry for tensor in model.graph.initializer for entry in tensor.external_data)
    beside: set[Path] = {path.parent / entry.value for entry in entries if entry.key == "location"}
    return path.stat().st_size + sum(file.stat().st_size for file in beside)


def _tensor_text(tensor: TensorInfo) -> str:
    return f"{tensor.name}: {tensor.type} [{', '.join(map(str, tensor.shape))}]"


def _counts_text(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def one_line(error: Exception) -> str:
    """Return an error's text on one line; see `assay.foreign`."""
    return said_by(error)


if __name__ == "__main__":
    serve_job(INSPECT.done_by(lambda request: inspect(request.path)))
