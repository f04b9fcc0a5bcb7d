"""The deployable graph: decoded pixels in, class probabilities and the most probable class out.

An export takes normalised float images in one layout or the other and gives logits. The served graph takes what a
client has, uint8 pixels (images, height, width, channels), and contains the normalisation of
`assay.train.batches.normalise`, operation by operation, so that preprocessing is part of the audit:

    images UINT8 (batch, H, W, C) -> [Transpose] -> Cast INT32 -> Cast FLOAT -> Div 127.5 -> Sub 1 -> the export
        -> Softmax -> probabilities FLOAT (batch, classes)
        -> ArgMax  -> label INT64 (batch)

The layout changes while a pixel is still one byte. An export that takes NHWC and begins by transposing it, as those
of TensorFlow and JAX do, has that transposition moved there too, which saves a float copy of the image.

The cast through INT32 keeps the export's first quantisation. OpenVINO takes bytes that are cast to float, scaled and
shifted for dequantised integers, and a quantisation to 256 nearly equal levels after them for a copy, which it drops
(`EliminateFakeQuantizeTransformation`): each pixel would be up to one level off, and an int8 model would give other
answers than the one that was timed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assay.errors import ExportFailedError
from assay.export.finish import BATCH
from assay.export.graph.inspect import one_line, read_model
from assay.spec import INPUT_NAME, OUTPUT_NAME, ModelSpec

if TYPE_CHECKING:
    import onnx

IMAGES, PROBABILITIES, LABEL = "images", "probabilities", "label"
PREFIX = "assay_"
TO_CHANNELS_FIRST = [0, 3, 1, 2]
HALF_RANGE, SHIFT = 127.5, 1.0
"""float = pixel / 127.5 - 1, see `assay.train.batches.normalise`; a test compares the two."""


def deployable(model: onnx.ModelProto, spec: ModelSpec, layout: str) -> onnx.ModelProto:
    """Return a copy of an export inside the contract described in the module's text.

    Args:
        model: an export, with one float input "image" and one output "logits".
        layout: layout of its input, "NHWC" or "NCHW".

    Raises:
        ExportFailedError: the model has another signature, or a name that the contract needs.
    """
    import onnx  # noqa: PLC0415

    _check_names(model)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    transposed = layout == "NCHW" or _drop_first_transpose(graph)
    nodes = [*_before(transposed=transposed), *graph.node, *_after()]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(
        onnx.helper.make_tensor(f"{PREFIX}{name}", onnx.TensorProto.FLOAT, [], [value])
        for name, value in (("half_range", HALF_RANGE), ("shift", SHIFT))
    )
    del graph.input[:], graph.output[:]
    graph.input.append(_tensor(IMAGES, onnx.TensorProto.UINT8, spec.image_shape))
    graph.output.append(_tensor(PROBABILITIES, onnx.TensorProto.FLOAT, (spec.classes,)))
    graph.output.append(_tensor(LABEL, onnx.TensorProto.INT64, ()))
    kept = {entry.key: entry.value for entry in made.metadata_props}
    onnx.helper.set_model_props(made, {**kept, "assay.contract": "uint8 NHWC pixels to probabilities and label"})
    return made


def write_deployable(source: Path, spec: ModelSpec, layout: str, destination: Path) -> None:
    """Write the deployable graph of an export's file, after the checks of `check_contract`.

    Raises:
        ArtifactError: the source is not an ONNX file.
        ExportFailedError: it cannot be given the contract, or the result fails its checks.
    """
    import onnx  # noqa: PLC0415

    made = deployable(read_model(source), spec, layout)
    onnx.save(made, destination)
    check_contract(destination, spec)


def check_contract(path: Path, spec: ModelSpec) -> None:
    """Make sure that a file is valid ONNX with exactly the contract's input and outputs.

    Raises:
        ArtifactError: it is not an ONNX file.
        ExportFailedError: it is not what the contract says.
    """
    import onnx  # noqa: PLC0415

    model = read_model(path)
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # the checker and the inference behind it raise different classes
        raise ExportFailedError("The ONNX checker refuses the deployable graph", found=one_line(error)) from error
    expected = {
        "inputs": [_described(_tensor(IMAGES, onnx.TensorProto.UINT8, spec.image_shape))],
        "outputs": [
            _described(_tensor(PROBABILITIES, onnx.TensorProto.FLOAT, (spec.classes,))),
            _described(_tensor(LABEL, onnx.TensorProto.INT64, ())),
        ],
    }
    found = {
        "inputs": [_described(value) for value in model.graph.input],
        "outputs": [_described(value) for value in model.graph.output],
    }
    for kind, names in expected.items():
        if found[kind] != names:
            raise ExportFailedError(
                f"The deployable graph's {kind} differ from the specification",
                expected=", ".join(names),
                found=", ".join(found[kind]) or "none",
            )


def _before(*, transposed: bool) -> list[onnx.NodeProto]:
    """Return the nodes from pixels to the export's input."""
    import onnx  # noqa: PLC0415

    make = onnx.helper.make_node
    pixels = f"{PREFIX}pixels" if transposed else IMAGES
    nodes = [make("Transpose", [IMAGES], [pixels], f"{PREFIX}layout", perm=TO_CHANNELS_FIRST)] if transposed else []
    return [
        *nodes,
        make("Cast", [pixels], [f"{PREFIX}whole"], f"{PREFIX}widen", to=onnx.TensorProto.INT32),
        make("Cast", [f"{PREFIX}whole"], [f"{PREFIX}float"], f"{PREFIX}cast", to=onnx.TensorProto.FLOAT),
        make("Div", [f"{PREFIX}float", f"{PREFIX}half_range"], [f"{PREFIX}scaled"], f"{PREFIX}scale"),
        make("Sub", [f"{PREFIX}scaled", f"{PREFIX}shift"], [INPUT_NAME], f"{PREFIX}centre"),
    ]


def _after() -> list[onnx.NodeProto]:
    """Return the nodes from logits to a client's answer."""
    import onnx  # noqa: PLC0415

    make = onnx.helper.make_node
    return [
        make("Softmax", [OUTPUT_NAME], [PROBABILITIES], f"{PREFIX}softmax", axis=1),
        make("ArgMax", [OUTPUT_NAME], [LABEL], f"{PREFIX}argmax", axis=1, keepdims=0),
    ]


def _drop_first_transpose(graph: onnx.GraphProto) -> bool:
    """Drop the transposition if an NHWC graph only puts the channels of its input first; return whether it was
    dropped.
    """
    users = [node for node in graph.node if INPUT_NAME in node.input]
    if len(users) != 1 or users[0].op_type != "Transpose":
        return False
    perm = next((list(attribute.ints) for attribute in users[0].attribute if attribute.name == "perm"), [])
    if perm != TO_CHANNELS_FIRST:
        return False
    old = users[0].output[0]
    graph.node.remove(users[0])
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = INPUT_NAME
    stale = [value for value in graph.value_info if value.name in {old, INPUT_NAME}]
    for value in stale:
        graph.value_info.remove(value)
    return True


def _check_names(model: onnx.ModelProto) -> None:
    inputs, outputs = ([value.name for value in values] for values in (model.graph.input, model.graph.output))
    if inputs != [INPUT_NAME] or outputs != [OUTPUT_NAME]:
        raise ExportFailedError(
            "The export cannot be made deployable",
            expected=f"one input '{INPUT_NAME}' and one output '{OUTPUT_NAME}'",
            found=f"inputs {', '.join(inputs)}; outputs {', '.join(outputs)}",
        )
    used = {name for node in model.graph.node for name in (*node.input, *node.output)}
    used |= {tensor.name for tensor in model.graph.initializer}
    taken = sorted(name for name in used if name in {IMAGES, PROBABILITIES, LABEL} or name.startswith(PREFIX))
    if taken:
        raise ExportFailedError("The export uses names that the serving contract reserves", found=", ".join(taken))


def _tensor(name: str, kind: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    import onnx  # noqa: PLC0415

    return onnx.helper.make_tensor_value_info(name, kind, [BATCH, *shape])


def _described(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dimensions = (str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in tensor.shape.dim)
    return f"'{value.name}' of type {tensor.elem_type} [{', '.join(dimensions)}]"
