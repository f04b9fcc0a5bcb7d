"""Where the wrong exports of a study go wrong: those that failed their checks, and those that the audit refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from assay.bench.run import Run, TrainedModel
from assay.errors import AssayError, DiskError
from assay.export.localise.localise_job import DEPARTURES, PARTINGS, DeparturesRequest, PartingsRequest
from assay.export.record import MODEL_FILE
from assay.export.reference.reference import CPU_ONLY, ReferenceRequest, reference_artifact
from assay.export.run import artifact_folder
from assay.jobs.pace import Pace, allowed, pace_in
from assay.jobs.running import run_job
from assay.records.audit import Comparison
from assay.records.localisation import Localisation
from assay.records.results import Export
from assay.registry import RUNTIMES
from assay.steps import Limit, size_of

REPRO = "repro"
RUNNERS = {one.name: one.runner for entry in RUNTIMES.values() for one in RUNTIMES.levels(entry) if one.runner}
"""What `on_onnx_runners` calls a runtime, by the name that a user gives it; the first does least to a graph."""


def localisations_of(
    run: Run, subject: TrainedModel, exports: Sequence[Export], comparisons: Sequence[Comparison], work: Path
) -> list[Localisation]:
    """The layer and node of every wrong export of one model, its smallest repro in the study's folder `repro`.

    Where a file is right and only a runtime is wrong, it is the operator of that runtime, without a repro. What cannot
    be followed has none.
    """
    refused = {one.subject.rpartition("@")[2] for one in comparisons if not one.passed and "@" in one.subject}
    found = []
    for export in exports:
        is_this_model = (export.architecture, export.size) == (subject.spec.architecture, subject.spec.size)
        is_wrong = export.status != "ok" or export.exporter in refused
        if is_this_model and is_wrong and export.precision == "fp32" and "layout" in export.made_by:
            try:
                nodes = _followed(run, subject, export, comparisons, work)
                found += [one.model_copy(update={"subject": export.exporter}) for one in nodes]
            except DiskError:
                raise  # the machine's failure, not this one's
            except AssayError as error:
                run.narrator.note(f"{_label(export)} could not be followed: {error}")
    return found


def _followed(
    run: Run, subject: TrainedModel, export: Export, comparisons: Sequence[Comparison], work: Path
) -> list[Localisation]:
    """Where one export goes wrong, or the runtimes that run it wrongly."""
    file = artifact_folder(export, run.store("onnx")) / MODEL_FILE
    if not file.is_file():
        return []
    layout, images = export.made_by["layout"], run.images(subject.spec.size)
    log = work / f"localise-{_label(export)}.log"
    repro = run.folder / REPRO / _label(export)
    limit = Limit(allowed("following", _pace(run, subject), size_of(file)), f"Following {_label(export)}")
    asked = PartingsRequest(model=subject.model, file=file, layout=layout, records=images, repro=repro)
    nodes = run_job(PARTINGS, asked, log, limit_seconds=limit, environment=CPU_ONLY, host=run.host).found
    runners = {f"{name}@{export.exporter}": runner for name, runner in RUNNERS.items()}
    wrong, right = disagreeing(outcomes_of(comparisons, runners))
    if nodes or not (wrong and right):
        return nodes
    further = DeparturesRequest(
        model=subject.model, file=file, layout=layout, records=images, wrong=tuple(wrong), right=right
    )
    return run_job(DEPARTURES, further, log, limit_seconds=limit, environment=CPU_ONLY, host=run.host).found


def _pace(run: Run, subject: TrainedModel) -> Pace | None:
    """What the model took when its reference was computed, which was kept then."""
    request = ReferenceRequest(subject.weights, run.images(subject.spec.size))
    found = reference_artifact(request, run.store("references"), run.narrator.bar, host=run.host)
    return pace_in(found.manifest.facts)


def _label(export: Export) -> str:
    return f"{export.architecture}-{export.size}-{export.exporter}"


def outcomes_of(comparisons: Iterable[Comparison], runners: Mapping[str, str]) -> dict[str, bool]:
    """Whether every comparison of a runtime passed, by `RUNNERS`' name of it.

    Args:
        runners: by subject, that name; other subjects are left out.
    """
    found: dict[str, bool] = {}
    for one in comparisons:
        if one.subject in runners:
            runner = runners[one.subject]
            found[runner] = found.get(runner, True) and one.passed
    return found


def disagreeing(outcomes: Mapping[str, bool]) -> tuple[list[str], str]:
    """The runtimes of one file that are wrong, and the right one that does least to the graph, or ""."""
    wrong = [name for name in RUNNERS.values() if outcomes.get(name) is False]
    return wrong, next((name for name in RUNNERS.values() if outcomes.get(name)), "")
