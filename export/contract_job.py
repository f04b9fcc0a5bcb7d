"""A deployable graph and its answers, in a process of its own: `python -P -m export.contract_job`.

It writes `model.onnx`, and of every image of the test split `probabilities.npy` (float32) and `label.npy` (int64), as
ONNX Runtime computes them with the settings that will be served. A sample also goes through one by one, in the largest
batch, and without graph optimisations: correct evaluations of one file, whose differences say how far apart two servers
of it may be.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from assay.errors import ExportFailedError
from assay.jobs import Channel, Message, run_job, serve_job
from assay.spec import ModelSpec
from export.contract import IMAGES, LABEL, PROBABILITIES, check_contract, write_deployable
from export.inspect import one_line
from export.reference import CPU_ONLY

if TYPE_CHECKING:
    import onnxruntime

MODEL_FILE, PROBABILITIES_FILE, LABEL_FILE = "model.onnx", "probabilities.npy", "label.npy"
BATCH = 32
SAMPLE = 128
LIMIT_SECONDS = 3600

Pixels = NDArray[np.uint8]


class ContractRequest(BaseModel):
    """One model to make deployable and to run.

    Attributes:
        source: the export's file; None where `folder` has a deployable model.onnx already.
        layout: of its input.
        images: .npy of uint8 (images, height, width, channels), the whole test split.
        threads: of onnxruntime.
        most_images: largest batch that will be served.
        folder: takes the files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Path | None
    spec: ModelSpec
    layout: str
    images: Path
    threads: int
    most_images: int
    folder: Path


class ContractOutcome(BaseModel):
    """What the job answers.

    Attributes:
        images: how many were run.
        spread: largest difference of a probability between correct evaluations of the same file, see the module's text.
        seconds: for the whole split, batch 32.
        versions: of onnxruntime.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    spread: float
    seconds: float
    onnxruntime: str


def run_contract(request: ContractRequest, log: Path) -> ContractOutcome:
    """Run the job.

    Raises:
        AssayError: the model cannot be made deployable, does not run, or its answers are no probabilities.
    """
    answer = run_job(
        "export.contract_job",
        cast("Message", request.model_dump(mode="json")),
        log,
        limit_seconds=LIMIT_SECONDS,
        environment=CPU_ONLY,
    )
    return ContractOutcome.model_validate(answer)


def work(message: Message, channel: Channel) -> Message:
    """Build, check and run one deployable graph."""
    import onnxruntime as ort  # noqa: PLC0415

    del channel
    request = ContractRequest.model_validate(message)
    path = request.folder / MODEL_FILE
    if request.source is None:
        check_contract(path, request.spec)
    else:
        write_deployable(request.source, request.spec, request.layout, path)
    images = np.load(request.images, mmap_mode="r", allow_pickle=False)
    session = session_of(path, request.threads, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    begun = time.perf_counter()
    probabilities, label = run_graph(session, images, BATCH)
    seconds = time.perf_counter() - begun
    check_answers(probabilities, label)
    np.save(request.folder / PROBABILITIES_FILE, probabilities)
    np.save(request.folder / LABEL_FILE, label)
    sample = images[:SAMPLE]
    plain = session_of(path, request.threads, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
    others = [run_graph(session, sample, batch)[0] for batch in (1, request.most_images)] + [
        run_graph(plain, sample, BATCH)[0]
    ]
    outcome = ContractOutcome(
        images=len(images),
        spread=max(float(np.abs(other - probabilities[: len(sample)]).max()) for other in others),
        seconds=seconds,
        onnxruntime=ort.__version__,
    )
    return cast("Message", outcome.model_dump(mode="json"))


def session_of(path: Path, threads: int, level: object) -> onnxruntime.InferenceSession:
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = level
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ExportFailedError("ONNX Runtime does not load the deployable graph", found=one_line(error)) from error


def run_graph(
    session: onnxruntime.InferenceSession, images: Pixels, batch: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities (images, classes) and labels (images,), `batch` at a time; the last one may be smaller."""
    try:
        found = [session.run([PROBABILITIES, LABEL], {IMAGES: piece}) for piece in _pieces(images, batch)]
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ExportFailedError("ONNX Runtime does not run the deployable graph", found=one_line(error)) from error
    return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])


def _pieces(images: Pixels, batch: int) -> Iterator[Pixels]:
    for start in range(0, len(images), batch):
        yield np.ascontiguousarray(images[start : start + batch])


def check_answers(probabilities: NDArray[np.float32], label: NDArray[np.int64]) -> None:
    """
    Raises:
        ExportFailedError: what came out are no probabilities, or the label is not their largest.
    """
    sums = probabilities.astype(np.float64).sum(axis=1)
    if not np.isfinite(probabilities).all() or (probabilities < 0).any() or (np.abs(sums - 1) > 1e-5).any():
        raise ExportFailedError(
            "The deployable graph's answers are no probabilities",
            expected="finite values of at least 0 that sum to 1",
            found=f"sums from {sums.min():.6g} to {sums.max():.6g}",
        )
    chosen = np.take_along_axis(probabilities, label[:, None], axis=1)[:, 0]
    if (chosen < probabilities.max(axis=1)).any():
        raise ExportFailedError("The deployable graph's label is not its most probable class")


if __name__ == "__main__":
    serve_job(work)
