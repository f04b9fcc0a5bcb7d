"""Where numbers go wrong: the node of a file, or of a runtime that runs a right file, as an audit records it."""

from __future__ import annotations

from pydantic import Field

from assay.records import Record


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
        layer: the canonical layer in whose place the node stands, "" between layers or where that is not known.
        layer_before: the last canonical layer that is still right.
        repro: folder beside the record with the smallest model and input that show it, "" where none does.
        runtime: where the file is right, the runtime that is not; "" where the file itself is wrong.
        right_runtime: one that computes the same node rightly, and `right_error` its error there.
        together: nodes before it that the runtime may compute as one with it: asked for what lies between, it is right.
    """

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

    def __str__(self) -> str:
        mine = ", ".join(f"{name}={value}" for name, value in self.attributes.items())
        after = "unlike anything" if self.error_after is None else f"{self.error_after:.2g}"
        after = after if self.runs else "no result"
        where = f"in layer '{self.layer}', " if self.layer else ""
        where += f"after layer '{self.layer_before}', which is right, " if self.layer_before else ""
        kept = f"; {self.repro}/run.py shows it" if self.repro else ""
        return (
            f"{where}{self._what()} at node '{self.node}', {self.operator}({mine}): relative error "
            f"{self.error_before:.2g} before it, {after} after it; {self._instead()}{kept}"
        )

    def _what(self) -> str:
        return f"the file is right and {self.runtime} goes wrong" if self.runtime else "it goes wrong"

    def _instead(self) -> str:
        if not self.runtime:
            return f"the reference has {', '.join(self.reference_nodes) or 'nothing'} there"
        nodes = ", ".join(f"'{name}'" for name in self.together)
        fused = f", which it may compute as one with {nodes}" if nodes else ""
        known = "" if self.right_error is None else f", with {self.right_error:.2g}"
        return f"{self.right_runtime} is right there{known}{fused}"
