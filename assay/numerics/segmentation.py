"""How a class for each pixel is judged in fp16, bf16 and int8, besides its numbers (`assay.numerics.reduced`).

An image has so many pixels that some always change, most of them along the edges of objects; a rule for every pixel
would refuse everything. The rule bounds how many pixels change that the reference is sure of, and, since a small class
may vanish without many pixels, how far the measures against labels fall. Both limits are Assay's choice, with what was
measured of one right file: int8 of a small U-Net that was trained on drawn shapes
(tests/bench/tasks/test_segmentation_in_int8.py) changed 98 of 55,296 pixels, none that the reference was sure of, and
lost 0.1 % of its pixel accuracy and 0.9 % of its mean IoU.
"""

from __future__ import annotations

from assay.numerics.numbers import Accumulator
from assay.numerics.reduced import ERROR_POLICY, LARGEST_ERROR_SHARE, ReducedRule, reason_by_error

MOST_SURE_PIXELS = 0.001
MOST_LOST = 0.01
PIXELS_POLICY = (
    f"at most {MOST_SURE_PIXELS * 1000:g} of 1,000 pixels of which the reference is sure changes class, and no "
    f"measure against labels falls by more than {MOST_LOST:.0%} of the reference's"
)
BY_PIXELS = ReducedRule(
    ERROR_POLICY, LARGEST_ERROR_SHARE, f"{ERROR_POLICY}; {PIXELS_POLICY}", Accumulator, reason_by_error
)
