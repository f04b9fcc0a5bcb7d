"""The next token of a text. A model is compared as two: its prefill, from a prompt to the logits of the next token and
a cache, and its decode, from one more token and the cache to the same; each is a model like any other. The text that
both write together is in `assay.bench.tasks.causal_lm.together`.

The first output of either is the logits, and the others are the cache, in the order in which decode takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assay.bench.report.page.blocks import Column
from assay.bench.tasks.decisions import (
    decisions_of,
    flip_count,
    flips_in_words,
    flips_shown,
    scores_of,
    shown,
    sure_flips,
    told_alike,
)
from assay.bench.tasks.task import Answers, Array, ColumnOfSubject, Task, WholeModel
from assay.bench.words.numbers import count, counted
from assay.errors import InputError
from assay.numerics.judgement import Judgement
from assay.records.results import Agreement, Results
from assay.train.brought.model import Location, Tensor

if TYPE_CHECKING:
    from assay.bench.brought.compare import ComparedModel
    from assay.bench.report.evidence import Evidence
    from assay.bench.report.page.blocks import Section

PREFILL, DECODE = "prefill", "decode"
TOKENS = "tokens"
SIZES = (16, 64, 128)
"""The numbers of tokens at which a model is compared where its user names none."""


class CausalLanguageModel(Task):
    """A task in which the largest of the last token's logits is the next token."""

    name = "causal-lm"
    changed_heading = "Next tokens changed"
    chart_note = "next tokens changed"
    judges_images = False
    is_counted_in_agreement = False

    def parts_of(self, location: Location) -> dict[str, Location]:
        if location.library != "hf":
            return {"": location}
        return {part: location.model_copy(update={"library": f"hf-{part}"}) for part in (PREFILL, DECODE)}

    def sizes_of(
        self, dimensions: Mapping[str, int], sizes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, tuple[int, ...]]:
        if TOKENS in dimensions or set(sizes) - {TOKENS}:
            raise InputError(
                "A causal language model is compared at several numbers of tokens, which its exports leave open",
                expected=f"--dimension {TOKENS}={','.join(map(str, SIZES))}, which is the default",
                found=", ".join([*(f"{name}={size}" for name, size in dimensions.items()), *sizes]),
            )
        return dict(sizes) or {TOKENS: SIZES}

    def put_together(self, parts: Mapping[str, ComparedModel], folder: Path, model: str) -> WholeModel:
        from assay.bench.tasks.causal_lm.page import refusals, sentences  # noqa: PLC0415  it draws
        from assay.bench.tasks.causal_lm.together import put_together  # noqa: PLC0415

        found, page = put_together(parts, folder, model)
        return WholeModel(found, sentences(found), refusals(found), page)

    def output_of(self, outputs: Sequence[Tensor], labels: Array | None, threshold: float | None = None) -> Tensor:
        super().output_of((), labels, threshold)
        first = outputs[0]
        if first.dtype.startswith("float") and len(first.shape) == 2 and first.shape[0] == 1 and len(outputs) > 2:
            return first
        raise InputError(
            f"The outputs do not fit the task '{self.name}'",
            expected="logits of one token, (batch, 1, vocabulary), and then the tensors of a cache",
            found=", ".join(map(shown, outputs)),
        )

    def judge(self, answers: Answers) -> Judgement:
        return Judgement(
            task=self.name,
            output=answers.output.name,
            against=answers.against,
            records=len(answers.found),
            flips=decisions_of(answers, 1).flips(),
            scores=scores_of(answers, 1),
        )

    def reason_against_reduced(self, answers: Answers, found: Judgement) -> str:
        """Give the reason: none changes its next token where the reference is sure."""
        flips = sure_flips(self, answers, found.scores)
        if not flips.flipped:
            return ""
        return f"{flips.flipped} of {flips.decisions} next tokens change that {answers.against} is sure of"

    def agrees_though(self, worst: Agreement) -> str:
        return f"another token is next in {worst.largest_moved} of {counted(worst.images, 'record')}"

    def told(self, results: Results) -> list[str]:
        return told_alike(results, _told)

    def sections(self) -> Sequence[Callable[[Evidence], Section | None]]:
        from assay.bench.tasks.causal_lm.speed import tokens_a_second  # noqa: PLC0415  it draws

        return (tokens_a_second,)

    def subject_columns(self) -> Sequence[ColumnOfSubject]:
        return (ColumnOfSubject(Column(self.changed_heading), "next tokens changed", flips_shown("token")),)

    def comparison_columns(self) -> Sequence[ColumnOfSubject]:
        return (ColumnOfSubject(Column(self.changed_heading, numeric=True), "", flip_count),)


def _told(found: Judgement) -> str:
    flips = found.flips
    if flips.flipped:
        return f"{flips_in_words(flips, 'next token')} are not those of {found.against}"
    tied = f" ({count(flips.excused)} but for a tie)" if flips.excused else ""
    return f"the next token of all {counted(found.records, 'record')} is that of {found.against}{tied}"


TASK = CausalLanguageModel()
