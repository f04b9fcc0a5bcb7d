"""Checks that every exported file of one of our own models must pass before anybody times or offers it.

Structure first: the ONNX checker, standard operators only, the signature, strict shape inference. Then the file must
load in ONNX Runtime at every optimisation level, and at each of them agree with the float64 reference on real images at
batch 1, 3 and 32. A file that loads proves nothing; two of the exporters are known to write files that load, run and
are wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.errors import ExportFailedError
from assay.export.checking.lacking import lacks_operator, not_run
from assay.export.checking.levels import Levels, judged_at_levels, sentence_on
from assay.export.graph.inspect import STANDARD_DOMAINS, one_line, read_model
from assay.export.record import Judged, judged_by
from assay.export.routes.request import Images
from assay.numerics.agreement import JudgeOfImages
from assay.numerics.guilt import Outcome
from assay.records.results import Agreement
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec
from assay.steps import load_seconds, size_of, step

if TYPE_CHECKING:
    import onnx
    import onnxruntime

BATCHES = (1, 3, 32)
IMAGES_NEEDED = max(BATCHES)
HEARD_IMAGES = 3
FLOAT = 1
"""onnx.TensorProto.FLOAT"""


def check_images(
    path: Path,
    spec: ModelSpec,
    layout: str,
    images: Images,
    judge: JudgeOfImages,
    subject: str,
    precision: str = "fp32",
) -> Judged:
    """Check everything: structure, agreement at every level, and who is wrong where there is none; arguments as below.

    Raises:
        ArtifactError: it is not an ONNX file.
        ExportFailedError: its structure fails, or ONNX Runtime does not load or run it at any level.
    """
    check_structure(path, spec, layout)
    levels = check_agreement(path, layout, images, judge, subject, precision)

    def heard() -> dict[str, Outcome]:  # the witnesses are not judges of another precision
        return others_on(path, layout, images, judge) if precision == "fp32" else {}

    return judged_by(levels.agreements, sentence_on(levels, heard))


def check_structure(path: Path, spec: ModelSpec, layout: str) -> None:
    """Make sure that a file is valid ONNX with the agreed signature and known shapes throughout.

    Raises:
        ArtifactError: it is not an ONNX file.
        ExportFailedError: it fails; the message says which check and why.
    """
    model = read_model(path)
    _check_validity(model)
    _check_signature(model, spec, layout)
    _check_shapes(model)


def check_agreement(
    path: Path, layout: str, images: Images, judge: JudgeOfImages, subject: str, precision: str = "fp32"
) -> Levels:
    """Load a file at every optimisation level and compare its outputs at every batch size.

    Args:
        layout: "NHWC" or "NCHW".
        images: normalised images, at least 32, those of the judge's reference.
        subject: name of the compared file, for the records.
        precision: precision of the file; only fp32 is judged by the tolerance; see `assay.numerics.agreement.compare`.

    Returns:
        One record for each level and batch size, including failed ones.

    Raises:
        ExportFailedError: ONNX Runtime does not load or run it at any level, or there are too few images.
    """
    if len(images) < IMAGES_NEEDED:
        raise ExportFailedError(
            f"{subject} cannot be compared",
            expected=f"{IMAGES_NEEDED} images or more",
            found=str(len(images)),
        )

    def judge_at(level: str) -> list[Agreement]:
        session = session_at(path, level, subject)
        return [judged(session, f"{subject} at level {level}, batch {batch}", batch) for batch in BATCHES]

    def judged(session: onnxruntime.InferenceSession, name: str, batch: int) -> Agreement:
        return judge.compare(name, _run(session, images[:batch], layout, name), np.arange(batch), precision)

    return judged_at_levels(level_names(), judge_at)


def others_on(path: Path, layout: str, images: Images, judge: JudgeOfImages) -> dict[str, Outcome]:
    """Return the verdicts of the other witnesses on a file, for a few images; see `assay.numerics.guilt`."""
    from assay.export.checking.on_onnx_witnesses import heard  # noqa: PLC0415

    def agrees(outputs: Mapping[str, NDArray[Any]]) -> bool:
        return judge.compare("", np.asarray(outputs[OUTPUT_NAME]), np.arange(HEARD_IMAGES)).passed

    return heard(path, {INPUT_NAME: as_taken(images[:HEARD_IMAGES], layout)}, agrees)


def unranked(model: onnx.ModelProto) -> list[str]:
    """Return the tensors whose rank strict shape inference does not find.

    Raises:
        ExportFailedError: shapes or types contradict each other.
    """
    import onnx  # noqa: PLC0415

    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:  # its exceptions have no common base
        raise ExportFailedError("Shape inference fails", found=one_line(error)) from error
    values = (*inferred.graph.value_info, *inferred.graph.output)
    known = {value.name for value in values if value.type.tensor_type.HasField("shape")}
    return [name for node in inferred.graph.node for name in node.output if name and name not in known]


def _check_validity(model: onnx.ModelProto) -> None:
    import onnx  # noqa: PLC0415

    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and the inference behind it raise different classes
        raise ExportFailedError("The ONNX checker refuses the file", found=one_line(error)) from error
    foreign = {f"{node.domain}:{node.op_type}" for node in model.graph.node if node.domain not in STANDARD_DOMAINS}
    if foreign:
        raise ExportFailedError("The file needs operators that are not part of ONNX", found=", ".join(sorted(foreign)))


def _check_signature(model: onnx.ModelProto, spec: ModelSpec, layout: str) -> None:
    height, width, channels = spec.image_shape
    image = (channels, height, width) if layout == "NCHW" else spec.image_shape
    _check_tensors("input", model.graph.input, INPUT_NAME, image)
    _check_tensors("output", model.graph.output, OUTPUT_NAME, (spec.classes,))


def _check_tensors(kind: str, values: list[onnx.ValueInfoProto], name: str, shape: tuple[int, ...]) -> None:
    """Check for one float tensor of the given name whose first dimension is dynamic and whose others are `shape`."""
    expected = f"one {kind} '{name}', float32, [batch, {', '.join(map(str, shape))}]"
    found = [_describe(value) for value in values]
    right = len(values) == 1 and values[0].name == name and values[0].type.tensor_type.elem_type == FLOAT
    dimensions = values[0].type.tensor_type.shape.dim if right else []
    fixed = tuple(dimension.dim_value for dimension in dimensions[1:])
    if not dimensions or not dimensions[0].dim_param or fixed != shape:
        raise ExportFailedError(f"The {kind} differs from the specification", expected=expected, found="; ".join(found))


def _describe(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dimensions = (d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim)
    return f"'{value.name}', type {tensor.elem_type}, [{', '.join(map(str, dimensions))}]"


def _check_shapes(model: onnx.ModelProto) -> None:
    unknown = unranked(model)
    if unknown:
        raise ExportFailedError(
            "Shape inference leaves tensors of unknown rank",
            found=f"{len(unknown)}, the first is '{unknown[0]}'",
        )


def level_names() -> list[str]:
    """Return ONNX Runtime's names of its optimisation levels, "disable_all" first."""
    import onnxruntime  # noqa: PLC0415

    return [name.removeprefix("ORT_").lower() for name in onnxruntime.GraphOptimizationLevel.__members__]


def session_at(path: Path, level: str, subject: str) -> onnxruntime.InferenceSession:
    """Load the file at a level.

    Raises:
        ExportFailedError: it does not load.
    """
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.__members__[f"ORT_{level.upper()}"]
    options.log_severity_level = 4
    try:
        with step(f"Loading {subject} at level {level}", load_seconds(size_of(path)), apart=True):
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions have no common base
        what = f"{subject} does not load in ONNX Runtime at level {level}"
        what = not_run("ONNX Runtime", subject, str(error)) if lacks_operator(str(error)) else what
        raise ExportFailedError(what, found=one_line(error)) from error


def _run(session: onnxruntime.InferenceSession, images: Images, layout: str, name: str) -> NDArray[np.floating]:
    try:
        outputs = session.run([OUTPUT_NAME], {INPUT_NAME: as_taken(images, layout)})
    except Exception as error:  # its exceptions have no common base
        raise ExportFailedError(f"{name} does not run", found=one_line(error)) from error
    return np.asarray(outputs[0])


def as_taken(images: Images, layout: str) -> Images:
    """Images (count, height, width, channels) in a file's layout."""
    return images if layout == "NHWC" else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
