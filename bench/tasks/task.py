"""The definition of a task: everything that a kind of answer adds to the comparison of numbers that every model has.

Code that judges, describes or shows anything about a task asks here, by the name on record; no other code knows which
tasks there are. The base class adds nothing to the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from assay.entries import load_target
from assay.errors import FailedError, InputError
from assay.numerics.classification.pictured import FlippedImage, WholeSplit
from assay.numerics.judgement import Judgement
from assay.numerics.served import Records, ServedTensor
from assay.numerics.ties.deciding import Deciding
from assay.records.audit import Comparison, ModelAudit
from assay.records.base import Interval, Record
from assay.records.deployment import ServedTolerance
from assay.records.results import Agreement, Results
from assay.registry import TASKS
from assay.train.brought.model import Location, Tensor

if TYPE_CHECKING:
    from assay.bench.auditing.hard_inputs import NamedImages
    from assay.bench.auditing.runs import Inputs
    from assay.bench.brought.compare import ComparedModel
    from assay.bench.report.evidence import Evidence
    from assay.bench.report.page.blocks import Column, Section, Value
    from assay.bench.run import Run, TrainedModel
    from assay.jobs.pace import Pace

Array = NDArray[Any]


@dataclass(frozen=True)
class AnswersBeside:
    """Answers in a further output of the model, as `Answers` has them."""

    output: Tensor
    base: Array
    found: Array


@dataclass(frozen=True)
class Answers:
    """One subject's answers in one output, and the answers they are compared with.

    Attributes:
        base, found: arrays (records, numbers) of the same records, as `assay.train.brought.arrays.rows_of` has them.
        against: description of `base`, in words.
        tolerance: tolerated distance from `base`; deciding values that are closer than that to each other tie.
        labels: true answers of each record, where they were given.
        decider: deciding values of this output, where it has classes itself.
        threshold: number above which a record is of class 1, where the output has one number for a decision.
        others: answers in the model's other outputs.
    """

    output: Tensor
    base: Array
    found: Array
    against: str
    tolerance: float
    labels: Array | None = None
    decider: Deciding | None = None
    threshold: float | None = None
    others: Sequence[AnswersBeside] = ()


@dataclass(frozen=True)
class ServedAnswers:
    """Answers of a deployable graph to a whole split, and the reference they are compared with.

    Attributes:
        found: answers (records,), with a field for each output.
        reference: numbers of the export's output, (records, numbers).
        in_fp32: whether the reference was computed in fp32, where the audit has no float64 for all records.
        labels: int64 (records,).
        audit: record with the tolerance of a number.
        precision: precision of the graph.
        spread: largest difference between correct evaluations of the file, by output.
    """

    found: Records
    reference: NDArray[np.floating]
    in_fp32: bool
    labels: NDArray[np.int64]
    audit: ModelAudit
    precision: str
    spread: Mapping[str, float]


@dataclass(frozen=True)
class ColumnOfSubject:
    """A column that a task adds to an audit's tables.

    Attributes:
        short: its heading on the terminal; "" leaves it out there.
        of: returns the worst of all comparisons of one subject, or of a single one.
    """

    column: Column
    short: str
    of: Callable[[Sequence[Comparison]], Value]


@dataclass(frozen=True)
class KnownQuality:
    """The known quality of one cell's answers.

    Attributes:
        interval: share of right answers, with open ones counted both ways.
        images: number of inputs it is of, the first so many in the order in which audits draw them.
        open: number of inputs whose decision is not proven.
        inferred: whether it is the reference's on the inputs for which the cell's own outputs were not computed.
    """

    interval: Interval
    images: int
    open: int = 0
    inferred: bool = False


@dataclass(frozen=True)
class WholeModel:
    """The findings about a model that is compared in several parts.

    Attributes:
        sentences: for the terminal.
        refusals: why the model is refused; empty where it is not.
        page: the page to read.
    """

    record: Record
    sentences: list[str]
    refusals: list[str]
    page: Path


Shape = tuple[int, int, int]


class Task:
    """How answers are judged, in one place.

    Attributes:
        name: name as in `assay.registry.TASKS`.
        quality: the measure of right answers for which a user may demand a least value, and which reports draw
            against time; "" where there is none.
        changed_heading: heading for the number of decisions that changed.
        chart_note: the same in the note of a mark.
        judges_images: whether it judges a study's images, each of which has one class or no right answer.
        is_counted_in_agreement: whether the decision is the largest number of a record, which every comparison
            counts.
        not_followed: advice where a file in less than fp32 does not follow the reference, or "".
    """

    name: ClassVar[str]
    quality: ClassVar[str] = ""
    changed_heading: ClassVar[str]
    chart_note: ClassVar[str]
    judges_images: ClassVar[bool] = True
    is_counted_in_agreement: ClassVar[bool] = True
    not_followed: ClassVar[str] = ""

    # The models that one is compared as.

    def parts_of(self, location: Location) -> dict[str, Location]:
        """Return the models that a model is compared as, by their names; one without a name where it is itself."""
        return {"": location}

    def sizes_of(
        self, dimensions: Mapping[str, int], sizes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, tuple[int, ...]]:
        """Return the sizes at which several parts are compared, by dimension.

        Args:
            dimensions, sizes: those that the user names, see `assay.bench.brought.work.Wanted`.

        Raises:
            InputError: the parts cannot be put together at these sizes.
        """
        raise NotImplementedError

    def put_together(self, parts: Mapping[str, ComparedModel], folder: Path, model: str) -> WholeModel:
        """Compare the model as a whole, where it has several parts, and write the findings.

        Args:
            parts: every part, compared, in a folder of its own in `folder`.
            model: the model as its user names it.

        Raises:
            AssayError: the parts do not fit together.
        """
        raise NotImplementedError

    # Judging.

    def output_of(
        self, outputs: Sequence[Tensor], labels: Array | None, threshold: float | None = None
    ) -> Tensor | None:
        """Return the output with the decisions, or None where the task has none.

        Args:
            threshold: see `Answers`; None where none was given.

        Raises:
            InputError: no output fits the task, the labels and the threshold, or several do, or a label is not a class.
        """
        if threshold is not None:
            raise InputError(
                f"--threshold sets the number above which a record is of class 1, and the task '{self.name}' "
                "has no classes",
                remedy="Name the task: " + " or ".join(f"--task {name}" for name in TASKS if task(name).quality),
            )
        if labels is not None:
            raise InputError(
                f"--labels says what is right, and the task '{self.name}' has no right or wrong answers",
                remedy="Name the task, "
                + " or ".join(f"--task {name}" for name in TASKS if task(name).quality)
                + ", or a metric, --metric FILE.py:FUNCTION",
            )
        return None

    def judge(self, answers: Answers) -> Judgement:
        """Judge decisions and how many of them are right; called where `output_of` returned an output."""
        raise NotImplementedError

    def reason_against_reduced(self, answers: Answers, found: Judgement) -> str:
        """Say why decisions in reduced precision are too far from fp32's, or ""; besides the rule for their numbers.

        Args:
            found: judgement by `judge` of the answers.
        """
        return ""

    # Further inputs of an audit.

    def made_inputs(self, shape: Shape) -> Mapping[str, NamedImages]:
        """Return further inputs by the name of their set, finite, for an image of this shape."""
        return {}

    def searched_inputs(
        self,
        run: Run,
        subject: TrainedModel,
        images: NDArray[np.float32],
        pace: Callable[[], Pace | None],
        work: Path,
    ) -> Sequence[Inputs]:
        """Search for further inputs with one of our architectures, beginning at some of its test images.

        Args:
            images: normalised images (images, height, width, channels).
            pace: pace of the model, to which limits are proportional.
            work: folder for the start of the search.

        Raises:
            AssayError: bad input or missing software.
        """
        return ()

    def whole_split(self, logits: NDArray[np.float64], labels: NDArray[np.int64]) -> WholeSplit | None:
        """Return the whole split's measures by the reference's logits (images, classes), for an audit of part of it."""
        return None

    def changed_images(
        self, comparisons: Sequence[Comparison], sets: Sequence[Inputs], places: Mapping[str, NDArray[np.int64]]
    ) -> list[FlippedImage]:
        """Return the images whose decision differs in any comparison, with their pictures.

        Args:
            places: by set of inputs, the places of its images (or of their originals) in the stored split.
        """
        return []

    def known_quality(self, model: ModelAudit, comparisons: Sequence[Comparison]) -> KnownQuality:
        """Return the measure `quality` of a subject that passed, from all its comparisons in an audit.

        Raises:
            FailedError: the audit does not have it.
        """
        return known_by(self.quality, comparisons)

    # Serving one of our architectures, whose export gets pixels put before it and decisions after it.

    def served_outputs(self, width: int) -> list[ServedTensor]:
        """Return a server's outputs for a record, from so many numbers of the export."""
        raise InputError(
            f"Models of the task '{self.name}' cannot be served", expected="a model of your own, served as it is"
        )

    def judge_served(self, answers: ServedAnswers) -> tuple[dict[str, ServedTolerance], Interval]:
        """Return, by output, how far a server may be from these answers, and how many of them are right.

        Raises:
            FailedError: they are further from the reference than rounding explains, or the policy is not met.
        """
        raise NotImplementedError

    def most_served_tolerance(self, audited: float, classes: int, precision: str) -> float:
        """Return the upper limit of a served number's tolerance, where the audit has this one for the export's."""
        raise NotImplementedError

    # Words.

    def changed_in_all(self, flips: int) -> str:
        """Return the end of the sentence that all comparisons agree: "; no predicted class changed"; "" for nothing."""
        return ""

    def agrees_though(self, worst: Agreement) -> str:
        """Say which decisions changed in spite of agreement: "2 of 256 images changed class"."""
        raise NotImplementedError

    def told(self, results: Results) -> list[str]:
        """Return sentences on the decisions of a user's model, for the terminal and the top of the report."""
        return []

    # Reports.

    def sections(self) -> Sequence[Callable[[Evidence], Section | None]]:
        """Return the sections of the report that the task asks for, in order."""
        return ()

    def details(self) -> Sequence[Callable[[Evidence], Section | None]]:
        """Return the sections that it asks for among the details, which are folded."""
        return ()

    def subject_columns(self) -> Sequence[ColumnOfSubject]:
        """Return the columns of an audit's table of subjects."""
        return ()

    def comparison_columns(self) -> Sequence[ColumnOfSubject]:
        """Return the columns of an audit's table of single comparisons."""
        return ()

    def changed_in_audit(self, models: Sequence[ModelAudit]) -> str:
        """Say which decisions changed in an audit, for its headline: "no class changes"; "" for nothing."""
        return ""

    def audit_section(self, model: ModelAudit, said: str, identifier: str) -> Section | None:
        """Show the decisions of one model on an audit's page; `said` is whose data it is."""
        return None


def labelled_sections() -> Sequence[Callable[[Evidence], Section | None]]:
    """Return the sections of a report on right answers; each is left out where none are known."""
    from assay.bench.report.sections.models.scores import scores  # noqa: PLC0415  they draw
    from assay.bench.report.sections.reasons.pareto import quality_against_latency  # noqa: PLC0415

    return scores, quality_against_latency


def task(name: str) -> Task:
    """
    Raises:
        InputError: there is no such task.
    """
    found = load_target(name, TASKS[name].target)
    assert isinstance(found, Task), f"the entry of the task '{name}' does not name a rule"
    return found


def task_of_images(name: str) -> Task:
    """Return the task of a study, whose images have a class each.

    Raises:
        InputError: there is no such task, or it judges no such images.
    """
    found = task(name)
    if not found.judges_images:
        fitting = " or ".join(f'"{one}"' for one in TASKS if task(one).judges_images)
        raise InputError(f"The task '{name}' is not for studies", expected=f"task = {fitting}, for its images")
    return found


def task_of(record: Results | ModelAudit) -> Task:
    """Return the task by which the answers on record were judged."""
    return task(record.task)


def known_by(measure: str, comparisons: Sequence[Comparison]) -> KnownQuality:
    """Return a measure of a subject that passed, from all its comparisons in an audit.

    Raises:
        FailedError: the audit does not have it.
    """
    for one in comparisons:
        found = one.judgement.quality(measure) if one.judgement else None
        if one.judgement and found:
            return KnownQuality(found.value, one.judgement.records)
    raise FailedError(f"the audit has no {measure or 'measure of how right answers are'} of it")
