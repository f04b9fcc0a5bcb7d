"""How fp16, bf16 and int8 are judged: they are further from float64 than rounding in fp32 explains, and may be.

One policy for the check after an export, the calls that were timed, the audit and a deployment. Classes count, not
logits: on images of the data no image changes its class that the reference is sure of, and where the classes are known
and the images are enough, the accuracy is not inferior.
"""

from __future__ import annotations

import math

from assay.numbers import Measured
from assay.significance import most_accuracy_lost

MOST_ACCURACY_LOST = 0.01
POLICY_CONFIDENCE = 0.95
LARGEST_FLIPPED_MARGIN = 1.0
SURE_FLIPS_POLICY = (
    f"no image changes its class whose two best logits are more than {LARGEST_FLIPPED_MARGIN:g} apart in the reference "
    f"(odds of {math.exp(LARGEST_FLIPPED_MARGIN):.1f} to 1)"
)
REDUCED_PRECISION_POLICY = (
    f"not inferior in accuracy by more than {MOST_ACCURACY_LOST:.0%} of the images (upper bound of Tango's score "
    f"interval, {POLICY_CONFIDENCE:.0%} one-sided), and {SURE_FLIPS_POLICY}"
)


def reason_against_reduced(found: Measured) -> str:
    """Why outputs on images of the data do not meet the policy, or "".

    Accuracy is judged where it was measured, which is where the images have labels.
    """
    if not found.images:
        return "there was nothing to compare"
    if found.not_finite:
        return f"{found.not_finite} outputs are not finite where the reference is"
    if found.flipped_margin > LARGEST_FLIPPED_MARGIN:
        return f"an image changes its class that the reference is sure of by {found.flipped_margin:.3g} logits"
    if found.accuracy:
        accuracy = found.accuracy
        lost = most_accuracy_lost(accuracy.images, accuracy.lost, accuracy.gained, POLICY_CONFIDENCE)
        if lost > MOST_ACCURACY_LOST:
            return (
                f"up to {lost:.2%} of the accuracy may be lost on {accuracy.images} images, "
                f"{MOST_ACCURACY_LOST:.0%} is allowed"
            )
    return ""
