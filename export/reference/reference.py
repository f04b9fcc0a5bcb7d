"""The outputs every export is compared with: the float64 reference, and a framework's own fp32 forward pass.

Each is computed once for the same weights and images, in a process of its own, and kept as an artifact of kind
"reference". They are computed on the CPU: a GPU's TF32 is not fp32.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from assay.errors import ArtifactError, InputError
from assay.export.routes.request import Forward, Images, ShownForward
from assay.files.arrays import load_array, map_array
from assay.files.mistakes import mistake_in
from assay.jobs.files import Written
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.pace import Pace
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.numerics.values import of_type
from assay.records.base import Record
from assay.registry import REFERENCES
from assay.spec import ModelSpec
from assay.steps import SLOWER, Limit, call_seconds, in_proportion, load_seconds, step
from assay.store import Artifact, Store, file_sha256, read_artifact

Progress = Callable[[str, int, int], None]

LOGITS, WEIGHTS_FILE = "logits.npy", "weights.safetensors"
MOST_IMAGES_IN_ONE_CALL = 32


def references_here() -> list[str]:
    """Return the names of what computes float64 in this installation: the reference, and whatever may check it."""
    return [name for name, entry in REFERENCES.items() if not entry.lacks]


@dataclass(frozen=True)
class ReferenceRequest:
    """A request for reference outputs.

    Attributes:
        weights: folder of a weights artifact.
        images: .npy file of normalised float32 images, (images, height, width, channels).
        framework: "torch", "tf", "jax" or "numpy"; the reference of this installation where none is given.
        dtype: "float32" or "float64".
        finite: whether to refuse images with NaN or infinity; false only to see how they are treated.
    """

    weights: Path
    images: Path
    framework: str = field(default_factory=lambda: references_here()[0])
    dtype: str = "float64"
    finite: bool = True


class ForwardRequest(Record):
    """The outputs to compute, and the .npy file to write them to."""

    wanted: ReferenceRequest
    output: Written


class Forwarded(Pace):
    """The pace of the model, and the framework's operators that compute in a call of it; none in float64."""

    operators: tuple[str, ...] = ()


FORWARD = Job("assay.export.reference.reference", "forward", ForwardRequest, Forwarded)


def ensure_reference(
    request: ReferenceRequest, store: Store, progress: Progress, *, host: Starter = HERE
) -> NDArray[np.floating]:
    """Return the logits (images, classes) in the dtype asked for, computing them first if they do not exist.

    Args:
        store: the store of references.

    Raises:
        InputError: weights or images cannot be used, or the folder cannot be written.
        NotInstalledError: the framework is missing.
        WorkerError: the framework crashed or took too long.
    """
    file = reference_artifact(request, store, progress, host=host).file(LOGITS)
    return of_type(load_array(file), np.floating)


def reference_artifact(
    request: ReferenceRequest, store: Store, progress: Progress, *, host: Starter = HERE
) -> Artifact:
    """Return the artifact behind `ensure_reference`, whose facts include the model's pace; same arguments and
    errors.
    """
    weights = read_artifact(request.weights, "weights")
    inputs = {
        "weights": weights.key,
        "images": file_sha256_of_images(request.images),
        "framework": REFERENCES[request.framework].name,
        "dtype": request.dtype,
    }
    name = hashlib.sha256("/".join(inputs.values()).encode()).hexdigest()[:16]
    label = f"{request.framework} {request.dtype} forward pass"

    def fill(work: Path) -> dict[str, JsonValue]:
        progress(label, 0, 1)
        asked = ForwardRequest(wanted=request, output=work / LOGITS)
        pace = run_job(
            FORWARD,
            asked,
            work / "job.log",
            limit_seconds=Limit(_limit(request, weights), f"The {label}"),
            host=host,
        )
        progress(label, 1, 1)
        return pace.model_dump(mode="json")

    called = f"{request.framework}-{request.dtype}-{name}"
    return store.kept("reference", inputs, fill, name=called, single=True)


def _limit(request: ReferenceRequest, weights: Artifact) -> float:
    """Return the limit for loading and the first call of every piece together; each later one has a limit derived from
    others.
    """
    size = weights.file(WEIGHTS_FILE).stat().st_size
    piece = 4 * math.prod(spec_of(weights).image_shape) * MOST_IMAGES_IN_ONE_CALL
    pieces = math.ceil(request.images.stat().st_size / piece)
    return load_seconds(size) + pieces * call_seconds(size)


def file_sha256_of_images(path: Path) -> str:
    """Return the hash of an images file.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(f"There is no file of images {path}", expected="an .npy file")
    return file_sha256(path)


def read_images(path: Path, spec: ModelSpec, at_least: int = 1, *, finite: bool = True) -> Images:
    """Open images, mapped into memory piece by piece, and make sure that they fit a model.

    Returns:
        Normalised float32 images, (images, height, width, channels).

    Raises:
        InputError: the file is missing or damaged, or the images are too few, of another shape or type, or
            not finite (unless `finite` is off).
    """
    try:
        images = map_array(path)
    except ArtifactError as error:
        raise InputError(
            f"Cannot read images from {path}", expected="an .npy file", found=error.found or error.what
        ) from error
    if images.dtype != np.float32 or images.shape[1:] != spec.image_shape or len(images) < at_least:
        raise InputError(
            f"The images in {path} do not fit {spec.architecture} at {spec.size} pixels",
            expected=f"float32, at least {at_least} of shape {spec.image_shape}",
            found=f"{images.dtype}, {images.shape}",
        )
    if finite and not all(np.isfinite(piece).all() for piece in _pieces(images)):
        raise InputError(f"The images in {path} have values that are not finite")
    return of_type(images, np.float32)


def _pieces(images: Images) -> Iterator[Images]:
    """Iterate over all images, 32 at a time."""
    for start in range(0, len(images), MOST_IMAGES_IN_ONE_CALL):
        yield images[start : start + MOST_IMAGES_IN_ONE_CALL]


def spec_of(weights: Artifact) -> ModelSpec:
    """Return the model that a weights artifact was made for.

    Raises:
        ArtifactError: its manifest does not say.
    """
    try:
        said: Any = weights.manifest.inputs["spec"]
        return ModelSpec(**said)
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{weights.folder} does not say which model its weights belong to",
            expected="a specification under inputs.spec of its manifest",
            found=mistake_in(error),
        ) from error


def load_forward(framework: str, spec: ModelSpec, weights_file: Path, dtype: str) -> Forward:
    """Return a framework's own forward pass over NHWC images, from `export/reference/on_<framework>.py`.

    Raises:
        InputError: the framework is unknown, or has no such dtype.
        NotInstalledError: the framework is missing.
    """
    make: Callable[[ModelSpec, Path, str], Forward] = REFERENCES[framework].load()
    return make(spec, weights_file, dtype)


def compute(request: ForwardRequest) -> Forwarded:
    """Run a framework on all images, and write the logits.

    Returns:
        The model's pace, by the calls after the first, which may compile; if there is only one, it is repeated; and in
        float32 its operators.
    """
    wanted = request.wanted
    weights = read_artifact(wanted.weights, "weights")
    spec = spec_of(weights)
    images = read_images(wanted.images, spec, finite=wanted.finite)
    file, what = weights.file(WEIGHTS_FILE), f"{spec.architecture} in {wanted.framework}, {wanted.dtype}"
    size = file.stat().st_size
    begun = time.monotonic()
    with step(f"Loading {what}", load_seconds(size)):
        run = load_forward(wanted.framework, spec, file, wanted.dtype)
    loaded = time.monotonic() - begun
    pieces = list(_pieces(images))
    limit, found, took = call_seconds(size), [], []
    for number, piece in enumerate(2 * pieces if len(pieces) == 1 else pieces):
        begun = time.monotonic()
        with step(f"Call {number + 1} of {what}", limit):
            found.append(run(np.array(piece)))
        took.append(time.monotonic() - begun)
        limit = max(limit, in_proportion(took[-1], SLOWER))
    np.save(request.output, np.concatenate(found[: len(pieces)]))
    operators = run.operators(np.array(images[:1])) if isinstance(run, ShownForward) else ()
    return Forwarded(load_seconds=loaded, call_seconds=max(took[1:]), operators=operators)


def operators_in(facts: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Return the operators recorded in a manifest; none if there are none, as in those of older versions."""
    found = facts.get("operators")
    return tuple(map(str, found)) if isinstance(found, list) else ()


if __name__ == "__main__":
    serve_job(FORWARD.done_by(compute))
