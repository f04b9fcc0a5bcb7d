"""The record of an audit: what was compared with the float64 reference, how far apart it may be, and the verdict.

`audit.json` holds one `Audit`. It names files by their hashes and never by a path of the machine it was made on, so
that the same artifacts audited again give the same verdict anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from assay.agreement import REDUCED_PRECISION_POLICY
from assay.errors import ArtifactError
from assay.numbers import Measured
from assay.records import Record

AUDIT_FILE = "audit.json"
SCHEMA_VERSION: Literal[1] = 1


class InputSet(Record):
    """Inputs that go through every subject.

    Attributes:
        name: "test", "hard", "boundary", "special", or the output's name for foreign models.
        sha256: of the inputs' content as an .npy file.
        images: how many; `sampled_from` is more where the split was sampled.
        what: what they are, in words.
    """

    name: str
    sha256: str
    images: int
    sampled_from: int
    what: str


class AuditedTolerance(Record):
    """The tolerance for one set of inputs and where it comes from.

    Attributes:
        for_subject: the native runtime that it judges, derived from the other ones alone; "" for all others.
        native_errors: by native run, largest |output - reference| on these inputs.
        noise: largest difference between two runs of one native program.
        problem: why nothing can be compared, or "".
    """

    inputs: str
    for_subject: str = ""
    value: float
    derivation: str
    scale: float
    native_errors: dict[str, float]
    noise: float
    problem: str = ""


class Comparison(Record):
    """One subject on one set of inputs.

    Attributes:
        subject: the runtime with its export, "ort.cpu.basic@tf2onnx".
        batch, threads: how it was called.
        images: the first so many of the set.
        measured: None where nothing could be compared; `reason` says why.
        precision: what the subject says that it computes in; only "fp32" is judged by the tolerance, all others by
            `assay.agreement.REDUCED_PRECISION_POLICY`.
        delivered: the arithmetic that the errors show, see `assay.numbers.delivered_precision`.
        passed: whether the largest error is tolerated (or the policy is met) and every value finite.
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


class Determinism(Record):
    """Whether the bits of a subject's results depend on anything but the image.

    Attributes:
        images: how many images were run each way.
        repeated: largest difference between two runs in one process; 0 is equal to the bit. The others likewise.
        batches: between an image alone, among 3 and among 32.
        threads: between one thread and all, None where there is only one.
    """

    subject: str
    images: int
    repeated: float
    batches: float
    threads: float | None


class Propagation(Record):
    """What a subject makes of NaN and infinity in the input.

    Attributes:
        swallowed: inputs whose reference has NaN where the subject has numbers; `invented` the other way round.
        passed: neither happened.
    """

    subject: str
    inputs: list[str]
    swallowed: list[str]
    invented: list[str]
    passed: bool


class Localisation(Record):
    """A node at which a candidate file parts from the reference: its inputs are right and its output is not.

    Attributes:
        node: its name, or that of its output where it has none.
        inputs, output: values of the candidate by name, constants left out.
        error_before: largest relative difference of its inputs from the reference's.
        error_after: the same of its output from the nearest one in its place; None where no value of the reference has
            as many numbers.
        runs: whether it can be computed at all.
        reference_nodes: what the reference does with the same inputs.
    """

    node: str
    operator: str
    attributes: dict[str, str]
    inputs: list[str]
    output: str
    error_before: float
    error_after: float | None
    runs: bool
    reference_nodes: list[str]

    def __str__(self) -> str:
        mine = ", ".join(f"{name}={value}" for name, value in self.attributes.items())
        after = "unlike anything" if self.error_after is None else f"{self.error_after:.2g}"
        after = after if self.runs else "no result"
        return (
            f"it goes wrong at node '{self.node}', {self.operator}({mine}): relative error {self.error_before:.2g} "
            f"before it, {after} after it; the reference has {', '.join(self.reference_nodes) or 'nothing'} there"
        )


class ModelAudit(Record):
    """One model: the same weights, or a pair of ONNX files.

    Attributes:
        reference: what computed it.
        reference_check: largest relative difference between it and the independent one; None where there is none.
        models: sha256 of weights and ONNX files, by name.
        localisations: where a failed candidate goes wrong.
        missing: what was asked for and could not be audited, with the reason.
    """

    name: str
    reference: str
    reference_check: float | None
    models: dict[str, str]
    inputs: list[InputSet]
    tolerances: list[AuditedTolerance]
    comparisons: list[Comparison]
    determinism: list[Determinism] = Field(default_factory=list)
    propagation: list[Propagation] = Field(default_factory=list)
    localisations: list[Localisation] = Field(default_factory=list)
    missing: dict[str, str] = Field(default_factory=dict)

    def failures(self) -> list[str]:
        """Every reason why this model does not pass; comparing nothing is one."""
        found = [f"{one.subject}, {one.inputs}: {one.reason}" for one in self.comparisons if not one.passed]
        found += [
            f"{one.subject}: NaN or infinity is lost on {', '.join(one.swallowed) or 'none'} and invented on "
            f"{', '.join(one.invented) or 'none'}"
            for one in self.propagation
            if not one.passed
        ]
        found += [f"{name} was not audited: {reason}" for name, reason in self.missing.items()]
        return found if self.comparisons else [*found, "nothing was compared"]


class Audit(Record):
    """One audit.

    Attributes:
        created: UTC, ISO 8601.
        verdict: "passed" when there is no reason against it.
        reasons: why it failed, by model.
        command: what makes the same audit again from the same artifacts.
        reduced_precision_policy: how what does not say that it computes in fp32 is judged.
        seconds: what each part took.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    created: str
    assay_version: str
    verdict: Literal["passed", "failed"]
    reasons: list[str]
    command: str
    reduced_precision_policy: str = REDUCED_PRECISION_POLICY
    environment: dict[str, JsonValue]
    models: list[ModelAudit]
    seconds: dict[str, float]

    @property
    def passed(self) -> bool:
        return self.verdict == "passed"


def reasons_of(models: list[ModelAudit]) -> list[str]:
    """Why an audit of these models fails; none means it passes. No model at all is a failure."""
    found = [f"{model.name}: {reason}" for model in models for reason in model.failures()]
    return found if models else ["there was no model to audit"]


def read_audit(path: Path) -> Audit:
    """Read an audit.json.

    Raises:
        ArtifactError: missing, damaged, or of another version.
    """
    try:
        return Audit.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ArtifactError(
            f"Cannot read an audit from {path}", expected="a file written by `assay audit`", found=str(error)
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ArtifactError(
            f"{path} is not an audit of version {SCHEMA_VERSION}",
            found=f"{'.'.join(map(str, first['loc'])) or 'text'}: {first['msg']}",
        ) from error
