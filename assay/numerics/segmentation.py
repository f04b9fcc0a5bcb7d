"""How a class for each pixel is judged in fp16, bf16 and int8, besides its numbers (`assay.numerics.reduced`).

An image has so many pixels that some always change, most of them along the edges of objects; a rule for every pixel
would refuse everything. The rule bounds how many pixels change that the reference is sure of, and, since a small class
may vanish without many pixels, how far the measures against labels fall: by at most 1 % of the reference's, which is
what most quality targets of MLPerf Inference leave to reduced precision (Reddi and others 2020, "MLPerf Inference
Benchmark", section III). The limit on pixels, one in a thousand, is Assay's choice.
"""

from __future__ import annotations

from assay.numerics.numbers import Accumulator
from assay.numerics.reduced import ERROR_POLICY, LARGEST_ERROR_SHARE, ReducedRule, reason_by_error

MOST_SURE_PIXELS = 0.001
MOST_LOST = 0.01
PIXELS_POLICY = (
    f"at most {MOST_SURE_PIXELS * 1000:g} of 1,000 pixels changes its class that the reference is sure of, and no "
    f"measure against labels falls by more than {MOST_LOST:.0%} of the reference's"
)
BY_PIXELS = ReducedRule(
    ERROR_POLICY, LARGEST_ERROR_SHARE, f"{ERROR_POLICY}; {PIXELS_POLICY}", Accumulator, reason_by_error
)
