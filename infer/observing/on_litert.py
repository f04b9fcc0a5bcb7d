"""What LiteRT computes in: the types that the operators of a file take."""

from __future__ import annotations

from collections import Counter

from ai_edge_litert import schema_py_generated as schema

from assay.infer.observing.observed import Observed, observed_of
from assay.numerics.precisions import is_floating, least_exact, precision_named

ARITHMETIC = ("CONV", "DEPTHWISE_CONV", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL", "UNIDIRECTIONAL", "LSTM",
              "RNN", "BIDIRECTIONAL", "SVDF", "EMBEDDING_LOOKUP_SPARSE")  # fmt: skip
STORED = "DEQUANTIZE"
"""What widens weights when a file is loaded."""
NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
TYPES = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}


def observe(content: bytes) -> Observed:
    """What a file's operators compute in. Weights that are kept in less and widened make its numbers no more exact."""
    arithmetic, others, kept = _counts(content)
    found = observed_of(arithmetic, others, ["cpu"], {"weights kept in": ", ".join(sorted(kept))} if kept else {})
    return Observed(found.device, least_exact([found.precision, *kept]), facts=found.facts)


def computed_in(content: bytes) -> str:
    """The precision that a file's numbers have; "" of one without arithmetic."""
    return observe(content).precision


def _counts(content: bytes) -> tuple[Counter[str], Counter[str], set[str]]:
    """Operators that are a network's arithmetic and others by precision, and what weights are kept in and widened."""
    model = schema.Model.GetRootAs(content, 0)
    codes = [model.OperatorCodes(place) for place in range(model.OperatorCodesLength())]
    names = [NAMES.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "") for code in codes]
    arithmetic: Counter[str] = Counter()
    others: Counter[str] = Counter()
    kept: set[str] = set()
    for graph in (model.Subgraphs(place) for place in range(model.SubgraphsLength())):
        for operator in (graph.Operators(place) for place in range(graph.OperatorsLength())):
            name = names[operator.OpcodeIndex()]
            places = [operator.Inputs(place) for place in range(operator.InputsLength())]
            taken = [graph.Tensors(place) for place in places if place >= 0]
            precisions = [precision_named(TYPES[one.Type()]) for one in taken]
            if name.startswith(ARITHMETIC):
                arithmetic[least_exact(precisions)] += 1
            elif name == STORED and model.Buffers(taken[0].Buffer()).DataLength():
                kept.add(precisions[0])
            elif is_floating(precision := least_exact(filter(is_floating, precisions))):
                others[precision] += 1
    del arithmetic[""]
    return arithmetic, others, kept
