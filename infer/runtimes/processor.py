"""Precisions that a processor can compute in, as the system shows them: frameworks silently emulate the others."""

from __future__ import annotations

from pathlib import Path

from assay.errors import InputError
from assay.files.texts import read_text

PROCESSORS = Path("/proc/cpuinfo")
BF16 = frozenset(("avx512_bf16", "amx_bf16", "bf16"))
"""Instructions on numbers in bf16, for x86 and Arm."""


def refuse_without_bf16(what: str, processors: Path = PROCESSORS) -> None:
    """
    Raises:
        InputError: the processor has no arithmetic in bf16, or does not show whether it has one.
    """
    try:
        told = read_text(processors)
    except OSError:
        told = ""
    if not BF16 & set(told.split()):
        raise InputError(
            f"{what} cannot compute in bf16 on this processor",
            expected=f"one of the instructions {', '.join(sorted(BF16))}",
            found="none of them" if told else "a system that does not report its processor's features",
        )
