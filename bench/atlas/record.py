"""The records of the atlas: a verdict for each operator, sample, data type and route."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records.base import Record
from assay.records.localisation import Localisation

Verdict = Literal[
    "right",
    "wrong",
    "wrong in the runtime",
    "only unoptimised",
    "undecided",
    "fixed batch",
    "not exported",
    "not run",
    "crashed",
    "given up",
    "native is off",
    "not comparable",
    "not judged",
]
Numbers = Literal["given", "tiny", "large", "rows"]
"""The numbers of a sample's floating-point inputs: the suite's own, those times 1e-6 or 1e3, or its own as rows of an
open batch.
"""
IN_WORDS: dict[Numbers, str] = {
    "given": "",
    "tiny": ", times 1e-6",
    "large": ", times 1e3",
    "rows": ", in an open batch",
}

MEANINGS: dict[Verdict, str] = {
    "right": "the file agrees with the operator in float64 at every level of optimisation",
    "wrong": "the file loads and runs, and its numbers are not the operator's",
    "wrong in the runtime": "the file is right, and ONNX Runtime computes it wrongly or does not run it at some level",
    "only unoptimised": "ONNX Runtime is right without optimisations alone",
    "undecided": "the numbers differ by less than twice the tolerance or by what a rounding of the inputs explains, or "
    "no witness can say whether the file or the runtime is at fault",
    "fixed batch": "the route exports the operator rightly with the batch of its sample, and not with an open one: it "
    "refuses that, or the file does not run with another batch",
    "not exported": "the route refuses the operator",
    "not run": "there is a file, and ONNX Runtime does not load it or does not run it",
    "crashed": "the process ended",
    "given up": "it took more than a minute of a processor, or 4 GB",
    "native is off": "the framework's own result is further from float64 than the rounding of its data type explains",
    "not comparable": "no result can be compared: it is random, or its outputs are complex, empty or NaN throughout",
    "not judged": "Assay itself failed, which is a fault to be mended",
}
"""The meaning of each verdict, the best first."""
DEFECTS: tuple[Verdict, ...] = ("wrong", "wrong in the runtime", "only unoptimised", "crashed", "given up")
"""Verdicts on what exports without a word and may not be used."""


class Finding(Record):
    """One sample of an operator by one route.

    Attributes:
        suite: name of the test suite, a key of `assay.bench.atlas.suites.entries.SUITES`.
        operator: the operator's name there.
        dtype: data type of its floating-point inputs.
        sample: position of the sample among those of the suite.
        numbers: see `Numbers`.
        inputs: its inputs, such as "float32 [2, 3]".
        route: the exporter; "" where the sample did not get as far as that.
        verdict: see `MEANINGS`.
        reason: why, in one line; "" where the file is right.
        apart: largest distance from float64 over the tolerance, 0 where there is none, -1 where it cannot be measured.
        nodes: nodes at which a wrong file goes wrong.
        kernels: the framework's operators that computed in the sample, such as "aten::softplus".
        other_versions: packages in other versions than the atlas', such as "onnxruntime 1.28.0"; "" for none.
    """

    suite: str
    operator: str
    dtype: str
    sample: int = Field(ge=0)
    numbers: Numbers = "given"
    inputs: str = ""
    route: str = ""
    verdict: Verdict
    reason: str = ""
    apart: float = 0.0
    nodes: list[Localisation] = Field(default_factory=list)
    kernels: tuple[str, ...] = ()
    other_versions: str = ""

    @property
    def place(self) -> str:
        """The name of its sample's folder among the operator's files."""
        return f"{self.sample}-{self.numbers}"


class OperatorFindings(Record):
    """All findings on one operator."""

    findings: list[Finding]


class Atlas(Record):
    """All findings of a run.

    Attributes:
        created: date and time, UTC.
        versions: versions of the packages by name, but for findings with `other_versions`.
        operators: number of operators of each suite that were asked for.
    """

    created: str
    assay_version: str
    versions: dict[str, str]
    operators: dict[str, int]
    findings: list[Finding]
