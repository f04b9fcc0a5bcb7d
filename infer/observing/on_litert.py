"""The precision of LiteRT: the types of the inputs of a file's operators."""

from __future__ import annotations

from collections import Counter

from ai_edge_litert import schema_py_generated as schema

from assay.infer.observing.observed import Observed, observed_of
from assay.numerics.precisions import is_floating, least_exact, precision_named

ARITHMETIC = ("CONV", "DEPTHWISE_CONV", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL", "UNIDIRECTIONAL", "LSTM",
              "RNN", "BIDIRECTIONAL", "SVDF", "EMBEDDING_LOOKUP_SPARSE")  # fmt: skip
STORED = "DEQUANTIZE"
"""The operator that widens weights when a file is loaded."""
NAMES = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
TYPES = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}


def observe(content: bytes) -> Observed:
    """Observe the precision of a file's operators. Weights stored in less and then widened do not make its numbers more
    exact.
    """
    arithmetic, others, kept = _counts(content)
    found = observed_of(arithmetic, others, ["cpu"], {"weights kept in": ", ".join(sorted(kept))} if kept else {})
    return Observed(found.device, least_exact([found.precision, *kept]), facts=found.facts)


def computed_in(content: bytes) -> str:
    """Return the precision of a file's numbers; "" for one without arithmetic."""
    return observe(content).precision


def _counts(content: bytes) -> tuple[Counter[str], Counter[str], set[str]]:
    """Count a network's arithmetic and its other operators by precision; also return the formats of widened weights."""
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
