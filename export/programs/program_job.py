"""A program for one runtime, made from one model: `python -P -m assay.export.programs.program_job`, a process of its
own.
"""

from __future__ import annotations

import time
import traceback

from assay.entries import load_function
from assay.errors import AssayError, ExportFailedError
from assay.export.programs.request import Make, ProgramRequest
from assay.files.disk import disk_error_in
from assay.foreign import said_by
from assay.jobs.job import Job
from assay.jobs.serving import serve_job
from assay.records.base import Record
from assay.registry import RUNTIMES
from assay.steps import MOST_SECONDS, step


class Made(Record):
    """The seconds that making it took, without the framework's import, and the maker's facts about it."""

    seconds: float
    facts: dict[str, str]


PROGRAM = Job("assay.export.programs.program_job", "program", ProgramRequest, Made)


def work(request: ProgramRequest) -> Made:
    """Make the program.

    Raises:
        NotInstalledError: a package is missing.
        InputError: there is nothing to calibrate with, or it does not fit the model.
        ExportFailedError: the converter refuses the model, or writes nothing.
    """
    entry = RUNTIMES[request.runtime]
    make: Make = load_function(entry.name, entry.maker, entry.installed_by)
    begun = time.perf_counter()
    with step(f"Making the file for {entry.name}", MOST_SECONDS):
        facts = _made(make, request)
    if not any(request.folder.iterdir()):
        raise ExportFailedError(f"The conversion wrote no file for {entry.name}")
    return Made(seconds=time.perf_counter() - begun, facts=facts)


def _made(make: Make, request: ProgramRequest) -> dict[str, str]:
    try:
        return make(request)
    except AssayError:
        raise
    except Exception as error:  # converters raise whatever their parts raise
        if full := disk_error_in(error):
            raise full from error
        traceback.print_exc()
        raise ExportFailedError(
            f"{request.model.name} cannot be converted for {request.runtime}",
            found=f"{type(error).__name__}: {said_by(error)}",
        ) from error


if __name__ == "__main__":
    serve_job(PROGRAM.done_by(work))
