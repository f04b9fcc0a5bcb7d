"""Two ONNX files on the same inputs, in a process of their own: `python -P -m export.on_onnx_pair`.

The reference file gives the float64 outputs, and in fp32 two correct runs that the tolerance is derived from: onnx's
reference evaluator, and ONNX Runtime without optimisations. Then both files run in ONNX Runtime at every optimisation
level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto, helper
from pydantic import JsonValue

from assay.errors import InputError
from assay.jobs import Channel, Message, serve_job
from export.inspect import one_line, read_model
from export.on_onnx_double import evaluate, run_double, without_initialisers
from export.on_onnx_repro import localise_with_repros
from export.pair_inputs import Value, check_same, draw_inputs, read_inputs

Array = NDArray[np.generic]
Compute = Callable[[], dict[str, Array]]

EVALUATOR = "onnx reference evaluator"
NATIVE_LEVEL = "no-opt"
LEVELS = {
    NATIVE_LEVEL: ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}

OPENVINO = {"openvino": {"INFERENCE_PRECISION_HINT": "f32"}, "openvino as it comes": {}}
"""Left alone, it may compute in bf16 where the processor can."""


def run_pair(
    reference: Path,
    candidate: Path,
    inputs: Path | None,
    dimensions: Mapping[str, int],
    out: Path,
    runtimes: Sequence[str] = tuple(LEVELS),
) -> Message:
    """Run everything and write `inputs.npz`, `reference.npz`, and one .npz of outputs for each run, into `out`.

    Args:
        runtimes: optimisation levels of ONNX Runtime, and names of `OPENVINO`.

    Returns:
        "inputs", "outputs" (described), "natives" and "subjects": file names by run, and "failed": reasons by run.

    Raises:
        ArtifactError: a file cannot be read.
        InputError: the signatures differ, the inputs do not fit, or there is no reference.
    """
    model, other = read_model(reference), read_model(candidate)
    values = [_value(one) for one in without_initialisers(model.graph)]
    outputs = [_value(one) for one in model.graph.output]
    check_same("input", values, [_value(one) for one in without_initialisers(other.graph)])
    check_same("output", outputs, [_value(one) for one in other.graph.output])
    feeds = draw_inputs(values, dimensions) if inputs is None else read_inputs(inputs, values)
    np.savez(out / "inputs.npz", **feeds)  # type: ignore[arg-type]
    np.savez(out / "reference.npz", **run_double(model, feeds, "the reference"))  # type: ignore[arg-type]
    files: dict[str, dict[str, str]] = {"natives": {}, "subjects": {}}
    failed: dict[str, str] = {}
    runs: dict[tuple[str, str], Compute] = {("natives", EVALUATOR): partial(_evaluated, model, feeds)}
    runs["natives", f"reference in onnxruntime, {NATIVE_LEVEL}"] = partial(_session_run, reference, NATIVE_LEVEL, feeds)
    roles = {"reference": reference, "candidate": candidate} if reference != candidate else {"candidate": candidate}
    for role, path in roles.items():
        for runtime in runtimes:
            if (role, runtime) == ("reference", NATIVE_LEVEL):
                continue
            run = _openvino_run if runtime in OPENVINO else _session_run
            name = runtime if runtime in OPENVINO else f"onnxruntime, {runtime}"
            runs["subjects", f"{role} in {name}"] = partial(run, path, runtime, feeds)
    for number, ((kind, name), compute) in enumerate(runs.items()):
        try:
            np.savez(out / f"{number}.npz", **compute())  # type: ignore[arg-type]
            files[kind][name] = f"{number}.npz"
        except InputError as error:
            failed[name] = str(error)
    return {
        "inputs": cast("JsonValue", [asdict(one) for one in values]),
        "outputs": cast("JsonValue", [asdict(one) for one in outputs]),
        "failed": cast("JsonValue", failed),
        **cast("Message", files),
    }


def _evaluated(model: ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    values = evaluate(model, feeds, "the reference")
    return {output.name: values[output.name] for output in model.graph.output}


def _session_run(path: Path, level: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """
    Raises:
        InputError: ONNX Runtime does not load or run the file.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, map(np.asarray, session.run(names, dict(feeds))), strict=True))
    except Exception as error:  # its exceptions have no common base
        raise InputError(f"ONNX Runtime does not run {path.name}", found=one_line(error)) from error


def _openvino_run(path: Path, runtime: str, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """
    Raises:
        InputError: OpenVINO is not installed, or does not load or run the file.
    """
    try:
        import openvino  # noqa: PLC0415  an extra that not everyone has

        compiled = openvino.Core().compile_model(path, "CPU", OPENVINO[runtime])
        found = compiled(dict(feeds))
        return {output.get_any_name(): np.array(found[output]) for output in compiled.outputs}
    except Exception as error:  # its exceptions have no common base
        raise InputError(f"OpenVINO does not run {path.name}", found=one_line(error)) from error


def _value(value: ValueInfoProto) -> Value:
    """
    Raises:
        InputError: it is no tensor.
    """
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or tensor.elem_type in (0, onnx.TensorProto.STRING):
        raise InputError(f"'{value.name}' cannot be compared", expected="a tensor of numbers")
    shape = tuple(
        int(dimension.dim_value) if dimension.HasField("dim_value") else dimension.dim_param or "?"
        for dimension in tensor.shape.dim
    )
    return Value(value.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)


def _work(request: Message, channel: Channel) -> Message:
    del channel
    if request["do"] == "localise":
        paths = (Path(str(request[name])) for name in ("reference", "candidate", "inputs", "repro"))
        return {"found": [one.model_dump(mode="json") for one in localise_with_repros(*paths)]}
    inputs = request["inputs"]
    return run_pair(
        Path(str(request["reference"])),
        Path(str(request["candidate"])),
        None if inputs is None else Path(str(inputs)),
        cast("dict[str, int]", request["dimensions"]),
        Path(str(request["out"])),
        cast("list[str]", request["runtimes"]),
    )


if __name__ == "__main__":
    serve_job(_work)
