"""The effect that rounding may have on a correct run of a model, by the precision that the model computes in.

fp32 has the rule of `assay.numerics.agreement`. A model in fp16 or bf16 is judged by the same rule with other numbers,
in units of rounding u (2^-11 in fp16, 2^-8 in bf16), and against the same float64:

- FACTOR. Correct runs sum the products in fp32 or better and round the results of operators. They differ in where: a
fused operator rounds once, and one that is written out rounds in each part (LayerNorm, softmax and GELU have up to
ten), which is sqrt(10) as much if the errors are independent. The largest of a few errors is itself a random
  number, allowed another factor of 2.5: together 8.
- FLOOR. A native run can be exact by luck; one more rounding on either side is 4 u of the largest output.
- CEILING. The roundings of 256 operators in a row come to 16 u if they are independent. A run that is further from
float64 is not known to compute this model, and a native run that far away measures nothing.

An output of such a model that is much closer to float64 than its precision allows was not computed in it, and is judged
by the rule of fp32: the boxes beside scores in fp16, an embedding that is stored in bf16 and computed with in fp32.
"""

from __future__ import annotations

from dataclasses import dataclass

UNITS = {"fp32": 2.0**-24, "fp16": 2.0**-11, "bf16": 2.0**-8}
"""Unit roundoff (IEEE 754-2019; bf16 has 8 bits of significand, the implicit one included)."""
CEILING = 2.0**-12
"""The ceiling of fp32; see `assay.numerics.agreement`."""
NARROW_FACTOR, NARROW_FLOOR, NARROW_CEILING = 8.0, 4.0, 16.0
BETTER_THAN_NARROW = 8.0
"""How many times closer to float64 than one rounding a result must be to show that it was not rounded to the format."""


@dataclass(frozen=True)
class Rounding:
    """
    Attributes:
        factor: multiple of the native error that is tolerated.
        floor: least tolerance, over the largest output; 0 where it is counted in ulps.
        ceiling: largest tolerance, over the largest output.
        in_words: the ceiling, in words.
    """

    precision: str
    factor: float
    floor: float
    ceiling: float
    in_words: str

    @property
    def repeatable(self) -> float:
        """How far the same rows may be apart in two calls, over the largest output: one rounding on either side."""
        return max(self.floor, CEILING)


FP32 = Rounding("fp32", 16.0, 0.0, CEILING, "2^-12 of the largest output, half a step of TF32")


def rounding_of(precision: str) -> Rounding:
    """Return the rule for a model that computes in this precision; all but fp16 and bf16 have fp32's."""
    if precision not in {"fp16", "bf16"}:
        return FP32
    unit, bits = UNITS[precision], {"fp16": 7, "bf16": 4}[precision]
    in_words = f"2^-{bits} of the largest output, 16 roundings in {precision}"
    return Rounding(precision, NARROW_FACTOR, NARROW_FLOOR * unit, NARROW_CEILING * unit, in_words)


def one_rounding(precision: str, scale: float) -> dict[str, float]:
    """Return the error of one rounding in fp16 or bf16, by its name; nothing for other precisions.

    It is added to the native errors where the native run may compute in more than its file says, as ONNX Runtime
    does on processors without fp16.
    """
    return {"one rounding": UNITS[precision] * scale} if rounding_of(precision) is not FP32 else {}


def rounding_seen(precision: str, share: float) -> Rounding:
    """Return the rule for one output of a model.

    Args:
        share: the native error of the output over its largest number.
    """
    return FP32 if share <= UNITS.get(precision, 0.0) / BETTER_THAN_NARROW else rounding_of(precision)
