"""Where the exports of a study go wrong that do: those that failed their checks, and those that the audit refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assay.audit import Comparison, Localisation
from assay.errors import AssayError
from assay.results import Export
from bench.run import Run, Subject
from export.record import MODEL_FILE
from export.localise_job import find_partings
from export.run import artifact_folder

REPRO = "repro"


def localisations_of(
    run: Run, subject: Subject, exports: Sequence[Export], comparisons: Sequence[Comparison], work: Path
) -> list[Localisation]:
    """The layer and node of every wrong export of one model, its smallest repro in the study's folder `repro`.

    A file that cannot be followed, or that is right where only a runtime is wrong, has none.
    """
    refused = {one.subject.rpartition("@")[2] for one in comparisons if not one.passed and "@" in one.subject}
    found = []
    for export in exports:
        is_this_model = (export.architecture, export.size) == (subject.spec.architecture, subject.spec.size)
        if not is_this_model or (export.status == "ok" and export.exporter not in refused):
            continue
        file = artifact_folder(export, run.folder / "onnx") / MODEL_FILE
        if file.is_file() and "layout" in export.made_by and export.precision == "fp32":
            name = f"{export.architecture}-{export.size}-{export.exporter}"
            try:
                found += find_partings(
                    subject.weights,
                    run.images(subject.spec.size),
                    file,
                    export.made_by["layout"],
                    run.folder / REPRO / name,
                    work / f"localise-{name}.log",
                )
            except AssayError as error:
                run.narrator.note(f"{name} could not be followed: {error}")
    return found
