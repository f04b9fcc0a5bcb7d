"""The smallest model and input that still show where a file goes wrong, with a script that runs without Assay."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from assay.export.graph.inspect import read_model
from assay.export.localise.on_onnx_cause import causes
from assay.export.localise.on_onnx_localize import Parting, Trace, read_feeds, source_of, trace, typed
from assay.export.localise.source import Array
from assay.files.named_arrays import save_named
from assay.jobs.programs import run_program
from assay.jobs.running import LateError
from assay.records.localisation import Localisation
from assay.steps import call_seconds, load_seconds, size_of, step

SHOWS = 1
"""The script's exit status when the defect shows."""
SCRIPT, ABOUT, MODEL = "run.py", "repro.json", "model.onnx"
"""Files of a repro. The program is the same byte for byte in every one; all that comes from the model is data beside
it.
"""


def write_repro(model: ModelProto, wrong: Trace, parting: Parting, folder: Path) -> bool:
    """Write model.onnx, inputs.npz, expected.npy, repro.json and run.py, with the fewest nodes that still show the
    defect.

    The node is tried alone first, then with the nodes before it, twice as many steps back each time.

    Args:
        model: the candidate as it is, in its own precision.
        wrong: the same in float64, with its values.
        folder: folder of the repro, emptied first, and removed where nothing shows the defect.

    Returns:
        Whether the repro shows the defect.
    """
    if parting.expected is None:
        return False
    depth = 1
    while True:
        nodes = _nodes_before(wrong, parting.node, depth)
        _write(model, wrong, parting, nodes, folder)
        if shows(folder):
            return True
        if len(nodes) == len(_nodes_before(wrong, parting.node, 2 * depth)):
            shutil.rmtree(folder)
            return False
        depth *= 2


def localise_with_repros(reference: Path, candidate: Path, inputs: Path, folder: Path) -> list[Localisation]:
    """Do the same as `on_onnx_localize.localise`, and write each node's repro into a folder of its own below `folder`.

    Raises:
        ArtifactError: a file cannot be read.
        InputError: onnx's reference evaluator cannot run the reference.
    """
    feeds = read_feeds(inputs)
    source, wrong = source_of(reference, feeds), trace(candidate, feeds)
    model = read_model(candidate)
    found = causes(source, wrong, source.values) or refused_shapes(model, wrong)
    return with_repros(model, wrong, found, folder, folder.name)


def refused_shapes(model: ModelProto, wrong: Trace) -> list[Parting]:
    """Find the node at which ONNX Runtime refuses a file whose nodes are right: shapes written into it contradict them.

    The list is empty where the file loads. The node is found by bisection over the number of first nodes kept.
    """
    fewest, most = 0, len(model.graph.node)
    if loads(model):
        return []
    while most - fewest > 1:
        middle = (fewest + most) // 2
        fewest, most = (middle, most) if loads(_first_nodes(model, middle, wrong.values)) else (fewest, middle)
    node = model.graph.node[most - 1]
    names = [name for name in (*node.input, *node.output) if name in wrong.values]
    declared = {value.name: value for value in model.graph.value_info if value.name in names and _shape(value)}
    attributes = {
        f"shape of '{name}'": f"written as {_shape(declared[name])}, computed as {list(wrong.values[name].shape)}"
        for name in names
        if name in declared
    }
    found = Localisation(
        node=node.name or node.output[0],
        operator=node.op_type,
        attributes=attributes,
        inputs=[name for name in node.input if name and name not in wrong.constants],
        output=node.output[0],
        error_before=0.0,
        error_after=None,
        runs=False,
        reference_nodes=[f"{node.op_type} without these shapes"],
    )
    return [Parting(node, found, wrong.values[node.output[0]])]


def loads(model: ModelProto) -> bool:
    """Return whether ONNX Runtime accepts a model."""
    import onnxruntime  # noqa: PLC0415  a repro is written without it

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001  its exceptions have no common base, and each means no
        return False
    return True


def _first_nodes(model: ModelProto, count: int, values: Mapping[str, Array]) -> ModelProto:
    """Return the model up to a node, with the shapes that are written into it."""
    found = ModelProto()
    found.CopyFrom(model)
    del found.graph.node[count:], found.graph.output[:]
    for name in found.graph.node[count - 1].output:
        found.graph.output.append(typed(name, values.get(name)))
    return found


def _shape(value: ValueInfoProto) -> list[int | str]:
    return [one.dim_value or one.dim_param or "?" for one in value.type.tensor_type.shape.dim]


def with_repros(model: ModelProto, wrong: Trace, found: list[Parting], folder: Path, name: str) -> list[Localisation]:
    """Return the localisations, each with the path of its repro where one shows it.

    Args:
        name: name of `folder` in the record.
    """
    told = []
    for number, parting in enumerate(found):
        repro = f"{name}/{number}" if write_repro(model, wrong, parting, folder / str(number)) else ""
        told.append(parting.localisation.model_copy(update={"repro": repro}))
    return told


def shows(folder: Path) -> bool:
    """Run the script of a repro and return whether it says that the defect is there."""
    return bool(printed_by(folder))


def printed_by(folder: Path) -> str:
    """Return what the script of a repro prints where it says that the defect is there, else ""; one that does not end
    shows nothing.
    """
    limit = load_seconds(size_of(folder / MODEL)) + call_seconds()
    with step("Running the reproduction", 2 * limit):
        try:
            done = run_program([sys.executable, "-I", str(folder / SCRIPT)], limit)
        except LateError:
            return ""
    failed = "Traceback" in done.errors
    return done.out.strip() if done.status == SHOWS and not failed else ""


def _nodes_before(wrong: Trace, node: NodeProto, depth: int) -> list[NodeProto]:
    """Return a node and those that it depends on within so many steps, in the order in which they run."""
    maker = {name: one for one in wrong.nodes for name in one.output}
    taken, edge = {node.output[0]}, [node]
    for _ in range(depth - 1):
        edge = [maker[name] for one in edge for name in one.input if name in maker and name not in wrong.constants]
        taken |= {one.output[0] for one in edge}
    return [one for one in wrong.nodes if one.output[0] in taken]


def _write(model: ModelProto, wrong: Trace, parting: Parting, nodes: list[NodeProto], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    made = {name for node in nodes for name in node.output}
    taken = dict.fromkeys(name for node in nodes for name in node.input if name)
    feeds = {name: _narrow(wrong.values[name]) for name in taken if name not in made | wrong.constants}
    small = _cut(model, wrong, feeds, made, taken, parting.node.output[0])
    if not parting.localisation.runs:  # the reason may be shapes written into the file
        small.graph.value_info.extend(
            one for one in model.graph.value_info if one.name in made - {parting.node.output[0]}
        )
    onnx.save(without_traces(small), folder / MODEL)
    found = parting.localisation
    expected = " or ".join(found.reference_nodes) or "the model that it was made from"
    about = {"node": found.node, "operator": found.operator, "expected": expected}
    write_program(folder, about, feeds, np.asarray(parting.expected))


def without_traces(model: ModelProto) -> ModelProto:
    """Return a model without its notes, in which exporters keep paths of the machine that they ran on."""
    kept = ModelProto()
    kept.CopyFrom(model)
    graph = kept.graph
    noted = (kept, graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output)
    for one in (*noted, *kept.functions, *(node for function in kept.functions for node in function.node)):
        one.ClearField("metadata_props")
        one.ClearField("doc_string")
    return kept


def write_program(folder: Path, about: Mapping[str, str], feeds: Mapping[str, Array], expected: Array) -> None:
    """Write the files beside a repro's model: inputs.npz, expected.npy, repro.json and run.py.

    Args:
        about: name and operator of the node, and where its expected values come from.
    """
    save_named(folder / "inputs.npz", dict(feeds))
    np.save(folder / "expected.npy", expected)
    (folder / ABOUT).write_text(json.dumps({**about, "inputs": list(feeds)}, indent=1), encoding="ascii")
    (folder / SCRIPT).write_text(script(), encoding="utf-8")


@functools.cache
def script() -> str:
    """Return the program of every repro."""
    return resources.files("assay.export.localise").joinpath("repro_script.txt").read_text(encoding="utf-8")


def _cut(
    model: ModelProto, wrong: Trace, feeds: dict[str, Array], made: set[str], taken: Iterable[str], output: str
) -> ModelProto:
    """Return the part of a model that makes a value from these inputs, with the constants it needs."""
    small = ModelProto()
    small.CopyFrom(model)
    graph = small.graph
    needed = set(taken)
    kept = []
    for node in reversed(model.graph.node):  # constants that are computed need the nodes that compute them
        is_wanted = made & set(node.output) or needed & (set(node.output) - set(feeds))
        if is_wanted:
            kept.append(node)
            needed |= {name for name in node.input if name}
    del graph.node[:], graph.input[:], graph.output[:], graph.value_info[:]
    graph.node.extend(reversed(kept))
    used = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(used)
    for name, array in feeds.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        graph.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    graph.output.append(typed(output, wrong.values.get(output)))
    return small


def _narrow(value: Array) -> Array:
    """Return a value in the file's type: float32 that was widened for the trace is narrowed again."""
    return value.astype(np.float32) if value.dtype == np.float64 else value
