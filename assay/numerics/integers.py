"""Operators of ONNX that compute in integers or on packed weights, by name. Nothing but names, so that those who read
files and those who watch runtimes have one list.
"""

from __future__ import annotations

INTEGER = {
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
    "QGemm", "QAttention", "DynamicQuantizeLSTM", "QLinearAdd", "QLinearMul", "QLinearGlobalAveragePool",
    "QLinearAveragePool", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearConcat", "QLinearWhere",
    "QLinearReduceMean",
}  # fmt: skip
PACKED = {"MatMulNBits": "int4", "MatMulBnb4": "int4", "QMoE": "int4", "GatherBlockQuantized": "int4"}
"""Operators on weights packed in fewer bits than a byte, where their attribute `bits` does not say more."""
QUANTISING = {"QuantizeLinear", "DynamicQuantizeLinear"}
BITS_OF_BYTE = 8


def precision_of_packed(operator: str, bits: int | None) -> str:
    """Return the precision of an operator of `PACKED`.

    Args:
        bits: its attribute of that name; None where it has none.
    """
    return "int8" if bits == BITS_OF_BYTE else PACKED[operator]
