"""The search for where the wrong exports of a model go wrong: those that failed their checks, and those that its audit
refuses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.bench.course import Course
from assay.errors import AssayError, DiskError
from assay.export.checking.edges import is_wrong_at_edges_alone
from assay.export.checking.lacking import lacks_operator
from assay.export.localise.localise_job import DEPARTURES, FOLLOWERS, PARTINGS, DeparturesRequest, PartingsRequest
from assay.export.record import MODEL_FILE
from assay.export.run import artifact_folder
from assay.jobs.pace import Sized, allowed
from assay.numerics.guilt import EVALUATOR, UNOPTIMISED
from assay.records.audit import AUDIT_FILE, Comparison, read_audit
from assay.records.localisation import Localisation
from assay.records.results import Export
from assay.registry import RUNTIMES
from assay.steps import Limit, size_of
from assay.store import reporting_disk_errors
from assay.train.brought.model import UserModel
from assay.train.built import BuiltModel

REPRO = "repro"
RUNNERS = {one.name: one.runner for entry in RUNTIMES.values() for one in RUNTIMES.levels(entry) if one.runner}
"""The names of runtimes in `on_onnx_runners`, by the users' names; the first does least to a graph."""


@dataclass(frozen=True)
class Followable:
    """A model whose exports may go wrong, and inputs with which to find out where.

    Attributes:
        records: .npy file of images, or of a user's records.
        native: .npy file of a user's model's outputs for them; those of our models are computed.
        edges: the same two files for a call at the edges of a user's model's input.
        pace: pace of the model, to which limits are in proportion.
        operators: operators of its framework that compute in a call, as far as they are known.
    """

    model: BuiltModel | UserModel
    records: Path
    native: Path | None = None
    edges: tuple[Path, Path] | None = None
    pace: Sized | None = None
    operators: Collection[str] = ()

    @property
    def has_steps(self) -> bool:
        """Whether the model can be followed: for a given ONNX file there is nothing else to follow."""
        return isinstance(self.model, BuiltModel) or self.model.kind in FOLLOWERS

    def label(self, export: Export) -> str:
        """Return the name of an export in a folder of logs, or of repros."""
        if isinstance(self.model, UserModel):
            return export.exporter
        return f"{export.architecture}-{export.size}-{export.exporter}"


def localisations_of(
    course: Course, subject: Followable, exports: Iterable[Export], comparisons: Sequence[Comparison]
) -> list[Localisation]:
    """Find the layer and node of every wrong export of one model, with its smallest repro in the course's folder
    `repro`.

    If a file is right and only a runtime is wrong, the result is the operator of that runtime, without a repro. An
    export that cannot be followed has no result, but a note on why.
    """
    found: list[Localisation] = []
    for export in exports:
        try:
            nodes = _followed(course, subject, export, comparisons)
        except DiskError:
            raise  # the machine's failure, not this one's
        except AssayError as error:
            course.narrator.note(f"where {subject.label(export)} goes wrong could not be found: {error}")
            continue
        told = [one.model_copy(update={"subject": export.exporter}) for one in nodes]
        for one in told:
            course.narrator.note(str(one))
        found += told
    return found


def may_be_wrong(export: Export) -> bool:
    """Return whether there is a file that may be at fault: nothing is known about one that its runtime lacks an
    operator for.
    """
    judged = not export.undecided and not lacks_operator(export.reason) and export.precision == "fp32"
    return export.status == "failed" and bool(export.opset) and judged


def _wrong_and_right(comparisons: Iterable[Comparison], export: Export) -> tuple[list[str], str]:
    """Return the runtimes of a file that the audit refuses, or else the witness that changes it most among those that
    its check found wrong; and a runtime that is right about it, or "".
    """
    runners = {f"{name}@{export.exporter}": runner for name, runner in RUNNERS.items()}
    wrong, right = disagreeing(outcomes_of(comparisons, runners))
    wrong = wrong or [name for name in export.wrong_in if name in RUNNERS.values()][-1:]
    return wrong, export.right_in or right


def _followed(
    course: Course, subject: Followable, export: Export, comparisons: Sequence[Comparison]
) -> list[Localisation]:
    """Find where one export goes wrong, or the runtimes that run it wrongly."""
    file = artifact_folder(export, course.store("onnx")) / MODEL_FILE
    wrong, right = _wrong_and_right(comparisons, export)
    failed = may_be_wrong(export)
    is_good = export.status == "ok" and export.precision == "fp32"
    if not file.is_file() or not (failed or (is_good and wrong)):
        return []
    label = subject.label(export)
    limit = Limit(
        allowed("following", subject.pace, size_of(file)), f"Searching for the node at which {label} goes wrong"
    )
    log, layout = course.folder / "logs" / f"localise-{label}.log", export.made_by.get("layout", "")
    nodes: list[Localisation] = []
    if subject.has_steps and (failed or not right):
        at_edges = subject.edges if is_wrong_at_edges_alone(export.agreement) else None
        records, native = at_edges or (subject.records, subject.native)
        repro = course.folder / REPRO / label
        with reporting_disk_errors(repro):
            repro.mkdir(parents=True, exist_ok=True)
        course.narrator.tell(f"searching for the node at which the export by {export.exporter} goes wrong")
        asked = PartingsRequest(
            model=subject.model, file=file, layout=layout, records=records, native=native, repro=repro
        )
        nodes = course.ask(PARTINGS, asked, log, limit, repro).found
    if nodes or not is_good:
        return nodes
    further = DeparturesRequest(
        model=subject.model,
        file=file,
        layout=layout,
        records=subject.records,
        wrong=tuple(wrong),
        right=right or (UNOPTIMISED if UNOPTIMISED not in wrong else EVALUATOR),
    )
    return course.ask(DEPARTURES, further, log, limit).found


def outcomes_of(comparisons: Iterable[Comparison], runners: Mapping[str, str]) -> dict[str, bool]:
    """Return whether every comparison of a runtime passed, by its name in `RUNNERS`; a runtime of which nobody can say
    that it is wrong, and no more, is left out.

    Args:
        runners: name of the runner for each subject; other subjects are left out.
    """
    found: dict[str, bool] = {}
    unsure: set[str] = set()
    for one in comparisons:
        if one.subject in runners:
            runner, is_unsure = runners[one.subject], one.ground == "open"
            found[runner] = found.get(runner, True) and (one.passed or is_unsure)
            unsure |= {runner} if is_unsure else set()
    return {runner: passed for runner, passed in found.items() if not (passed and runner in unsure)}


def disagreeing(outcomes: Mapping[str, bool]) -> tuple[list[str], str]:
    """Return the runtimes that are wrong on a file, and the right one that does least to the graph, or ""."""
    wrong = [name for name in RUNNERS.values() if outcomes.get(name) is False]
    return wrong, next((name for name in RUNNERS.values() if outcomes.get(name)), "")


def located(folder: Path) -> list[Localisation]:
    """Return where the audit beside the results says models go wrong; empty without an audit."""
    if not (folder / AUDIT_FILE).is_file():
        return []
    return [one for model in read_audit(folder / AUDIT_FILE).models for one in model.localisations]
