"""The inputs and outputs of an ONNX file written by any tool: their types and shapes, and the file without some of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from assay.errors import InputError, meant_by
from assay.export.graph.on_onnx_order import names_read
from assay.train.brought.model import unnamed
from assay.train.brought.outputs import incomparable

NUMBERS = "fiub"
TEXT = onnx.TensorProto.STRING
NARROW, WIDE = onnx.TensorProto.BFLOAT16, onnx.TensorProto.FLOAT
SUFFIX = "_in_bf16"
OPSET_OF_IDENTITY = 13
UNKNOWN_NAMES = {"", "?", "-1"}
"""Placeholders that tools write for the name of a dimension where they have none."""
KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional",
    "sparse_tensor_type": "a sparse tensor",
}


def dimensions_of(value: ValueInfoProto) -> tuple[int | str, ...] | None:
    """Return the shape of a tensor: numbers, and names for open dimensions; None where its rank is open too.

    Some tools write an open dimension as -1 or 0 (Paddle), as "?" or as an empty name: each of these gets a name of its
    own.
    """
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    shape: list[int | str] = []
    for place, one in enumerate(tensor.shape.dim):
        fixed = one.HasField("dim_value") and one.dim_value > 0
        name = "" if one.dim_param in UNKNOWN_NAMES else one.dim_param
        shape.append(int(one.dim_value) if fixed else name or unnamed(value.name, place))
    return tuple(shape)


def type_of(value: ValueInfoProto) -> str:
    """Return numpy's name of a tensor's type.

    Raises:
        InputError: it is not a tensor of numbers.
    """
    what = other_than_numbers(value)
    if what:
        raise InputError(f"'{value.name}' cannot be compared", expected="a tensor of numbers", found=what)
    return str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name)


def other_than_numbers(value: ValueInfoProto) -> str:
    """Describe a value that is not a tensor of numbers known to numpy; "" for one that is."""
    kind = str(value.type.WhichOneof("value") or "")
    if kind != "tensor_type":
        return KINDS.get(kind, "a value without a type")
    element = value.type.tensor_type.elem_type
    if element == TEXT:
        return "text"
    names = onnx.TensorProto.DataType
    if element not in names.values() or element == 0:
        return "a tensor of no known type"
    known = helper.tensor_dtype_to_np_dtype(element)
    return "" if known.kind in NUMBERS else f"a tensor of {names.Name(element).lower()}"


def refuse_incomparable(outputs: Sequence[ValueInfoProto], what: str) -> None:
    """
    Raises:
        IncomparableError: an output is not a tensor of numbers.
    """
    wrong = {one.name: other_than_numbers(one) for one in outputs if other_than_numbers(one)}
    if wrong:
        otherwise = "Export only the part of the model whose outputs are numbers"
        raise incomparable(wrong, [one.name for one in outputs], what, otherwise)


def with_plain_ends(model: ModelProto) -> list[str]:
    """Give a model ends that numpy has, in place: in place of each output of maps, the tensor that ZipMap makes them
    of, and float32 in place of bfloat16.

    Returns:
        A sentence on each change.
    """
    return [
        *(
            f"Output '{name}' is compared as the tensor that ZipMap makes maps of; the file is timed without ZipMap."
            for name in _without_maps(model)
        ),
        *(
            f"'{name}' is float32, since numpy has no bfloat16, and the file is timed with a cast of it."
            for name in _without_bf16(model.graph)
        ),
    ]


def _without_maps(model: ModelProto) -> list[str]:
    makers = {node.output[0]: node for node in model.graph.node if node.op_type == "ZipMap" and len(node.output) == 1}
    found = []
    for output in model.graph.output:
        maker = makers.get(output.name)
        if maker is None:
            continue
        classes = [len(one.ints) or len(one.strings) for one in maker.attribute if one.name.startswith("classlabels")]
        kind = helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, [None, max(classes, default=0) or None])
        maker.CopyFrom(helper.make_node("Identity", [maker.input[0]], [output.name], name=maker.name))
        output.type.CopyFrom(kind)
        found.append(output.name)
    if found and not any(one.domain in {"", "ai.onnx"} for one in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", OPSET_OF_IDENTITY))
    return found


def _without_bf16(graph: GraphProto) -> list[str]:
    ends = [(one, True) for one in graph.input] + [(one, False) for one in graph.output]
    fixed = {one.name for one in graph.initializer}
    found = []
    for value, is_input in ends:
        if value.type.tensor_type.elem_type != NARROW or value.name in fixed:
            continue
        inner = f"{value.name}{SUFFIX}"
        _rename(graph.node, value.name, inner)
        first, last, to = (value.name, inner, NARROW) if is_input else (inner, value.name, WIDE)
        node = helper.make_node("Cast", [first], [last], to=to)
        graph.node.insert(0 if is_input else len(graph.node), node)
        value.type.tensor_type.elem_type = WIDE
        found.append(value.name)
    return found


def _rename(nodes: Iterable[NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = new if name == old else name
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner.node, old, new)
                for output in inner.output:
                    output.name = new if output.name == old else output.name


def without_outputs(model: ModelProto, names: Sequence[str], what: str) -> ModelProto:
    """Remove some outputs from a model, in place, with the nodes that compute only these; return the model.

    Raises:
        InputError: a name is not an output, or none would be left.
    """
    if not names:
        return model
    graph = model.graph
    known = [one.name for one in graph.output]
    for name in names:
        if name not in known:
            raise InputError(
                f"--without does not name an output of {what}",
                expected=", ".join(known),
                found=name,
                remedy=meant_by(name, known),
            )
    if set(known) <= set(names):
        raise InputError(
            f"No output of {what} is left", expected="at least one output to compare", found="--without all"
        )
    kept = [one for one in graph.output if one.name not in names]
    del graph.output[:]
    graph.output.extend(kept)
    _drop_unneeded(graph)
    return model


def _drop_unneeded(graph: GraphProto) -> None:
    """Remove the nodes on which no output depends."""
    needed = {one.name for one in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(graph.node):  # a graph's nodes are in the order in which they can be computed
        if needed & set(node.output):
            kept.append(node)
            needed |= names_read(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
