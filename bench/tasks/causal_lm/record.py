"""The record of a causal language model: how fast it reads a prompt and writes tokens, and the text that every runtime
writes, followed token by token.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from assay.records.base import Interval, Record, Verdict
from assay.records.results import Agreement

DECODER_FILE = "decoder.json"

Part = Literal["prefill", "decode"]


class TokenPace(Record):
    """The speed of one cell, at the device boundary: the cache stays in the runtime's own form, as between the steps of
    a text.

    Attributes:
        tokens: tokens of the prompt, or in the cache.
        milliseconds: median of a call: until the first token, or of one step.
        tokens_a_second: tokens of the prompt read, or tokens written, in a second, of all records of a call together.
        speedup: how many times as fast as the fastest native cell, from blocks that have both; None where there is
            none, and without samples.
        verdict: the verdict on it.
    """

    part: Part
    label: str
    tokens: int = Field(ge=0)
    batch: int = Field(ge=1)
    threads: int = Field(ge=1)
    milliseconds: Interval
    tokens_a_second: Interval
    speedup: Interval | None = None
    verdict: Verdict | None = None


class TextParting(Record):
    """The first step of one record at which another token is the largest than in float64.

    Attributes:
        record: number of the record.
        step: number of the token, 0 for the first after the prompt.
        expected, found: the tokens.
        margin: how far the logit of the expected token is above that of the found one, in float64.
        tie: whether the margin is within what the tolerance allows, so that rounding explains it.
    """

    record: int = Field(ge=0)
    step: int = Field(ge=0)
    expected: int
    found: int
    margin: float = Field(ge=0)
    tie: bool


class FollowedText(Record):
    """A runtime's logits along the greedy text of float64, each token of which it is given whatever it would write
    itself: until its first parting that is the text that it writes.

    Attributes:
        prefill, decode: labels of the cells that computed the prompt and the steps.
        agreement: all logits against float64; None where there are none, and `reason` says why.
        by_step: the largest difference of a logit at each step, the one after the prompt first.
        partings: one for each record whose text parts.
        reason: why it could not be followed, or "".
    """

    prefill: str
    decode: str
    agreement: Agreement | None = None
    by_step: list[float] = Field(default_factory=list)
    partings: list[TextParting] = Field(default_factory=list)
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether all logits agree, and every parting is a tie."""
        return self.agreement is not None and self.agreement.passed and all(one.tie for one in self.partings)


class Decoder(Record):
    """The findings about a causal language model.

    Attributes:
        schema_version: version of this record's format.
        model: the model as its user names it.
        parts: folder of each part's results, beside this file.
        prompt: tokens of each prompt whose text is followed.
        records: number of prompts.
        steps: tokens written after each.
        reference: program and precision that computed the text.
        paces: one for each cell that may be ranked.
        texts: one for each runtime and export.
    """

    schema_version: Literal[1] = 1
    model: str
    created: str
    assay_version: str
    command: str
    parts: dict[Part, str]
    prompt: int
    records: int
    steps: int
    reference: str
    paces: list[TokenPace]
    texts: list[FollowedText]
