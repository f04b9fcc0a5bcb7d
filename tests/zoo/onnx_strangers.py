"""ONNX files of kinds that tools write and readers may not expect; each function writes one under its own name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import NodeProto, SparseTensorProto, TensorProto, ValueInfoProto, helper, numpy_helper

FLOAT, INT, TEXT, UINT8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING, TensorProto.UINT8
node = helper.make_node
OLD_IR = 3
"""The version of the format in which initialisers are inputs too."""
Shape = Sequence[int | str | None] | None


def value(name: str, kind: int = FLOAT, shape: Shape = ("batch", 4)) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name: str, content: ArrayLike) -> TensorProto:
    return numpy_helper.from_array(np.asarray(content), name)


def weights(name: str, *shape: int) -> TensorProto:
    return constant(name, np.random.default_rng(0).standard_normal(shape).astype(np.float32))


def write(  # noqa: PLR0917  all that a graph has
    path: Path,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    constants: Sequence[TensorProto] = (),
    sparse: Sequence[SparseTensorProto] = (),
    opset: int = 18,
    ir_version: int = 10,
    domains: Sequence[onnx.OperatorSetIdProto] = (),
    functions: Sequence[onnx.FunctionProto] = (),
) -> None:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, list(constants), sparse_initializer=list(sparse))
    imports = [helper.make_opsetid("", opset), *domains]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir_version, functions=list(functions))
    onnx.save(model, path)


def opset_7(path: Path) -> None:
    nodes = [
        node("BatchNormalization", ["x", "s", "b", "m", "v"], ["n"], epsilon=1e-3),
        node("Dropout", ["n"], ["d"], ratio=0.5),
        node("Gemm", ["d", "w", "c"], ["y"], transB=1),
    ]
    named = {"s": np.float32([1, 2, 3, 4]), "b": np.zeros(4, np.float32), "m": np.ones(4, np.float32)}
    made = [constant(name, one) for name, one in named.items()]
    made += [constant("v", np.float32([1, 4, 9, 16])), weights("w", 3, 4), constant("c", np.float32([1, 2, 3]))]
    listed = [value(one.name, FLOAT, one.dims) for one in made]
    write(path, nodes, [value("x"), *listed], [value("y", FLOAT, ("batch", 3))], made, opset=7, ir_version=OLD_IR)


def opset_25(path: Path) -> None:
    nodes = [
        node("RMSNormalization", ["x", "s"], ["n"]), node("Gelu", ["n"], ["g"]), node("MatMul", ["g", "w"], ["y"])
    ]  # fmt: skip
    made = [constant("s", np.float32([1, 2, 3, 4])), weights("w", 4, 3)]
    write(path, nodes, [value("x")], [value("y", FLOAT, ("batch", 3))], made, opset=25, ir_version=11)


def swish(path: Path) -> None:
    """An operator of the standard that ONNX Runtime has no kernel for."""
    write(path, [node("Swish", ["x"], ["y"])], [value("x")], [value("y")], opset=24, ir_version=11)


def opset_of_tomorrow(path: Path) -> None:
    write(path, [node("Relu", ["x"], ["y"])], [value("x")], [value("y")], opset=60, ir_version=10)


def if_and_loop(path: Path) -> None:
    """A loop over three steps, and a branch on the sum of everything."""
    body = helper.make_graph(
        [
            node("MatMul", ["h", "w"], ["hw"]),
            node("Tanh", ["hw"], ["h2"]),
            node("Identity", ["go"], ["on"]),
            node("Identity", ["h2"], ["each"]),
        ],
        "body",
        [value("step", INT, ()), value("go", TensorProto.BOOL, ()), value("h", FLOAT, (2, 4))],
        [value("on", TensorProto.BOOL, ()), value("h2", FLOAT, (2, 4)), value("each", FLOAT, (2, 4))],
    )
    less, more = (
        helper.make_graph([node(kind, ["z", "half"], [f"{kind}_out"])], kind, [], [value(f"{kind}_out", FLOAT, (2, 4))])
        for kind in ("Sub", "Mul")
    )
    nodes = [
        node("Loop", ["three", "", "x"], ["z", "all"], body=body),
        node("ReduceSum", ["z"], ["sum"], keepdims=0),
        node("Greater", ["sum", "half"], ["large"]),
        node("If", ["large"], ["y"], then_branch=less, else_branch=more),
    ]
    made = [constant("three", np.int64(3)), constant("half", np.float32(0.5)), weights("w", 4, 4)]
    write(path, nodes, [value("x", FLOAT, (2, 4))], [value("y", FLOAT, (2, 4)), value("all", FLOAT, (3, 2, 4))], made)


def scan(path: Path) -> None:
    body = helper.make_graph(
        [node("Add", ["sum", "row"], ["next"]), node("Identity", ["next"], ["so_far"])],
        "body",
        [value("sum", FLOAT, (4,)), value("row", FLOAT, (4,))],
        [value("next", FLOAT, (4,)), value("so_far", FLOAT, (4,))],
    )
    nodes = [node("Scan", ["start", "x"], ["last", "y"], body=body, num_scan_inputs=1)]
    made = [constant("start", np.zeros(4, np.float32))]
    write(path, nodes, [value("x", FLOAT, (6, 4))], [value("y", FLOAT, (6, 4)), value("last", FLOAT, (4,))], made)


def any_rank(path: Path) -> None:
    write(
        path,
        [node("Relu", ["x"], ["r"]), node("Neg", ["r"], ["y"])],
        [value("x", shape=None)],
        [value("y", shape=None)],
    )


def without_shapes(path: Path) -> None:
    """Every dimension is open and nameless, and the output has no shape at all."""
    write(path, [node("MatMul", ["x", "w"], ["y"])], [value("x", shape=(None, None))], [value("y", shape=None)],
          [weights("w", 4, 3)])  # fmt: skip


def same_names(path: Path) -> None:
    """Nodes of one name, and an input that is called as a tool of TensorFlow calls it."""
    nodes = [node("Relu", ["in:0"], ["r"], name="n"), node("Neg", ["r"], ["out:0"], name="n")]
    write(path, nodes, [value("in:0")], [value("out:0")])


def own_domain(path: Path) -> None:
    write(path, [node("Mystery", ["x"], ["y"], domain="com.example")], [value("x")], [value("y")],
          domains=[helper.make_opsetid("com.example", 1)])  # fmt: skip


def own_function(path: Path) -> None:
    """An operator that the file itself defines."""
    body = [node("Sigmoid", ["a"], ["s"]), node("Mul", ["a", "s"], ["b"])]
    opsets = [helper.make_opsetid("", 18)]
    function = helper.make_function("com.example", "Swish", ["a"], ["b"], body, opsets)
    write(path, [node("Swish", ["x"], ["y"], domain="com.example")], [value("x")], [value("y")],
          domains=[helper.make_opsetid("com.example", 1)], functions=[function])  # fmt: skip


def contributed(path: Path) -> None:
    """Operators of ONNX Runtime alone."""
    nodes = [
        node("FusedMatMul", ["x", "w"], ["m"], domain="com.microsoft", transB=1, alpha=0.5),
        node("BiasGelu", ["m", "b"], ["y"], domain="com.microsoft"),
    ]
    made = [weights("w", 3, 4), constant("b", np.float32([1, 2, 3]))]
    write(path, nodes, [value("x")], [value("y", FLOAT, ("batch", 3))], made,
          domains=[helper.make_opsetid("com.microsoft", 1)])  # fmt: skip


def sparse(path: Path) -> None:
    kept = helper.make_tensor("w", FLOAT, [3], [1.5, -2.0, 0.1])
    places = helper.make_tensor("w_places", INT, [3], [0, 5, 11])
    made = helper.make_sparse_tensor(kept, places, [4, 3])
    write(path, [node("MatMul", ["x", "w"], ["y"])], [value("x")], [value("y", FLOAT, ("batch", 3))], sparse=[made])


def unused_input(path: Path) -> None:
    write(path, [node("Relu", ["x"], ["y"])], [value("x"), value("other", INT, ("batch", 2))], [value("y")])


def words(path: Path) -> None:
    nodes = [
        node("StringNormalizer", ["text"], ["small"], case_change_action="LOWER", locale="C"),
        node(
            "LabelEncoder", ["small"], ["y"], domain="ai.onnx.ml", keys_strings=["apple", "a"], values_floats=[1.5, 2.5]
        ),
    ]
    write(path, nodes, [value("text", TEXT, (5,))], [value("y", FLOAT, (5,)), value("small", TEXT, (5,))],
          domains=[helper.make_opsetid("ai.onnx.ml", 3)])  # fmt: skip


def qlinear(path: Path) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearMatMul", ["q", "s", "z", "w", "ws", "wz", "ys", "z"], ["p"]),
        node("DequantizeLinear", ["p", "ys", "z"], ["y"]),
    ]
    drawn = np.random.default_rng(0).integers(0, 255, (4, 3)).astype(np.uint8)
    made = [constant("s", np.float32(0.03)), constant("z", np.uint8(128)), constant("w", drawn)]
    made += [constant("ws", np.float32(0.02)), constant("wz", np.uint8(120)), constant("ys", np.float32(0.05))]
    write(path, nodes, [value("x")], [value("y", FLOAT, ("batch", 3))], made)


def empty_output(path: Path) -> None:
    nodes = [node("Slice", ["x", "zero", "zero", "one"], ["none"]), node("Relu", ["x"], ["y"])]
    made = [constant("zero", np.int64([0])), constant("one", np.int64([1]))]
    write(path, nodes, [value("x")], [value("y"), value("none", FLOAT, ("batch", 0))], made)


def int64_overflow(path: Path) -> None:
    nodes = [node("Mul", ["x", "much"], ["y"]), node("Add", ["x", "bias"], ["beyond"])]
    made = [constant("much", np.int64(2**62 + 1)), constant("bias", np.int64(2**40))]
    write(path, nodes, [value("x", INT)], [value("y", INT), value("beyond", INT)], made)


def output_twice(path: Path) -> None:
    """A value that is two outputs, an output that is an input, and one that is a constant."""
    nodes = [node("Relu", ["x"], ["y"]), node("Identity", ["y"], ["same"]), node("Identity", ["w"], ["fixed"])]
    write(path, nodes, [value("x")], [value("y"), value("same"), value("fixed", FLOAT, (2, 2))], [weights("w", 2, 2)])


def listed_twice(path: Path) -> None:
    write(path, [node("Relu", ["x"], ["y"])], [value("x")], [value("y"), value("y")])


def passes_on(path: Path) -> None:
    write(path, [node("Relu", ["x"], ["y"])], [value("x")], [value("y"), value("x")])


def unsorted(path: Path) -> None:
    write(path, [node("Neg", ["r"], ["y"]), node("Relu", ["x"], ["r"])], [value("x")], [value("y")])


def of_doubles(path: Path) -> None:
    double = TensorProto.DOUBLE
    write(path, [node("Softmax", ["x"], ["y"])], [value("x", double)], [value("y", double)])


def beside_it(path: Path) -> None:
    """Weights in a file of their own, two tensors in one."""
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])]
    write(path, nodes, [value("x")], [value("y", FLOAT, ("batch", 300))], [weights("w", 4, 300), weights("b", 300)])
    onnx.save(onnx.load(path), path, save_as_external_data=True, location=f"{path.stem}.bin", size_threshold=0)


def of_one_image(path: Path) -> None:
    """It declares its batch open, and was made for one."""
    nodes = [node("Reshape", ["x", "flat"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    made = [constant("flat", np.int64([1, 12])), weights("w", 12, 5)]
    write(path, nodes, [value("x", FLOAT, ("batch", 3, 4))], [value("y", FLOAT, ("batch", 5))], made)


def normalises_in_place(path: Path) -> None:
    """Bytes of an image in, with the sums of a large area."""
    nodes = [
        node("Cast", ["photo"], ["f"], to=FLOAT), node("Div", ["f", "all"], ["d"]),
        node("Transpose", ["d"], ["t"], perm=[0, 3, 1, 2]),
        node("Resize", ["t", "", "", "sizes"], ["r"], mode="linear"), node("GlobalAveragePool", ["r"], ["y"]),
    ]  # fmt: skip
    made = [constant("all", np.float32(255)), constant("sizes", np.int64([1, 3, 8, 8]))]
    write(path, nodes, [value("photo", UINT8, (1, 10, 12, 3))], [value("y", FLOAT, (1, 3, 1, 1))], made)
