"""The record of an audit: what was compared with the float64 reference, how far apart it may be, and the verdict.

`audit.json` holds one `Audit`. It names files by their hashes and never by a path of the machine it was made on, so
that the same artifacts audited again give the same verdict anywhere.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from assay.errors import ArtifactError
from assay.files.audit_upgrades import upgraded
from assay.files.mistakes import mistake_in
from assay.files.texts import read_bytes
from assay.numerics.classification.pictured import FlippedImage, WholeSplit
from assay.numerics.judgement import Ground, Judgement, TaskName
from assay.numerics.numbers import Measured
from assay.records.base import OLDER, Record
from assay.records.localisation import Localisation

AUDIT_FILE = "audit.json"
PAGE_FILE = "audit.html"
SCHEMA_VERSION: Literal[4] = 4


class Ran(Record):
    """The device and precision that a subject computed in, as a call showed them, besides those requested.

    Attributes:
        asked_device, asked_precision: those requested of it, or "".
        device: where it computed; "" where that could not be seen, with the reason in `unseen`.
        precision: precision of its numbers; where it could not be seen, what the runtime says of itself.
        computed_in: precision of its kernels, where a call showed something other than `precision`.
        otherwise: deviations from what was asked, in words; if there are any, its results are no answer.
        subject: the runtime with its export, or the export itself.
        unseen: why the device could not be seen, or "".
    """

    subject: str
    asked_device: str = ""
    asked_precision: str = ""
    device: str = ""
    precision: str = ""
    computed_in: str = ""
    unseen: str = ""
    otherwise: list[str] = Field(default_factory=list)


class InputSet(Record):
    """A set of inputs that goes through every subject.

    Attributes:
        name: "test", "hard", "boundary", "special", or the output's name for foreign models.
        sha256: hash of the inputs' content as an .npy file.
        images: number of inputs; `sampled_from` is larger where the split was sampled.
        what: description of the inputs.
        sampled_from: number of inputs that it was drawn from.
    """

    name: str
    sha256: str
    images: int
    sampled_from: int
    what: str


class AuditedTolerance(Record):
    """The tolerance for one set of inputs, and its derivation.

    Attributes:
        for_subject: the native runtime that it judges, derived from the others alone; "" for all other subjects.
        native_errors: largest |output - reference| on these inputs, by native run.
        noise: largest difference between two runs of one native program.
        problem: why nothing can be compared, or "".
        inputs: name of the set of inputs.
        value: largest error that passes.
        derivation: how it came about, in words.
        scale: largest |reference| on these inputs, which relative numbers are shares of.
        own: the user's own tolerance, which stands beside the derived one; None without one.
    """

    inputs: str
    for_subject: str = ""
    value: float
    derivation: str
    scale: float
    native_errors: dict[str, float]
    noise: float
    problem: str = ""
    own: float | None = Field(default=None, ge=0)


PROGRAM = "program@"
"""The beginning of the names of what was made for runtimes, see `ModelAudit.keys`."""


class Comparison(Record):
    """The comparison of one subject on one set of inputs.

    Attributes:
        subject: the runtime with its export, "ort.cpu.basic@tf2onnx".
        batch, threads: how it was called.
        images: how many of the set were used, from its start.
        measured: None where nothing could be compared; `reason` says why.
        precision: the precision that the subject says it computes in. In a study only "fp32" is judged by the
            tolerance, all others by `assay.numerics.reduced`; a user's model always is.
        tolerance: largest error that passes; 0 where it is judged in another way.
        delivered: the arithmetic that the errors show; see `assay.numerics.numbers.delivered_precision`.
        passed: whether the largest error is tolerated (or the policy is met) and every value finite.
        note: why it is only on record and was not judged, or "".
        judgement: the task's judgement of the same outputs, where it has one apart from `measured`.
        inputs: name of the set of inputs.
        reason: why it did not pass, or why nothing could be compared, or "".
        ground: the ground of `reason`, where it is more than a distance.
        margin: see `Agreement`.
    """

    subject: str
    inputs: str
    batch: int
    threads: int
    images: int
    measured: Measured | None
    tolerance: float
    precision: str = "fp32"
    delivered: str = ""
    passed: bool
    reason: str = ""
    ground: Ground = ""
    note: str = ""
    judgement: Judgement | None = None
    margin: str = Field(default="", exclude_if=operator.not_)


class Determinism(Record):
    """A check of whether the bits of a subject's results depend on anything but the image.

    Attributes:
        images: number of images run each way.
        repeated: largest difference between two runs in one process; 0 means bit for bit equal, here and below.
        batches: largest difference between an image alone, among 3 and among 32.
        threads: largest difference between one thread and all, None where there is only one.
        subject: the runtime with its export.
    """

    subject: str
    images: int
    repeated: float
    batches: float
    threads: float | None


SPECIAL_VALUES_POLICY = (
    "NaN and infinity have to come out where they come out of the reference. IEEE 754-2019 has a maximum that passes "
    "NaN on and one that drops it, and neither ONNX nor the frameworks say which of them ReLU and max-pooling are. So "
    "a runtime that only loses NaN, and whose own ReLU or max-pooling was seen to lose one apart from any model, is "
    "named in a finding and does not fail the audit, unless --strict-nan was given; NaN that is lost with "
    "no such operator, or that appears where the reference has numbers, fails it, as it is the file's doing"
)


class Propagation(Record):
    """A subject's handling of NaN and infinity in the input.

    Attributes:
        swallowed: inputs whose reference has NaN where the subject has numbers; `invented` is the reverse.
        operators: the runtime's operators that lose a NaN even outside a model, and which: "a single NaN" among
            numbers, or "NaN everywhere". Tested only where something was swallowed.
        passed: whether neither happened.
        subject: the runtime with its export.
        inputs: names of the special inputs that it was given.
        invented: inputs whose reference has numbers where the subject has NaN.
    """

    subject: str
    inputs: list[str]
    swallowed: list[str]
    invented: list[str]
    operators: dict[str, str] = Field(default_factory=dict)
    passed: bool

    @property
    def is_the_runtimes_own(self) -> bool:
        """Whether the runtime's operators explain the loss; see `SPECIAL_VALUES_POLICY`."""
        return bool(self.swallowed) and not self.invented and bool(self.operators)

    def __str__(self) -> str:
        if self.passed:
            return f"{self.subject} passes NaN and infinity on"
        said = f"{self.subject} turns NaN or infinity into numbers on: {', '.join(self.swallowed) or 'none'}"
        if self.invented:
            said += f"; it invents NaN or infinity on: {', '.join(self.invented)}"
        if self.operators:
            lost = ", ".join(f"{name} loses {which}" for name, which in self.operators.items())
            said += f"; in this runtime, apart from any model, {lost}"
        return said


NOTHING = "nothing was compared"


class ModelAudit(Record):
    """The audit of one model: the same weights, or a pair of ONNX files.

    Attributes:
        task: task by which answers are judged; see `assay.bench.tasks`.
        reference: the program that computed the reference.
        reference_check: largest relative difference between it and an independent reference; None where there is none.
        models: sha256 of weights and ONNX files, by name.
        keys: keys of the artifacts, under names such as "weights" and "onnx@tf2onnx", by which results name what they
            timed, and "program@litert.int8" for what was made for a runtime with a format of its own.
        data_hash: hash of the content of all images at this size, as data sets record it; "" where there is none.
        ran: device and precision of each subject of a study; empty in older records, and if the results have them.
        localisations: where a failed candidate goes wrong.
        guilt: the party at fault for each file that anything gets wrong; see `assay.numerics.guilt`.
        classes: names of the classes, in their order; empty where they have none.
        flipped: images whose class changes in any subject, at most the first `MOST_PICTURES`.
        missing: requested subjects that could not be audited, with the reason.
        left_out: names of outputs that the user left out, and of those that have nothing to compare, with the reason.
        split: the reference on the whole test split; None where all was compared on all of it, or without classes.
        name: name of the model.
        inputs: the sets of inputs.
        tolerances: the tolerance of each set of inputs.
        comparisons: every subject on every set of inputs.
        determinism: whether bits depend on more than the input, subject by subject.
        propagation: behaviour of each subject with NaN and infinity.
    """

    name: str
    task: TaskName
    reference: str
    reference_check: float | None
    models: dict[str, str]
    keys: dict[str, str] = Field(default_factory=dict)
    data_hash: str = ""
    inputs: list[InputSet]
    tolerances: list[AuditedTolerance]
    comparisons: list[Comparison]
    ran: list[Ran] = Field(default_factory=list)
    determinism: list[Determinism] = Field(default_factory=list)
    propagation: list[Propagation] = Field(default_factory=list)
    localisations: list[Localisation] = Field(default_factory=list)
    guilt: list[str] = Field(default_factory=list)
    classes: list[str] = Field(default_factory=list)
    flipped: list[FlippedImage] = Field(default_factory=list)
    missing: dict[str, str] = Field(default_factory=dict)
    left_out: list[str] = Field(default_factory=list)
    split: WholeSplit | None = None

    def failures(self, *, strict_nan: bool = False) -> list[str]:
        """Return every reason why this model does not pass; comparing nothing is one."""
        found = [f"{one.subject}, {one.inputs}: {one.reason}" for one in self.comparisons if not one.passed]
        found += [
            str(one) for one in self.propagation if not one.passed and (strict_nan or not one.is_the_runtimes_own)
        ]
        found += [f"{name} was not audited: {reason}" for name, reason in self.missing.items()]
        return found if self.comparisons else [*found, NOTHING]

    def failures_of(self, subject: str, *, strict_nan: bool = False) -> list[str]:
        """Return every reason why one subject does not pass; also none where it was not compared."""
        found = [
            f"{one.inputs}, batch {one.batch}: {one.reason}"
            for one in self.comparisons
            if one.subject == subject and not one.passed
        ]
        return found + [
            str(one)
            for one in self.propagation
            if one.subject == subject and not one.passed and (strict_nan or not one.is_the_runtimes_own)
        ]

    def findings(self) -> list[str]:
        """Return what a reader has to know although it does not fail the audit: runtimes whose own operators lose NaN,
        subjects whose bits depend on more than the image, and comparisons that are only on record.
        """
        found = [str(one) for one in self.propagation if not one.passed and one.is_the_runtimes_own]
        found += [
            f"{one.subject} gives different bits when it runs again, by up to {one.repeated:.2g}"
            for one in self.determinism
            if one.repeated
        ]
        return [*found, *self._on_record_only()]

    def _on_record_only(self) -> Iterator[str]:
        """Say what was not judged and why, in one sentence for each precision and set of inputs."""
        alike: dict[tuple[str, str, str], list[tuple[float, str]]] = {}
        for one in self.comparisons:
            if one.note and one.measured:
                alike.setdefault((one.precision, one.inputs, one.note), []).append(
                    (one.measured.max_relative, one.subject)
                )
        for (precision, inputs, note), distances in alike.items():
            share, furthest = max(distances)
            yield (
                f"{precision} on the inputs '{inputs}' is recorded and not judged: {note}; the furthest, {furthest}, "
                f"is {share:.0%} of the largest output from the reference"
            )


class Audit(Record):
    """One audit.

    Attributes:
        created: UTC, ISO 8601.
        verdict: "passed" when there is no reason against it.
        reasons: why it failed, by model; `findings` must be known to readers but does not fail the audit.
        strict_nan: whether a runtime's own loss of NaN fails it too.
        data, notice: description of the images, and the notice that must appear wherever they are shown.
        command: the command that repeats this audit with the same artifacts.
        reduced_precision_policy: the rules of the models' tasks for computing in less than fp32.
        seconds: time that each part took.
        schema_version: version of this form of record.
        assay_version: version of Assay that made it.
        findings: facts that readers must know although they do not fail the audit.
        special_values_policy: the rule for NaN and infinity, in words.
        environment: the machine, and the versions of packages.
        models: the audit of each model.
    """

    schema_version: Literal[4] = SCHEMA_VERSION
    created: str
    assay_version: str
    verdict: Literal["passed", "failed"]
    reasons: list[str]
    findings: list[str] = Field(default_factory=list)
    strict_nan: bool = False
    data: str = ""
    notice: str = ""
    command: str
    special_values_policy: str = SPECIAL_VALUES_POLICY
    reduced_precision_policy: str = ""
    environment: dict[str, JsonValue]
    models: list[ModelAudit]
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"

    @property
    def is_empty(self) -> bool:
        """Whether it failed only for lack of anything to compare, as where time was up before the first cell."""
        return bool(self.models) and all(model.failures() == [NOTHING] for model in self.models)


def reasons_of(models: list[ModelAudit], *, strict_nan: bool = False) -> list[str]:
    """Return why an audit of these models fails; no reason means it passes. Having no model at all is a failure."""
    found = [f"{model.name}: {reason}" for model in models for reason in model.failures(strict_nan=strict_nan)]
    return found if models else ["no model was available to audit"]


def read_audit(path: Path) -> Audit:
    """Read an audit.json.

    Raises:
        ArtifactError: missing, damaged, or of another version.
    """
    try:
        return Audit.model_validate_json(upgraded(read_bytes(path)), context=OLDER)
    except OSError as error:
        raise ArtifactError(
            f"Cannot read an audit from {path}", expected="a file written by `assay audit`", found=mistake_in(error)
        ) from error
    except ValidationError as error:
        raise ArtifactError(f"{path} is not an audit of version {SCHEMA_VERSION}", found=mistake_in(error)) from error
