"""The part of an ONNX file that is computed in fp16 or bf16, by its nodes and the types of their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from assay.numerics.precisions import least_exact, narrowest

Types = dict[str, str]

FLOATS = {
    TensorProto.DOUBLE: "fp64", TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16",
}  # fmt: skip
MOVES = {
    "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Gather", "GatherElements", "GatherND", "Concat",
    "Split", "Slice", "Tile", "Expand", "Pad", "Where", "Identity", "Constant", "ConstantOfShape", "Shape", "Size",
    "If", "Loop", "Scan", "DepthToSpace", "SpaceToDepth", "ReverseSequence", "Trilu", "ScatterND", "ScatterElements",
    "OneHot", "SequenceConstruct", "SequenceAt", "SplitToSequence", "ConcatFromSequence", "NonZero", "ArgMax", "ArgMin",
}  # fmt: skip
"""Operators that round nothing; graphs inside some of them are searched."""
WHOLE = {"Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf"}
"""Operators whose results are true or false."""


def narrow_arithmetic(model: ModelProto) -> str:
    """Return the least exact precision below fp32 to which a node rounds, or "".

    Weights that are only stored in it, and widened before anything is computed with them, do not count.
    """
    functions = {(one.domain, one.name): one for one in model.functions}
    found: list[str] = []

    def follow(nodes: Iterable[NodeProto], types: Types) -> None:
        for node in nodes:
            for graph in _graphs(node):
                follow(graph.node, types | _declared(graph))
            taken = [types[name] for name in node.input if name in types]
            function = functions.get((node.domain, node.op_type))
            if function is not None:
                inner = {
                    inside: types[name]
                    for inside, name in zip(function.input, node.input, strict=False)
                    if name in types
                }
                follow(function.node, inner)
                given = [inner[name] for name in function.output if name in inner]
            else:
                given = [one for one in [_given(node, types, taken)] if one]
                if node.op_type not in MOVES and not (node.op_type.startswith("Cast") and set(given) <= set(taken)):
                    found.extend(given)
            types |= dict.fromkeys(node.output, least_exact(given)) if given else {}

    follow(model.graph.node, _declared(model.graph))
    return narrowest(found)


def _declared(graph: GraphProto) -> Types:
    kinds = {one.name: one.data_type for one in graph.initializer}
    kinds |= {one.name: one.type.tensor_type.elem_type for one in (*graph.value_info, *graph.input)}
    return {name: FLOATS[kind] for name, kind in kinds.items() if kind in FLOATS}


def _given(node: NodeProto, types: Mapping[str, str], taken: list[str]) -> str:
    """Return the floating-point precision of a node's result, "" if it has none or it is unknown."""
    attributes = {one.name: one for one in node.attribute}
    if node.op_type == "Cast":
        return FLOATS.get(attributes["to"].i, "") if "to" in attributes else ""
    if node.op_type == "CastLike":
        return types.get(node.input[1], "") if len(node.input) > 1 else ""
    if node.op_type in {"Constant", "ConstantOfShape"}:
        value = attributes.get("value")
        return FLOATS.get(value.t.data_type, "") if value is not None else "fp32"
    if node.op_type == "DequantizeLinear":
        return types.get(node.input[1], "")
    return "" if node.op_type in WHOLE else least_exact(taken)


def _graphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        yield from ([attribute.g] if attribute.HasField("g") else attribute.graphs)
