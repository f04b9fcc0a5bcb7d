"""How fp16, bf16 and int8 are judged: they are further from float64 than rounding in fp32 explains, and may be.

One policy, for the check after an export, the calls that were timed, the audit and a deployment. On images of the data
it is about classes: none changes that the reference is sure of, and where they are known, accuracy is not inferior.
That takes a whole test split: on 267 images or fewer a candidate that changes no class at all could still lose 1 %.

On images that were made for an audit classes say nothing. At the decision boundary two of them are as likely by
construction, and a checkerboard belongs to none; a sure class of the reference there is an accident. What a right model
still has to do is follow the reference, so that the error as a whole is bounded, relative to the logits: zeros have a
root-mean-square error of 100 % of the reference's own, another function of the same size some 140 % (the square root of
two, for what is not correlated), and two of eight classes exchanged 71 %. int8 of the reference study, bloodnet at 28
and 64 pixels and resnet18 at 28, has 3 to 4 % on the test split and 4 to 11 % at the boundary. Half is far from both.
"""

from __future__ import annotations

import math

from assay.numerics.classification.significance import most_accuracy_lost
from assay.numerics.numbers import Measured

MOST_ACCURACY_LOST = 0.01
POLICY_CONFIDENCE = 0.95
LARGEST_FLIPPED_MARGIN = 1.0
LARGEST_ERROR_SHARE = 0.5
SURE_FLIPS_POLICY = (
    f"no image changes its class whose two best logits are more than {LARGEST_FLIPPED_MARGIN:g} apart in the reference "
    f"(odds of {math.exp(LARGEST_FLIPPED_MARGIN):.1f} to 1)"
)
REDUCED_PRECISION_POLICY = (
    f"not inferior in accuracy by more than {MOST_ACCURACY_LOST:.0%} of the images (upper bound of Tango's score "
    f"interval, {POLICY_CONFIDENCE:.0%} one-sided), and {SURE_FLIPS_POLICY}"
)
MADE_IMAGES_POLICY = (
    "on images that were made, hard ones and those at the decision boundary, whose classes say nothing, a "
    f"root-mean-square error of at most {LARGEST_ERROR_SHARE:.0%} of the reference's own, where zeros have 100% and "
    "another function more; what leaves the range of a format there is on record and not judged"
)


def reason_against_reduced(found: Measured) -> str:
    """Why outputs on images of the data do not meet the policy, or "".

    Accuracy is judged where it was measured, which is where the images have labels.
    """
    if broken := reason_against_any(found):
        return broken
    if found.flipped_margin > LARGEST_FLIPPED_MARGIN:
        return f"an image changes its class that the reference is sure of by {found.flipped_margin:.3g} logits"
    if found.accuracy:
        accuracy = found.accuracy
        lost = most_accuracy_lost(accuracy.images, accuracy.lost, accuracy.gained, POLICY_CONFIDENCE)
        if lost > MOST_ACCURACY_LOST:
            too_few = most_accuracy_lost(accuracy.images, 0, 0, POLICY_CONFIDENCE) > MOST_ACCURACY_LOST
            return (
                f"up to {lost:.2%} of the accuracy may be lost on {accuracy.images} images, "
                f"{MOST_ACCURACY_LOST:.0%} is allowed" + (", which so few images cannot show" if too_few else "")
            )
    return ""


def reason_against_reduced_made(found: Measured) -> str:
    """Why outputs on images that were made for an audit do not meet the policy, or ""."""
    if broken := reason_against_any(found):
        return broken
    if found.rms_relative > LARGEST_ERROR_SHARE:
        return (
            f"the error is {found.rms_relative:.0%} of the reference (root-mean-square), {LARGEST_ERROR_SHARE:.0%} is "
            "allowed: it does not follow the reference"
        )
    return ""


def reason_against_any(found: Measured) -> str:
    """Why outputs fail whatever they are compared for, or ""."""
    if not found.images:
        return "there was nothing to compare"
    if found.lost:
        return f"{found.lost} outputs are not the infinity or NaN that the reference has"
    return f"{found.not_finite} outputs are not finite where the reference is" if found.not_finite else ""
