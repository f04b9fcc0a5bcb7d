"""A user's own tolerance of an output, beside the derived one: neither replaces the other.

The derived tolerance says whether an output is what the model computes, to rounding; the user's says what their use of
it allows. An output that is beyond either does not pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.errors import InputError, unknown_name

ALL = ""
"""The name that stands for every output that is not named."""


def reason_by_own(reason: str, largest: float, own: float | None, derived: str) -> str:
    """Return why an output does not pass, by the derived tolerance and the user's own; "" where it passes.

    Args:
        reason: why it does not pass by the derived tolerance, or "".
        largest: largest |output - reference|; below zero where nothing could be compared.
        own: the user's tolerance; None without one.
        derived: the derived tolerance, in words.
    """
    if own is None or largest < 0:
        return reason
    if reason:
        return f"{reason}; your own tolerance of {own:.3g} is {'kept' if largest <= own else 'exceeded too'}"
    return f"differs by {largest:.3g}, where {own:.3g} is your own tolerance and {derived}" if largest > own else ""


def own_tolerances(given: Mapping[str, float], outputs: Sequence[str]) -> dict[str, float]:
    """Return the user's tolerance of each output, by name.

    Args:
        given: tolerances by output, or by `ALL` for those that are not named.

    Raises:
        InputError: the model has no such output.
    """
    for name in given:
        if name != ALL and name not in outputs:
            raise unknown_name("output in --tolerance", name, outputs)
    return {name: given.get(name, given.get(ALL, 0.0)) for name in outputs if name in given or ALL in given}


def read_tolerances(texts: Sequence[str]) -> dict[str, float]:
    """Read tolerances from "OUTPUT=1e-3", or "1e-3" for all outputs that are not named.

    Raises:
        InputError: a text is not of this form, or an output is named twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf") or name in found:
            raise InputError(
                f"--tolerance cannot be read: '{text}'",
                expected="OUTPUT=1e-3, or 1e-3 for all outputs, each once and none below zero",
            )
        found[name] = number
    return found
