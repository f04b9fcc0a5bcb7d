"""The graph to be served and its answers, in a process of its own.

The job writes the model's file, an export as it is or inside the contract of `assay.export.served.contract`, and
`outputs.npy`, its answers to every record, as the runtime computes them with the settings to be served. A sample is
also run one by one, in the largest batch, and without graph optimisations: correct evaluations of one file, whose
differences show how far apart two servers of it may be.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assay.boxed.boxing import Box
from assay.errors import AssayError, ExportFailedError
from assay.export.graph.inspect import one_line
from assay.export.served.contract import write_deployable
from assay.export.served.made import ExportContract, serve_made
from assay.export.served.native import NativeModel, make_served
from assay.files.arrays import map_array
from assay.jobs.files import Written
from assay.jobs.host import Starter
from assay.jobs.job import Job
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.jobs.serving import serve_job
from assay.numerics.served import (
    Opened,
    Records,
    ServedTensor,
    as_records,
    errors_of,
    is_deciding,
    record_type,
    types_of,
)
from assay.records.base import Record
from assay.records.deployment import served_by, served_runtime
from assay.spec import AS_THE_DRIVER_NUMBERS, CPU_ONLY
from assay.steps import SLOWER, Limit, in_proportion, load_seconds, size_of, step
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

OUTPUTS_FILE = "outputs.npy"
BATCH = 32
SAMPLE = 128
LIMIT_SECONDS = 3600
"""The limit of all steps together, each of which has its own: there may be many records."""


class ContractRequest(Record):
    """One model to serve and to run.

    Attributes:
        runtime: the runtime that will serve it.
        source: the export's file, or the model's conversion for the runtime; None where the file is made from `model`.
        model: the audited model, built or brought, from which a runtime that runs no ONNX files gets a file of its own.
        contract: contract to put around it; None where it is served as it is.
        inputs, outputs: tensors of the served model.
        records: .npy file for `assay.numerics.served.as_records`, with everything that the model was audited on.
        threads: number of the runtime's threads.
        most_records: most records in one served call; 0 where a call is one record.
    """

    runtime: str
    source: Path | None
    model: BuiltModel | UserModel | None = None
    contract: ExportContract | None
    inputs: list[ServedTensor]
    outputs: list[ServedTensor]
    records: Path
    threads: int
    most_records: int


class ContractOutcome(Record):
    """The job's answer.

    Attributes:
        records: number of records that were run.
        spread: largest difference between correct evaluations of the same file, by output; see the module's text.
        seconds: time for all records, in batches of 32.
    """

    records: int
    spread: dict[str, float]
    seconds: float


class ContractPlace(Record):
    """A request, and the folder for its files."""

    request: ContractRequest
    folder: Written


CONTRACT = Job("assay.export.served.contract_job", "contract", ContractPlace, ContractOutcome, sees_gpu=True)


def run_contract(
    request: ContractRequest, folder: Path, *, trusted: bool = False, host: Starter = HERE
) -> ContractOutcome:
    """Run the job; its files and its log go into the folder.

    Args:
        trusted: whether the file runs outside a box; see `assay.boxed.boxing.Box`.

    Raises:
        AssayError: the model cannot be made deployable, does not run, or its answers do not keep the contract.
    """
    return run_job(
        CONTRACT,
        ContractPlace(request=request, folder=folder),
        folder / "contract.log",
        limit_seconds=Limit(LIMIT_SECONDS, "Making the graph to be served"),
        box=Box((folder,), trusted),
        host=host,
    )


def work(place: ContractPlace) -> ContractOutcome:
    """Build, check and run one graph."""
    request, folder = place.request, place.folder
    served = served_by(request.runtime)
    os.environ.update(CPU_ONLY if served.device == "cpu" else AS_THE_DRIVER_NUMBERS)
    path = folder / served.file
    _write_model(request, path)
    records = as_records(map_array(request.records), request.inputs)
    batch = BATCH if request.most_records else 0
    options = served.options_of(request.threads, decides=is_deciding(request.outputs))
    opened = open_served(request.runtime, path, options, request.inputs, request.outputs)
    begun = time.perf_counter()
    found = run_graph(opened, records, request.outputs, batch)
    seconds = time.perf_counter() - begun
    for one in request.outputs:
        if one.index_of:
            check_answers(found[one.index_of], found[one.name])
    np.save(folder / OUTPUTS_FILE, found)
    places = np.arange(max(min(SAMPLE, len(records)), request.most_records)) % len(records)
    sample = records[places]
    others = [
        run_graph(opened, sample, request.outputs, min(1, request.most_records)),
        run_graph(opened, sample, request.outputs, request.most_records),
    ]
    if served.otherwise:
        otherwise = options | dict(served.otherwise)
        plain = open_served(request.runtime, path, otherwise, request.inputs, request.outputs)
        others.append(run_graph(plain, sample, request.outputs, batch))
    return ContractOutcome(
        records=len(records),
        spread={one.name: _spread(others, found[places], one) for one in request.outputs},
        seconds=seconds,
    )


def _write_model(request: ContractRequest, path: Path) -> None:
    """Write the file to be served.

    Raises:
        AssayError: the framework does not write it, or the export cannot be made deployable.
    """
    path.parent.mkdir(exist_ok=True)
    if request.source is None:
        if request.model is None:
            raise ExportFailedError(f"No server runs {request.runtime}")
        make_served(NativeModel(request.runtime, request.model, request.contract is not None, path, request.threads))
        return
    with step("Writing the graph to be served", load_seconds(size_of(request.source))):
        if served_runtime(request.runtime).maker:
            serve_made(request.runtime, request.source, request.contract, path)
        elif request.contract is None:
            shutil.copyfile(request.source, path)
        else:
            write_deployable(request.source, request.contract.spec, request.contract.layout, path)


def open_served(
    runtime: str,
    path: Path,
    options: Mapping[str, str],
    inputs: Sequence[ServedTensor],
    outputs: Sequence[ServedTensor],
    device: str = "",
) -> Opened:
    """Open a file that is to be served, as its server opens it; on the CPU if that is the device.

    Raises:
        ExportFailedError: the runtime refuses it.
    """
    try:
        with step("Loading the graph to be served", load_seconds(size_of(path))):
            return served_by(runtime).open(path, options, types_of(inputs), types_of(outputs), device=device)
    except AssayError:
        raise
    except Exception as error:  # exceptions of libraries share no base but this
        raise ExportFailedError(
            f"{served_runtime(runtime).family.words} does not load the graph to be served", found=one_line(error)
        ) from error


def run_graph(opened: Opened, records: Records, outputs: Sequence[ServedTensor], batch: int) -> Records:
    """Return the answers to all records, `batch` at a time (the last one may be smaller); one by one and without a
    batch if 0.

    Raises:
        ExportFailedError: it does not run, or answers in another type or shape.
    """
    found = np.zeros(len(records), record_type(outputs))
    names, slowest = [one.name for one in outputs], 0.0
    for start in range(0, len(records), batch or 1):
        whole = slice(start, start + batch) if batch else start
        part = records[whole]
        feeds = {name: np.asarray(part[name], order="C") for name in records.dtype.names or ()}
        begun = time.monotonic()
        try:
            with step("A call of the graph to be served", in_proportion(slowest, SLOWER)):
                answer = opened(feeds, names)
        except Exception as error:  # exceptions of libraries share no base but this
            raise ExportFailedError("The runtime does not run the graph to be served", found=one_line(error)) from error
        slowest = max(slowest, time.monotonic() - begun)
        for name, value in zip(names, map(np.asarray, answer), strict=True):
            wanted = np.asarray(found[whole][name])
            if (value.dtype, value.shape) != (wanted.dtype, wanted.shape):
                raise ExportFailedError(
                    f"The output '{name}' of the graph to be served differs from the specification",
                    expected=f"{wanted.dtype} {wanted.shape}",
                    found=f"{value.dtype} {value.shape}",
                )
            found[name][whole] = value
    return found


def _spread(others: Sequence[Records], found: Records, output: ServedTensor) -> float:
    """Return the largest distance of the others from the answers found."""
    return max(float(errors_of({output.name: one[output.name]}, found, output).max()) for one in others)


def check_answers(probabilities: NDArray[np.float32], label: NDArray[np.int64]) -> None:
    """
    Raises:
        ExportFailedError: the outputs are not probabilities, or the label is not the largest.
    """
    sums = probabilities.astype(np.float64).sum(axis=1)
    if not np.isfinite(probabilities).all() or (probabilities < 0).any() or (np.abs(sums - 1) > 1e-5).any():
        raise ExportFailedError(
            "The deployable graph's answers are not probabilities",
            expected="finite values of at least 0 that sum to 1",
            found=f"sums from {sums.min():.6g} to {sums.max():.6g}",
        )
    chosen = np.take_along_axis(probabilities, label[:, None], axis=1)[:, 0]
    if (chosen < probabilities.max(axis=1)).any():
        raise ExportFailedError("The deployable graph's label is not its most probable class")


if __name__ == "__main__":
    serve_job(CONTRACT.done_by(work))
