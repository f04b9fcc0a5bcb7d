"""Model files that contain code; each writes a file `marker` if it runs. Made in a separate process."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Members = dict[str, bytes]


class Touch:
    """A pickle that writes a file when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.marker)!r}, 'w').close()",))


def rewritten(source: Path, target: Path, change: Callable[[Members], Members]) -> Path:
    """A zip with its members changed; torch's keep the name of their folder."""
    with zipfile.ZipFile(source) as bundle:
        members = {info.filename: bundle.read(info) for info in bundle.infolist()}
    root = next(iter(members)).split("/")[0] + "/"
    inside = {name.removeprefix(root): content for name, content in members.items()}
    with zipfile.ZipFile(target, "w") as bundle:
        for name, content in change(inside).items():
            bundle.writestr(root + name, content)
    return target


def replaced(name: str, content: bytes) -> Callable[[Members], Members]:
    return lambda members: {**members, name: content}


def in_json(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Members], Members]:
    def apply(members: Members) -> Members:
        record = json.loads(members[name])
        change(record)
        return {**members, name: json.dumps(record).encode()}

    return apply


def torch_pickle(marker: Path) -> bytes:
    import torch  # noqa: PLC0415

    stream = io.BytesIO()
    torch.save((Touch(marker),), stream)
    return stream.getvalue()


def code(marker: Path) -> str:
    return f"open({str(marker)!r}, 'w').close()"


WEIGHTS, CONSTANTS = "data/weights/model_weights_config.json", "data/constants/model_constants_config.json"
PROGRAM = "models/model.json"


def _first(config: dict[str, Any]) -> dict[str, Any]:
    return next(iter(config["config"].values()))


def _nodes(program: dict[str, Any]) -> list[dict[str, Any]]:
    return program["graph_module"]["graph"]["nodes"]


def _sizes(program: dict[str, Any]) -> list[dict[str, Any]]:
    return program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]


def _signature(program: dict[str, Any]) -> dict[str, Any]:
    return program["graph_module"]["module_call_graph"][0]["signature"]


def _call_system(program: dict[str, Any], marker: Path) -> None:
    node = next(one for one in _nodes(program) if one["target"].endswith("relu.default"))
    node["target"] = "torch.os.system"
    node["inputs"] = [{"name": "", "arg": {"as_string": f"touch {marker}"}, "kind": 1}]


def _factory_tree(module: str) -> str:
    context = {"default_factory_module": module, "default_factory_name": "x", "dict_context": []}
    return json.dumps([1, {"type": "collections.defaultdict", "context": context, "children_spec": []}])


def _pickled(config: dict[str, Any]) -> None:
    _first(config)["use_pickle"] = True


def programs(marker: Path) -> dict[str, Callable[[Members], Members]]:
    """The change to a good .pt2, by its kind: every place that torch unpickles, evaluates or calls."""
    bad, plain = torch_pickle(marker), pickle.dumps(Touch(marker))
    run = code(marker)

    def custom(prefix: str) -> Callable[[Members], Members]:
        def apply(members: Members) -> Members:
            config = json.loads(members[CONSTANTS])
            _first(config).update(path_name=f"{prefix}_0", use_pickle=True)
            return {**members, CONSTANTS: json.dumps(config).encode(), f"data/constants/{prefix}_0": plain}

        return apply

    def pickled(config: str, member: str) -> Callable[[Members], Members]:
        change = in_json(config, _pickled)
        return lambda members: {**change(members), member: bad}

    def program(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], Members]:
        return in_json(PROGRAM, change)

    return {
        "sample inputs": replaced("data/sample_inputs/model.pt", bad),
        "sample inputs, bare": replaced("data/sample_inputs/model.pt", plain),
        "old weights": replaced("data/weights/model.pt", bad),
        "old constants": replaced("data/constants/model.pt", bad),
        "a pickled weight": pickled(WEIGHTS, "data/weights/weight_0"),
        "a pickled constant": pickled(CONSTANTS, "data/constants/tensor_0"),
        "a custom object": custom("custom_obj"),
        "an opaque object": custom("opaque_obj"),
        "a compiled library": replaced("data/aotinductor/model/model.so", b"\x7fELF"),
        "a member from nowhere": replaced("data/other/thing.pkl", bad),
        "a second program": lambda members: {**members, "models/other.json": members[PROGRAM]},
        "a size that is code": program(lambda one: _sizes(one)[0]["as_expr"].update(expr_str=run)),
        "a size with code inside": program(
            lambda one: _sizes(one)[0]["as_expr"].update(expr_str=f"Symbol(str({run}), integer=True)")
        ),
        "a size that never ends": program(lambda one: _sizes(one)[0]["as_expr"].update(expr_str="9**9**9**9")),
        "a guard that is code": program(lambda one: one.update(guards_code=[f"{run} is None"])),
        "torch.os.system": program(lambda one: _call_system(one, marker)),
        "torch.os.system as an argument": program(
            lambda one: _nodes(one)[1]["inputs"][0].update(arg={"as_operator": "torch.os.system"})
        ),
        "a library to load": program(lambda one: _nodes(one)[1].update(target="torch.ops.load_library")),
        "an operator on files": program(lambda one: _nodes(one)[1].update(target="torch.ops.aten.from_file.default")),
        "a name that is code": program(lambda one: _nodes(one)[1].update(name=f"x\n{run}\n")),
        "an input that is code": program(
            lambda one: one["graph_module"]["graph"]["inputs"][-1]["as_tensor"].update(name=f"x=({run})")
        ),
        "an argument that is code": program(lambda one: _signature(one).update(forward_arg_names=[f"x=({run})"])),
        "a parameter that is code": program(
            lambda one: one["graph_module"]["signature"]["input_specs"][0]["parameter"].update(
                parameter_name=f'l".__class__ or {run} or "'
            )
        ),
        "a tree that imports": program(lambda one: _signature(one).update(in_spec=_factory_tree("antigravity"))),
        "a constraint of 10^12": program(lambda one: one["range_constraints"].update({"u" + "9" * 12: {"min_val": 1}})),
        "brackets without end": replaced(PROGRAM, b"[" * 100_000),
    }


def main() -> None:
    """Write good and hostile files of one framework below a folder."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    {"torch": write_torch, "tf": write_tf}[kind](folder)


def write_torch(folder: Path) -> None:
    import torch  # noqa: PLC0415

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 3)
            self.constant = torch.ones(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.linear(x)) + self.constant

    class Saves(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, "marker")
            return x

    class SavesWhenLoaded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = 1

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

        @torch.jit.export
        def __getstate__(self) -> tuple[int, bool]:
            return (1, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[int, bool]) -> None:
            torch.save(3, "marker")
            self.a = state[0]
            self.training = state[1]

    batch = torch.export.Dim("batch", min=1, max=64)
    model = Small().eval()
    program = torch.export.export(model, (torch.ones(2, 4),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "good.pt2")
    marker = folder / "marker"
    for number, change in enumerate(programs(marker).values()):
        rewritten(folder / "good.pt2", folder / f"bad{number}.pt2", change)
    torch.jit.script(model).save(folder / "good.pt")
    saves = {"forward.pt": Saves(), "setstate.pt": SavesWhenLoaded()}
    for name, one in saves.items():
        torch.jit.script(one).save(folder / name)
    (folder / "marker").unlink(missing_ok=True)
    old, new = b'torch.save(x, "marker")', b'ops.aten.save(x, "marker")'
    rewritten(folder / "forward.pt", folder / "namespace.pt", lambda m: {n: c.replace(old, new) for n, c in m.items()})
    rewritten(folder / "good.pt", folder / "member.pt", replaced("model.json", b"{}"))
    space = b"__torch__.torch.classes.c10d.ProcessGroup"
    rewritten(folder / "good.pt", folder / "class.pt", lambda m: {**m, "data.pkl": m["data.pkl"] + space})
    torch.save(Touch(marker), folder / "pickle.pt")
    (folder / "before.pt").write_bytes(b"\0\0\0\0PTMF" + (folder / "good.pt").read_bytes())
    (folder / "before.pt2").write_bytes(b"#!/bin/sh\n" + (folder / "good.pt2").read_bytes())


def write_tf(folder: Path) -> None:
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    marker = str(folder / "marker")
    signature = [tf.TensorSpec([None, 2], tf.float32)]

    def writes(x: Any) -> Any:
        tf.io.write_file(marker, "x")
        return x

    def prints(x: Any) -> Any:
        tf.print(x, output_stream=f"file://{marker}")
        return x

    functions = {
        "writes": writes,
        "prints": prints,
        "reads": lambda x: x + tf.cast(tf.strings.length(tf.io.read_file(marker)), tf.float32),
        "calls": lambda x: tf.py_function(lambda one: one, [x], tf.float32),
        "lists": lambda x: x + tf.cast(tf.size(tf.io.matching_files("/*")), tf.float32),
        "huge": lambda x: x + tf.reduce_sum(tf.fill([2, 2], 1.0)),
    }
    for name, function in functions.items():
        module = tf.Module()
        module.function = tf.function(function, input_signature=signature)
        tf.saved_model.save(module, folder / name, signatures=module.function.get_concrete_function())
    layers = keras.layers
    model = keras.Sequential([layers.Input((4,)), layers.Dense(3, activation="gelu"), layers.Softmax()])
    model.save(folder / "good.keras")
    model.save(folder / "whole.h5")
    model.export(folder / "good", verbose=False)


if __name__ == "__main__":
    main()
