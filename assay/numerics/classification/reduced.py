"""How classes computed in fp16, bf16 and int8 are judged, besides their numbers (`assay.numerics.reduced`).

On images of the data the rule is about classes: none that the reference is sure of may change, and where labels are
known, accuracy must not be inferior. Showing that takes a whole test split: on 267 images or fewer a candidate that
changes no class at all could still lose 1 %.

On images that were made for an audit, classes say nothing. At the decision boundary two of them are equally likely by
construction, and a checkerboard belongs to none; if the reference is sure of a class there, that is an accident. A
correct model must still follow the reference, as every task demands.
"""

from __future__ import annotations

import math

from assay.numerics.classification.measuring import ClassAccumulator
from assay.numerics.classification.significance import most_accuracy_lost
from assay.numerics.numbers import Measured
from assay.numerics.reduced import ERROR_POLICY, ReducedRule, reason_against_any

MOST_ACCURACY_LOST = 0.01
POLICY_CONFIDENCE = 0.95
LARGEST_FLIPPED_MARGIN = 1.0
SURE_FLIPS_POLICY = (
    f"no image changes class if its two best logits are more than {LARGEST_FLIPPED_MARGIN:g} apart in the reference "
    f"(odds of {math.exp(LARGEST_FLIPPED_MARGIN):.1f} to 1)"
)
REDUCED_PRECISION_POLICY = (
    f"not inferior in accuracy by more than {MOST_ACCURACY_LOST:.0%} of the images (upper bound of Tango's score "
    f"interval, {POLICY_CONFIDENCE:.0%} one-sided), and {SURE_FLIPS_POLICY}"
)
MADE_IMAGES_POLICY = (
    "on images that were made, hard ones and those at the decision boundary, whose classes are meaningless, "
    f"{ERROR_POLICY}; values beyond the range of the format are recorded there and not judged"
)


def reason_against_reduced(found: Measured) -> str:
    """Return why outputs on images of the data do not meet the policy, or "".

    Accuracy is judged where it was measured, that is, where the images have labels.
    """
    if broken := reason_against_any(found):
        return broken
    classes = found.classes
    if classes is None:
        return "no classes were measured"
    if classes.flipped_margin > LARGEST_FLIPPED_MARGIN:
        return f"an image changes class although its margin in the reference is {classes.flipped_margin:.3g} logits"
    if classes.accuracy:
        accuracy = classes.accuracy
        lost = most_accuracy_lost(accuracy.images, accuracy.lost, accuracy.gained, POLICY_CONFIDENCE)
        if lost > MOST_ACCURACY_LOST:
            too_few = most_accuracy_lost(accuracy.images, 0, 0, POLICY_CONFIDENCE) > MOST_ACCURACY_LOST
            return (
                f"up to {lost:.2%} of the accuracy may have been lost on {accuracy.images} images, "
                f"{MOST_ACCURACY_LOST:.0%} is allowed" + (", which so few images cannot confirm" if too_few else "")
            )
    return ""


BY_CLASSES = ReducedRule(
    f"{SURE_FLIPS_POLICY}; accuracy is judged by the audit",
    LARGEST_FLIPPED_MARGIN,
    f"{REDUCED_PRECISION_POLICY}; {MADE_IMAGES_POLICY}",
    ClassAccumulator,
    reason_against_reduced,
)
