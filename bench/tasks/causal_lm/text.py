"""A runtime's text against the one of float64: logits at every step, and where the texts part. Pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from assay.bench.tasks.causal_lm.record import FollowedText, TextParting
from assay.numerics.agreement import Tolerance, compare
from assay.numerics.classification.reduced import LARGEST_FLIPPED_MARGIN
from assay.numerics.following import is_reduced

Logits = NDArray[np.floating]
Tokens = NDArray[np.integer]


def text_of(
    prefill: str,
    decode: str,
    logits: Logits,
    reference: Logits,
    tokens: Tokens,
    tolerance: Tolerance,
    precision: str = "fp32",
) -> FollowedText:
    """Compare the logits of a runtime that was given the text of float64.

    Args:
        prefill, decode: labels of what computed the prompt and the steps.
        logits, reference: (records, steps + 1, vocabulary), the first of them after the prompt.
        tokens: the text of float64, (records, steps).
        tolerance: tolerance of a logit in fp32.
        precision: precision that the runtime is asked for; less than fp32 is judged by the rule for that, and tokens
            tie where float64 would not be sure of a decision (`assay.bench.tasks.decisions.sure_flips`).
    """
    if logits.shape != reference.shape:
        reason = f"it gave logits of shape {logits.shape}, expected {reference.shape}"
        return FollowedText(prefill=prefill, decode=decode, reason=reason)
    flat = len(reference), -1
    reduced = is_reduced(precision, "fp32")
    judged_in, within = (precision, LARGEST_FLIPPED_MARGIN / 2) if reduced else ("fp32", tolerance.value)
    agreement = compare(decode, logits.reshape(flat), reference.reshape(flat).astype(np.float64), tolerance, judged_in)
    agreement = agreement.model_copy(update={"largest_moved": 0})
    errors = np.abs(logits.astype(np.float64) - reference)
    finite = np.nan_to_num(errors, nan=np.inf)
    by_step = [float(one) if np.isfinite(one) else -1.0 for one in finite.max(axis=(0, 2))]
    return FollowedText(
        prefill=prefill,
        decode=decode,
        agreement=agreement,
        by_step=by_step,
        partings=partings_of(logits, reference, tokens, within),
        reason=agreement.reason,
    )


def partings_of(logits: Logits, reference: Logits, tokens: Tokens, tolerance: float) -> list[TextParting]:
    """Return the first step of each record at which another token is the largest. Until then a runtime that writes its
    own text gets the same tokens, so that this is where its text parts; whatever it is given after it.

    A parting is a tie where the logits of the two tokens are, in float64, no further apart than two errors of the
    tolerance: then both tokens are right for arithmetic of this precision.
    """
    found = []
    steps = tokens.shape[1]
    for record, (mine, right) in enumerate(zip(logits[:, :steps], reference[:, :steps], strict=True)):
        written = np.where(np.isfinite(mine).all(axis=1), mine.argmax(axis=1), -1)
        other = np.flatnonzero(written != tokens[record])
        if not len(other):
            continue
        step = int(other[0])
        expected, chosen = int(tokens[record, step]), int(written[step])
        margin = float(right[step, expected] - right[step, chosen]) if chosen >= 0 else float(np.ptp(right[step]))
        tie = chosen >= 0 and margin <= 2 * tolerance
        found.append(TextParting(record=record, step=step, expected=expected, found=chosen, margin=margin, tie=tie))
    return found
