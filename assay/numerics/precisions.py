"""The names of the formats that numbers are computed in, in order of exactness. A model is as exact as its least exact
part.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

EXACTNESS = ("fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8", "int4")
"""Formats from the most exact to the least. TF32 has as many digits as fp16, and the range of fp32."""
FULL = ("fp64", "fp32")
NARROW = ("fp16", "bf16")
"""Floating-point formats narrower than fp32 that models compute in throughout."""
QUANTISED = ("int8", "int4")
"""Formats of whole numbers in which a quantised model computes, or has its weights."""
BY_BITS = {
    "float64": "fp64", "double": "fp64", "f64": "fp64", "float32": "fp32", "float": "fp32", "f32": "fp32",
    "float16": "fp16", "half": "fp16", "f16": "fp16", "bfloat16": "bf16", "bf16": "bf16",
    "int8": "int8", "uint8": "int8", "qint8": "int8", "quint8": "int8", "i8": "int8", "u8": "int8",
    "int4": "int4", "uint4": "int4", "i4": "int4", "u4": "int4", "complex64": "fp32", "complex128": "fp64",
}  # fmt: skip


def precision_named(dtype: str) -> str:
    """Return the precision of a type as a framework names it ("torch.bfloat16", "f16", "tensor(float)"), or "" for a
    type without arithmetic.
    """
    name = dtype.rpartition(".")[2].removeprefix("tensor(").removesuffix(")").lower()
    return "fp8" if name.startswith(("float8", "f8")) else BY_BITS.get(name, "")


def is_floating(precision: str) -> bool:
    """Return whether a precision is a kind of floating-point number."""
    return bool(precision) and not precision.startswith("int")


def is_quantised(precision: str) -> bool:
    """Return whether a precision stores numbers as steps of a scale."""
    return precision in QUANTISED


def narrowest(precisions: Iterable[str]) -> str:
    """Return the less exact of "fp16" and "bf16" among these, or ""."""
    return least_exact(one for one in precisions if one in NARROW)


def least_exact(precisions: Iterable[str]) -> str:
    """Return the least exact of these; unknown names are left out, and "" stands for none."""
    known = [one for one in precisions if one in EXACTNESS]
    return max(known, key=EXACTNESS.index, default="")


def is_less_exact(one: str, other: str) -> bool:
    """Return whether the first is less exact than the second; false if either is unknown."""
    return one in EXACTNESS and other in EXACTNESS and EXACTNESS.index(one) > EXACTNESS.index(other)


def counted_in_words(operations: Mapping[str, int]) -> str:
    """Return "fp32 (20 operations), bf16 (1)", the most exact first."""
    named = [(one, operations[one]) for one in EXACTNESS if operations.get(one)]
    return ", ".join(
        f"{one} ({count}{'' if place else ' operation' if count == 1 else ' operations'})"
        for place, (one, count) in enumerate(named)
    )
