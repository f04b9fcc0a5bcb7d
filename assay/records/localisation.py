"""The place where numbers go wrong, as an audit records it: the node of a file, or of a runtime that runs a right file;
and the layers of an int8 file that may not be int8, as `assay.export.variants.mixed_job` finds them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, FiniteFloat

from assay.records.base import Record


class Localisation(Record):
    """A node at which a candidate file departs from the reference: its inputs are right and its output is not.

    Attributes:
        subject: the export or file with the node, "" where the context says so.
        node: name of the node, or of its output where it has none.
        inputs, output: values of the candidate by name, constants left out.
        error_before: largest relative difference of its inputs from the reference's.
        error_after: the same of its output, from the nearest value of the reference; None where no value there has as
            many numbers.
        runs: whether the node can be computed at all.
        reference_nodes: nodes to which the reference gives the same inputs.
        layer: the canonical layer that the node belongs to, "" if it is between layers or unknown.
        layer_before: the last canonical layer that is still right.
        repro: folder beside the record with the smallest model and input that show the error, or "".
        runtime: where the file is right, the runtime that is wrong; "" where the file itself is wrong.
        right_runtime: a runtime that computes the same node correctly; `right_error` is its error there.
        among: earlier nodes, any of which may also be the cause, as no value of the reference lies between them.
        missing: nodes that the reference has and the file lacks, between the node that is then in `among` and this one.
        superfluous: whether the numbers after it are right without the node.
        proven: whether later nodes, computed again with the right value in its place, are right; None where that was
            not tried.
        together: earlier nodes that the runtime may fuse with it: asked for the values between them, the runtime is
            right.
        operator: type of the node.
        attributes: attributes of the node, as text.
        right_error: error of `right_runtime` there; None where there is none.
    """

    subject: str = ""
    node: str
    operator: str
    attributes: dict[str, str]
    inputs: list[str]
    output: str
    error_before: float
    error_after: float | None
    runs: bool
    reference_nodes: list[str] = Field(default_factory=list)
    layer: str = ""
    layer_before: str = ""
    repro: str = ""
    runtime: str = ""
    right_runtime: str = ""
    right_error: float | None = None
    together: list[str] = Field(default_factory=list)
    among: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    superfluous: bool = False
    proven: bool | None = None

    def __str__(self) -> str:
        mine = ", ".join(f"{name}={value}" for name, value in self.attributes.items())
        after = "unlike any reference value" if self.error_after is None else f"{self.error_after:.2g}"
        after = after if self.runs else "no result"
        of = f"{self.subject}: " if self.subject else ""
        where = f"in layer '{self.layer}', " if self.layer else ""
        where += f"after layer '{self.layer_before}', which is right, " if self.layer_before else ""
        kept = f"; {self.repro}/run.py shows it" if self.repro else ""
        return (
            f"{of}{where}{self._what()} node '{self.node}', {self.operator}({mine}): relative error "
            f"{self.error_before:.2g} before it, {after} after it; {self._instead()}{kept}"
        )

    def _what(self) -> str:
        if self.runtime:
            return f"the file is right and {self.runtime} goes wrong at"
        among = ", ".join(f"'{name}'" for name in self.among)
        if self.missing:
            return f"the file lacks {', '.join(self.missing)}{f' after {among}' if among else ''}, before"
        if self.superfluous:
            return "the file has a superfluous"
        return f"it goes wrong between {among} and" if among else "it goes wrong at"

    def _instead(self) -> str:
        if not self.runtime:
            if self.superfluous:
                return "the reference has nothing there, and the following nodes are right without it"
            return f"the reference has {', '.join(self.reference_nodes) or 'nothing'} there{self._proof()}"
        nodes = ", ".join(f"'{name}'" for name in self.together)
        fused = f", which it may fuse with {nodes}" if nodes else ""
        known = "" if self.right_error is None else f", with {self.right_error:.2g}"
        return f"{self.right_runtime} is right there{known}{fused}"

    def _proof(self) -> str:
        if self.proven:
            return ", and the following nodes are right with that instead"
        if self.proven is None or not self.runs:
            return ""
        return "; its result is the first that matches no value of the reference, and no such value corrects it"


class Localised(Record):
    """The answer of a job that looks for the nodes at which numbers go wrong.

    Attributes:
        found: one entry for each node.
    """

    found: list[Localisation]


Ended = Literal["minimal", "passes", "time", "nothing"]
"""How a search ended: with a set from which no layer can be taken back; with one that passes and may have too many
layers, since the time was over; without one, since the time was over; or without one, since none passes that leaves
anything in integers.
"""


class Tried(Record):
    """A file with some layers in fp32, and how the policy judges it.

    Attributes:
        left: the layers in fp32, in the order of their sensitivity; empty for the original int8 file.
        error: root-mean-square error of the outputs, as a share of the policy's reference quantity; the largest of
            several outputs.
        reason: why it fails the policy; "" where it passes.
        quality: the share of records whose decision is right, where there are labels.
        milliseconds: time of one call with one record on one thread, while the files take turns in one process: the
            median of the least disturbed round. It is a guide to the cost of a step; cells are measured in processes of
            their own. None where it was not timed.
    """

    left: list[str]
    error: FiniteFloat = Field(ge=0)
    reason: str = ""
    quality: float | None = Field(default=None, ge=0, le=1)
    milliseconds: FiniteFloat | None = Field(default=None, ge=0)

    @property
    def passed(self) -> bool:
        """Whether it meets the policy."""
        return not self.reason


class Calibration(Record):
    """The source of an integer graph's ranges.

    Attributes:
        method: how a range follows from the values seen, such as "percentile 99.99".
        images: number of images of the validation split, drawn with `seed`; `sha256` is that of their .npy file.
        seed: seed of the draw.
        sha256: sha256 of the images' content as an .npy file.
        left_out: nodes that stay in fp32, such as those found by a search.
    """

    method: str
    images: int
    seed: int
    sha256: str
    left_out: list[str] = Field(default_factory=list)


class LayerSearch(Record):
    """The search for the layers that may not be int8.

    Attributes:
        why: why the int8 file fails.
        judged_on: the records that decided, in words; the audit uses other records where there are any.
        layers: number of an int8 file's layers that compute.
        sensitivities: error of the outputs with one layer alone in int8, by layer, the most sensitive first. Layers
            that the time did not suffice for are missing.
        steps: the files tried from int8 on, each with more layers in fp32; the set that was found is among them.
        full: the file in fp32, for its time and quality.
        found: the set that was found, or the nearest one where none passes.
        ended: "minimal": no layer of the set can be taken back; "passes": it passes, and the time was over; "time":
            none was found in time; "nothing": none passes that leaves anything in integers.
        tries: number of files that were made and judged.
        seconds: time that this session took, out of `allowed_seconds`.
        allowed_seconds: how long it might take.
    """

    why: str
    judged_on: str
    layers: int = Field(ge=0)
    sensitivities: dict[str, FiniteFloat]
    steps: list[Tried]
    full: Tried
    found: Tried
    ended: Ended
    tries: int = Field(ge=0)
    seconds: float = Field(ge=0)
    allowed_seconds: float = Field(ge=0)

    @property
    def is_over_time(self) -> bool:
        """Whether more time might find a set."""
        return self.ended == "time"
