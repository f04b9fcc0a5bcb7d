"""A check of SavedModels, programs of TensorFlow's operators, some of which write files, open connections or call
Python. `tf.saved_model.load` runs initialisers that the file names, so the operators are checked first: those with
effects must be of the few kinds that a model needs for its variables, tables, random numbers and control flow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.framework.function_pb2 import FunctionDef
from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
from tensorflow.python.framework import op_def_registry

from assay.errors import ArtifactError, InputError
from assay.files.arrays import most_bytes
from assay.files.mistakes import mistake_in
from assay.train.brought.sources import SAVED_MODEL_FILE

OTHER_PROGRAMS = ("saved_model.pbtxt", "saved_model.cpb")
EFFECTS_OF_MODELS = re.compile(
    r"Assert|VarHandleOp|_VarHandlesOp|ReadVariableOp|_ReadVariablesOp|Assign(Add|Sub)?VariableOp|VarIsInitializedOp"
    r"|VariableShape|VariableV2|DestroyResourceOp|DisableCopyOnRead|Resource(Gather|Scatter)\w*|ResourceStridedSliceAssign"
    r"|(Anonymous)?(Mutable)?(Dense)?HashTable(OfTensors)?(V2)?|LookupTable\w+V2|InitializeTableV2|StubResourceHandleOp"
    r"|_?(If|While|Case)|(Stateful)?PartitionedCall|TensorArray\w*|Stack(Push|Pop|Close)?V2|Empty|DeepCopy|TemporaryVariable"
    r"|Random\w+|ParameterizedTruncatedNormal|TruncatedNormal|Multinomial|Stateful(Uniform|Standard|Truncated|Random)\w*"
    r"|Stateless\w+|Rng\w+|NonDeterministicInts|SampleDistortedBoundingBox(V2)?|CheckNumerics(V2)?|CudnnRNN\w*"
    r"|_?(Arg|Retval)|GuaranteeConst|IsTensorFloat32Enabled|DeviceIndex"
)
"""Operators that have effects, as TensorFlow says, but only within the model."""
NOT_OF_MODELS = re.compile(r"Random(Dataset|ShuffleQueue|SeedGenerator)\w*")
ACTING = re.compile(
    r".*(File|PyFunc|Dataset|Snapshot|Debug|Rpc|Iterator|Summary|Reader).*|ImmutableConst|GenerateVocabRemapping"
    r"|XlaCustomCall.*|XlaCallModule|(De|En)codeProto.*|LoadAndRemapMatrix|PrintV2|Print|RemoteCall"
)
"""Operators that read files, call Python or run another program, whatever TensorFlow says of their effects."""
SAVING = {"SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename"}
"""Operators in functions that only TensorFlow's own saver calls."""
REMEDY = "It was not loaded. Remove the operator from the model, or, if you trust it, give --trust"
LARGEST_PROGRAM = (2 << 30) - 1


def check_graph_file(path: Path) -> None:
    """Do the same as `check_saved_model`, given the graph's file in its folder."""
    check_saved_model(path.parent)


def check_saved_model(folder: Path, *, trusted: bool = False) -> None:
    """
    Args:
        trusted: whether the user gave --trust, so that operators may act as they like.

    Raises:
        ArtifactError: it is damaged, from TensorFlow 1, or has an operator that acts outside the model.
    """
    for name in OTHER_PROGRAMS:
        if (folder / name).exists():
            raise ArtifactError(f"{folder} has a second program, {name}", expected=f"only {SAVED_MODEL_FILE}")
    for path in folder.rglob("*"):
        if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
            raise ArtifactError(
                f"{folder} has a link that leads out of it, {path.name:.100}",
                expected="variables and assets of its own",
                remedy="Replace the link with a copy of the file",
            )
    file = folder / SAVED_MODEL_FILE
    try:
        size = file.stat().st_size
        content = SavedModel.FromString(file.read_bytes() if size <= LARGEST_PROGRAM else b"\xff")
    except (OSError, DecodeError) as error:
        raise ArtifactError(f"{file} cannot be read", expected="a SavedModel", found=mistake_in(error)[:200]) from error
    if not content.meta_graphs:
        raise ArtifactError(f"{file} has no graph", expected="a SavedModel")
    for graph in content.meta_graphs:
        _check_graph(file, graph, trusted=trusted)


def _check_graph(file: Path, graph: MetaGraphDef, *, trusted: bool) -> None:
    if not graph.object_graph_def.nodes:
        raise ArtifactError(
            f"{file} was written by TensorFlow 1, whose graphs run as a whole when they are loaded",
            expected="a SavedModel of TensorFlow 2",
            remedy="Save it again with tf.saved_model.save",
        )
    functions = {one.signature.name: one for one in graph.graph_def.library.function}
    called = _reachable(functions, graph)
    for name, function in functions.items():
        allowed = SAVING if name not in called and not _is_replaceable(function) else set()
        _check_nodes(file, name, function.node_def, allowed, trusted=trusted)
    _check_nodes(file, "the graph", graph.graph_def.node, set(), trusted=trusted)


def _reachable(functions: dict[str, FunctionDef], graph: MetaGraphDef) -> set[str]:
    """Return the functions that are called when the model is loaded or run, by the objects that hold them."""
    waiting = [*graph.object_graph_def.concrete_functions]
    waiting += [name for one in graph.graph_def.library.gradient for name in (one.function_name, one.gradient_func)]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and name in functions:
            found.add(name)
            waiting += [other for node in functions[name].node_def for other in _calls(node)]
    return found


def _calls(node: NodeDef) -> Iterator[str]:
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (one.name for one in value.list.func)


def _is_replaceable(function: FunctionDef) -> bool:
    """Return whether TensorFlow's optimiser may replace another function with this one."""
    return any(name.startswith(("api_", "_implements", "implements")) for name in function.attr)


def _check_nodes(file: Path, where: str, nodes: Iterable[NodeDef], allowed: set[str], *, trusted: bool) -> None:
    for node in nodes:
        if not trusted and node.op not in allowed and not _is_harmless(node.op):
            raise ArtifactError(
                f"{file} has an operator that acts outside the model, {node.op:.80}",
                expected="operators that only compute",
                found=f"'{node.name:.80}' in {where:.80}",
                remedy=REMEDY,
            )
        _check_constant(file, node)


def _is_harmless(operator: str) -> bool:
    """Return whether an operator only computes; a function of the file is judged by its own operators."""
    definition = op_def_registry.get(operator)
    if definition is None:
        return operator.startswith("__") or not re.fullmatch(r"[A-Z]\w*(>\w+)?", operator)
    if ACTING.fullmatch(operator) or NOT_OF_MODELS.fullmatch(operator):
        return False
    return not definition.is_stateful or bool(EFFECTS_OF_MODELS.fullmatch(operator))


def _check_constant(file: Path, node: NodeDef) -> None:
    """
    Raises:
        InputError: a constant declares more than memory holds: one number may stand for a tensor of any size.
    """
    value = node.attr["value"].tensor if node.op == "Const" else None
    numbers = math.prod(max(one.size, 0) for one in value.tensor_shape.dim) if value else 0
    if numbers > most_bytes(1):
        raise InputError(
            f"{file} has a constant that does not fit into memory", found=f"'{node.name:.80}', {numbers:,} numbers"
        )
