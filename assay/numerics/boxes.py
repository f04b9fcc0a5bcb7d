"""How boxes are judged in fp16, bf16 and int8, besides their numbers (`assay.numerics.reduced`).

A small error of a score adds or removes a box near the threshold, so a rule for every box would refuse everything. The
limit, Assay's choice, leaves room for that and none for a detector that lost a class or the smaller objects.
"""

from __future__ import annotations

from assay.numerics.numbers import Accumulator
from assay.numerics.reduced import ERROR_POLICY, LARGEST_ERROR_SHARE, ReducedRule, reason_by_error

MOST_LOST_BOXES = 0.05
BOXES_POLICY = f"at most {MOST_LOST_BOXES:.0%} of the boxes have no partner in the reference"
BY_BOXES = ReducedRule(
    ERROR_POLICY, LARGEST_ERROR_SHARE, f"{ERROR_POLICY}; {BOXES_POLICY}", Accumulator, reason_by_error
)
