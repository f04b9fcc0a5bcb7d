"""Candidates whose runtimes load a format of their own, made of the model before anything is timed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from assay.bench.timing.workers import Candidate
from assay.errors import AssayError, DiskError
from assay.export.programs.programs import Workshop, program_of, seconds_of
from assay.registry import RUNTIMES
from assay.runtimes.entry import AS_IT_COMES

Refused = tuple[tuple[Candidate, str], ...]


def with_programs(candidates: Iterable[Candidate], workshop: Workshop) -> tuple[tuple[Candidate, ...], Refused]:
    """Return the candidates that can be timed, and those for which their runtime's format cannot be made, with reasons.

    Raises:
        DiskError: the machine cannot write.
    """
    able: list[Candidate] = []
    refused: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        entry, files = RUNTIMES[candidate.runtime], candidate.model
        reducing = entry.maker or entry.precision not in {"", AS_IT_COMES}
        if reducing and files.precision != "fp32":
            continue  # what is reduced already is not reduced again
        if not entry.maker:
            able.append(candidate)
            continue
        onnx = files.onnx if entry.runs_files else None
        try:
            made = program_of(entry, files.model, workshop, onnx, files.onnx_layout)
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError as error:
            refused.append((candidate, str(error).replace(f"{workshop.store.folder.parent}/", "")))
        else:
            program = files.model_copy(update={"program": made.folder, "program_key": made.key})
            able.append(replace(candidate, model=program, made_seconds=seconds_of(made)))
    return tuple(able), tuple(refused)
