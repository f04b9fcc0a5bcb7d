"""Programs for runtimes as the conductor sees them: made by a job once and kept in the store, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from assay import __version__
from assay.boxed.boxing import Box
from assay.errors import AssayError, DiskError, ExportFailedError, NotInstalledError, WorkerError
from assay.export.programs.program_job import PROGRAM
from assay.export.programs.request import ProgramRequest
from assay.jobs.host import Starter
from assay.jobs.process import HERE
from assay.jobs.running import run_job
from assay.registry import installed_versions
from assay.runtimes.entry import RuntimeEntry
from assay.spec import AS_THE_DRIVER_NUMBERS
from assay.steps import LONGER, MOST_SECONDS, Limit, limits_told
from assay.store import TRY_AGAIN, Artifact, Store, file_sha256
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

KIND, LOG_FILE, REASON = "program", "program.log", "reason"
MAKERS = ("tensorflow", "tensorflow-cpu", "torch", "torchao", "onnx", "nncf")
"""Packages whose versions affect the result, in addition to the runtime's own."""


@dataclass(frozen=True)
class Workshop:
    """The place where programs are made.

    Attributes:
        store: the store that keeps them.
        calibration: returns the .npy file from which ranges are taken, when it is first needed; None where there is
            none.
        host: the host that runs the jobs.
        processor: key of the processor (`assay.fingerprint.Fingerprint.key`) for which machine code is made.
        device: device that the study asks for, "cpu" or "cuda"; a runtime without it has its own.
        gpus: names and drivers of the GPUs, for which code is made in a study on one.
        tell: called with what is being made.
        limit_seconds: time limit of one program.
        trusted: whether a user's model runs outside its box.
        call_limit: seconds that the user lets one call of the model take, if given.
        told: see `assay.boxed.boxing.Box`.
    """

    store: Store
    calibration: Callable[[], Path | None]
    host: Starter = HERE
    processor: str = ""
    device: str = "cpu"
    gpus: tuple[str, ...] = ()
    tell: Callable[[str], None] = lambda text: None
    limit_seconds: float = MOST_SECONDS
    trusted: bool = False
    call_limit: float | None = None
    told: Callable[[dict[str, str]], None] | None = None


def program_of(
    entry: RuntimeEntry,
    model: BuiltModel | UserModel,
    workshop: Workshop,
    onnx: Path | None = None,
    layout: str = "NHWC",
) -> Artifact:
    """Return a runtime's program for a model: the one that is kept, or one that is made now.

    Args:
        onnx: the ONNX file that it is made from, where the runtime runs those; `layout` is that of its images.

    Raises:
        ExportFailedError: it cannot be made, for the reason that the job gave, now or earlier.
        NotInstalledError: a package is missing.
        AssayError: there is nothing to calibrate with, or a user's file fails.
    """
    calibration = workshop.calibration() if entry.calibrated else None
    device = entry.asked_device(workshop.device)
    inputs = _determined_by(entry, model, workshop, onnx, calibration)

    def fill(work: Path) -> dict[str, JsonValue]:
        workshop.tell(f"making the file of {model.name} for {entry.name}")
        request = ProgramRequest(
            runtime=entry.name,
            model=model,
            onnx=onnx,
            layout=layout,
            calibration=calibration,
            device=device,
            folder=work,
        )
        boxed = isinstance(model, UserModel)
        try:
            made = run_job(
                replace(PROGRAM, sees_gpu=device != "cpu"),
                request,
                workshop.store.folder / "logs" / f"{entry.name}-{model.name}.log",
                limit_seconds=Limit(
                    workshop.limit_seconds, f"Making the file for {entry.name}", LONGER if boxed else ""
                ),
                environment={**limits_told(workshop.call_limit), **({} if device == "cpu" else AS_THE_DRIVER_NUMBERS)},
                box=Box((work,), workshop.trusted, told=workshop.told) if boxed else None,
                host=workshop.host,
            )
        except (DiskError, NotInstalledError):
            raise
        except AssayError as error:
            return {REASON: str(error), "exit_code": error.exit_code, TRY_AGAIN: isinstance(error, WorkerError)}
        return {"seconds": made.seconds, **made.facts}

    found = workshop.store.kept(KIND, inputs, fill, name=f"{model.name}-{entry.name}")
    if reason := found.manifest.facts.get(REASON):
        raise ExportFailedError(str(reason))
    return found


def seconds_of(made: Artifact) -> float | None:
    """Return the seconds of making it, without the framework's import, or None where its manifest has none."""
    seconds = made.manifest.facts.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def _determined_by(
    entry: RuntimeEntry,
    model: BuiltModel | UserModel,
    workshop: Workshop,
    onnx: Path | None,
    calibration: Path | None,
) -> dict[str, JsonValue]:
    """Return all that determines the result."""
    on_gpu = entry.makes_code and entry.asked_device(workshop.device) != "cpu"
    return {
        "runtime": entry.name,
        "model": model.fingerprint,
        "onnx": file_sha256(onnx) if onnx else "",
        "inputs": [one.model_dump(mode="json") for one in (*model.inputs, *model.outputs)],
        "calibration": file_sha256(calibration) if calibration else "",
        "versions": {**installed_versions(MAKERS), **entry.versions(), "assay": __version__},
        **({"processor": workshop.processor} if entry.makes_code else {}),
        **({"device": workshop.device, "gpus": list(workshop.gpus)} if on_gpu else {}),
    }
