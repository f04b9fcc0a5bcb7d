"""Who is wrong where a file's numbers are: the export, or ONNX Runtime's optimiser on a right one.

Without optimisations ONNX Runtime does what the file says. Where that agrees with the reference, the file is right, and
what goes wrong at a higher level is what the optimiser makes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.results import Agreement

UNOPTIMISED = "disable_all"


@dataclass(frozen=True)
class Guilt:
    """
    Attributes:
        reason: why a file may not be used, or "".
        file_is_right: only the optimiser is wrong.
        levels: those of ONNX Runtime at which the numbers are wrong.
    """

    reason: str
    file_is_right: bool
    levels: tuple[str, ...]


def guilt_of(by_level: Mapping[str, Sequence[Agreement]]) -> Guilt:
    """The verdict on a file from its comparisons, by ONNX Runtime's optimisation level."""
    failed = [one for found in by_level.values() for one in found if not one.passed]
    if not failed:
        return Guilt("", file_is_right=False, levels=())
    levels = tuple(level for level, found in by_level.items() if any(not one.passed for one in found))
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    reason = f"{failed[0].subject}: {failed[0].reason}{more}"
    if UNOPTIMISED not in by_level or UNOPTIMISED in levels:
        return Guilt(reason, file_is_right=False, levels=levels)
    right = ", ".join(level for level in by_level if level not in levels)
    said = (
        f"the file is right (it agrees at level {right}), ONNX Runtime's optimiser is wrong at level "
        f"{', '.join(levels)}: {reason}"
    )
    return Guilt(said, file_is_right=True, levels=levels)
