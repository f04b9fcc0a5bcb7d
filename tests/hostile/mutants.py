"""Seeded mutants of files (bytes, JSON, TOML, ONNX, npz, safetensors), broken as by chance or malice.

The same seed gives the same mutant, so a failing one can be made again from its number.
"""

from __future__ import annotations

import io
import json
import random
import re
import struct
import zipfile
from collections.abc import Callable

import onnx
from onnx import TensorProto

Mutate = Callable[[bytes, random.Random], bytes]
HOSTILE_VALUES: tuple[object, ...] = (
    None, True, -1, 0, 2**63, 1e308, float("nan"), float("inf"), "", "../../etc/passwd", "\x00\x1b[2J", "9" * 400,
    "\u202e<script>", [], {}, [[[[]]]], {"a": {"b": {}}}, "x" * 10_000, -0.5, "1e999",
)  # fmt: skip
SIZES = (0, -1, 1, 2, 7, 2**31 - 1, 2**31, 10**10, 2**62, -(2**63))


def broken_bytes(content: bytes, chance: random.Random) -> bytes:
    """Flip bits, cut, repeat, insert or overwrite a few places."""
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        if not data:
            return b""
        place = chance.randrange(len(data))
        match chance.randrange(6):
            case 0:
                data[place] ^= 1 << chance.randrange(8)
            case 1:
                del data[place:]
            case 2:
                data[place:place] = data[place : place + chance.randint(1, 64)]
            case 3:
                data[place:place] = chance.randbytes(chance.randint(1, 16))
            case 4:
                data[place : place + 8] = struct.pack("<q", chance.choice(SIZES))
            case _:
                del data[place : place + chance.randint(1, 32)]
    return bytes(data)


def broken_json(content: bytes, chance: random.Random) -> bytes:
    """Replace, remove or add values anywhere in a JSON document; one in five has its bytes broken instead."""
    if chance.random() < 0.2:
        return broken_bytes(content, chance)
    if chance.random() < 0.05:
        depth = chance.choice((500, 100_000))
        return b"[" * depth + b"]" * depth
    document = json.loads(content)
    for _ in range(chance.randint(1, 3)):
        document = _changed(document, chance)
    return json.dumps(document).encode()


def _changed(document: object, chance: random.Random) -> object:
    """The document with one change at a place found by a random walk."""
    node = document
    while isinstance(node, dict | list) and node:
        key: object = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        child = node[key]  # type: ignore[index, call-overload]
        if isinstance(child, dict | list) and child and chance.random() < 0.85:
            node = child
            continue
        match chance.randrange(5):
            case 0:
                del node[key]  # type: ignore[arg-type]
            case 1 if isinstance(node, dict):
                node["an unknown key"] = chance.choice(HOSTILE_VALUES)
            case 2 if isinstance(node, list):
                node.append(child)
            case _:
                node[key] = chance.choice(HOSTILE_VALUES)  # type: ignore[index, call-overload]
        return document
    return chance.choice(HOSTILE_VALUES)


def broken_toml(content: bytes, chance: random.Random) -> bytes:
    """Replace values, drop or repeat lines of a TOML document; one in five has its bytes broken instead."""
    if chance.random() < 0.2:
        return broken_bytes(content, chance)
    lines = content.decode().splitlines()
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines.insert(place, lines[place])
            case 2:
                value = chance.choice(('""', "-1", "1e400", "nan", "[]", "{}", "[[1]]", "2020-01-01", "true", '"../x"'))
                lines[place] = re.sub(r"=.*", f"= {value}", lines[place])
            case _:
                lines.insert(place, f"unknown{chance.randrange(9)} = 1")
        if not lines:
            break
    return "\n".join(lines).encode()


def broken_onnx(content: bytes, chance: random.Random) -> bytes:
    """Change operators, names, types, shapes, attributes, constants or versions of a model that still parses; one in
    four has its bytes broken instead."""
    if chance.random() < 0.25:
        return broken_bytes(content, chance)
    model = onnx.load_from_string(content)
    for _ in range(chance.randint(1, 3)):
        chance.choice(_ONNX_CHANGES)(model, chance)
    return bytes(model.SerializeToString())


def _operator(model: onnx.ModelProto, chance: random.Random) -> None:
    operators = ("Relu", "Conv", "If", "Loop", "Scan", "NoSuch", "", "Reshape", "TopK", "RandomNormal", "StringSplit")
    _node(model, chance).op_type = chance.choice(operators)


def _domain(model: onnx.ModelProto, chance: random.Random) -> None:
    _node(model, chance).domain = chance.choice(("", "com.microsoft", "ai.onnx.ml", "nobody", "\x1b[2J"))


def _edge(model: onnx.ModelProto, chance: random.Random) -> None:
    """An input from nowhere, from a later node, or missing."""
    node = _node(model, chance)
    others = [name for one in model.graph.node for name in (*one.input, *one.output)]
    names = chance.choice((node.input, node.output))
    if names:
        names[chance.randrange(len(names))] = chance.choice([*others, "", "nowhere", "x" * 5000])


def _repeat(model: onnx.ModelProto, chance: random.Random) -> None:
    model.graph.node.append(_node(model, chance))


def _drop(model: onnx.ModelProto, chance: random.Random) -> None:
    graph = model.graph
    parts = [part for part in (graph.node, graph.input, graph.output, graph.initializer, model.opset_import) if part]
    if parts:
        part = chance.choice(parts)
        del part[chance.randrange(len(part))]


def _shape(model: onnx.ModelProto, chance: random.Random) -> None:
    values = [*model.graph.input, *model.graph.output]
    if not values:
        return
    kind = chance.choice(values).type.tensor_type
    match chance.randrange(4):
        case 0:
            kind.elem_type = chance.choice([*TensorProto.DataType.values(), 99])
        case 1:
            kind.shape.dim.add().dim_value = chance.choice(SIZES)
        case 2 if kind.shape.dim:
            chance.choice(kind.shape.dim).dim_value = chance.choice(SIZES)
        case _:
            kind.ClearField("shape")


def _constant(model: onnx.ModelProto, chance: random.Random) -> None:
    if not model.graph.initializer:
        return
    tensor = chance.choice(model.graph.initializer)
    match chance.randrange(5):
        case 0 if tensor.dims:
            tensor.dims[chance.randrange(len(tensor.dims))] = chance.choice(SIZES)
        case 1:
            tensor.data_type = chance.choice([*TensorProto.DataType.values(), 99])
        case 2:
            tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 2]
        case 3:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            place = chance.choice(("/etc/passwd", "../outside", "nothing.bin", ".", "/dev/zero"))
            tensor.external_data.add(key="location", value=place)
        case _:
            tensor.raw_data = b"\xff" * len(tensor.raw_data)


def _attribute(model: onnx.ModelProto, chance: random.Random) -> None:
    node = _node(model, chance)
    attribute = node.attribute.add()
    attribute.name = chance.choice(("axis", "kernel_shape", "body", "value", "perm", "to", "epsilon"))
    match chance.randrange(4):
        case 0:
            attribute.type, attribute.i = attribute.INT, chance.choice(SIZES)
        case 1:
            attribute.type = attribute.INTS
            attribute.ints.extend(chance.choices(SIZES, k=3))
        case 2:
            attribute.type, attribute.f = attribute.FLOAT, float("nan")
        case _:
            attribute.type, attribute.s = attribute.STRING, b"\xff\xfe\x00"


def _version(model: onnx.ModelProto, chance: random.Random) -> None:
    if model.opset_import and chance.random() < 0.6:
        chance.choice(model.opset_import).version = chance.choice((0, -1, 1, 6, 999, 2**40))
    else:
        model.ir_version = chance.choice((0, 2, 3, 99, 2**40))


def _metadata(model: onnx.ModelProto, chance: random.Random) -> None:
    model.metadata_props.add(key=chance.choice(("", "a" * 9000, "\x1b]0;t\x07")), value="\u202e{{ 7*7 }}\n| x |")


def _node(model: onnx.ModelProto, chance: random.Random) -> onnx.NodeProto:
    return chance.choice(model.graph.node) if model.graph.node else model.graph.node.add()


_ONNX_CHANGES = (
    _operator, _domain, _edge, _repeat, _drop, _shape, _constant, _attribute, _version, _metadata,
)  # fmt: skip


def broken_npz(content: bytes, chance: random.Random) -> bytes:
    """Change a member of an archive of arrays, its header or its name, or the archive's bytes."""
    if chance.random() < 0.25:
        return broken_bytes(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(members))
    match chance.randrange(6):
        case 0:
            members[name] = broken_bytes(members[name], chance)
        case 1:
            members[chance.choice(("../out.npy", "/abs.npy", "x" * 300, "file.npy", "\u202e.npy"))] = members.pop(name)
        case 2:
            members[name] = _declared(members[name], str((chance.choice(SIZES),)))
        case 3:
            members[name] = re.sub(rb"'descr': '[^']*'", b"'descr': '|O'", members[name])
        case 4:
            members[name] = b"\x80\x04cposix\nsystem\n."
        case _:
            del members[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in members.items():
            archive.writestr(one, data)
    return stream.getvalue()


def _declared(member: bytes, shape: str) -> bytes:
    """A .npy whose header claims another shape; the header's length is kept by its own padding."""
    found = re.search(rb"'shape': \([^)]*\)", member)
    if found is None:
        return member
    text = f"'shape': {shape}".encode()
    header_end = member.index(b"\n") + 1
    header = (member[: found.start()] + text + member[found.end() : header_end - 1]).rstrip(b" ")
    return header.ljust(header_end - 1, b" ")[: header_end - 1] + b"\n" + member[header_end:]


def broken_safetensors(content: bytes, chance: random.Random) -> bytes:
    """Change the header, which is JSON, the length before it, or the bytes."""
    if chance.random() < 0.25:
        return broken_bytes(content, chance)
    (length,) = struct.unpack("<Q", content[:8])
    header, rest = content[8 : 8 + length], content[8 + length :]
    if chance.random() < 0.2:
        return struct.pack("<Q", chance.choice([size for size in SIZES if size >= 0])) + header + rest
    changed = broken_json(header, chance)
    return struct.pack("<Q", len(changed)) + changed + rest
