"""The node that is the cause is found by replacing its result with the right value, also if an operator is written as
several.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from assay.export.localise.on_onnx_cause import OTHER_ORDER
from assay.export.localise.on_onnx_repro import localise_with_repros
from assay.records.localisation import Localisation
from tests.onnx_files import save_onnx

node = helper.make_node
SHAPE = (4, 6, 5)


def saved(path: Path, nodes: list[NodeProto], kind: int = TensorProto.FLOAT, **constants: object) -> Path:
    """A file from `x` to `y`."""
    return save_onnx(path, nodes, {"x": (kind, SHAPE)}, {"y": (kind, None)}, constants)


def parted(folder: Path, right: list[NodeProto], wrong: list[NodeProto], **constants: object) -> list[Localisation]:
    np.savez(folder / "inputs.npz", x=np.random.default_rng(0).normal(size=SHAPE).astype(np.float32))
    reference = saved(folder / "right.onnx", right, **constants)
    candidate = saved(folder / "wrong.onnx", wrong, **constants)
    return localise_with_repros(reference, candidate, folder / "inputs.npz", folder / "repro")


def shows(folder: Path, found: Localisation) -> bool:
    """Whether the repro's own script reports the defect."""
    done = subprocess.run([sys.executable, str(folder / found.repro / "run.py")], capture_output=True, check=False)
    return done.returncode == 1


HALF = np.float32(0.5)
BEFORE = [node("Sin", ["x"], ["a"], name="before")]
AFTER = [node("Exp", ["b"], ["c"], name="after"), node("Cos", ["c"], ["y"], name="last")]


def test_a_node_that_a_file_lacks_is_named(tmp_path: Path) -> None:
    """As if a divisor disappeared: the node behind the gap is right, and its input is not."""
    right = [*BEFORE, node("Mul", ["a", "half"], ["b"], name="divisor"), *AFTER]
    wrong = [*BEFORE, node("Exp", ["a"], ["c"], name="after"), node("Cos", ["c"], ["y"], name="last")]
    (found,) = parted(tmp_path, right, wrong, half=HALF)
    assert found.missing == ["Mul() 'divisor'"]
    assert found.node == "after"
    assert "the file lacks Mul() 'divisor' after 'before', before node 'after', Exp()" in str(found)
    assert shows(tmp_path, found)


def test_a_node_that_a_file_has_too_much_is_named(tmp_path: Path) -> None:
    right = [*BEFORE, node("Exp", ["a"], ["c"]), node("Cos", ["c"], ["y"])]
    wrong = [*BEFORE, node("Mul", ["a", "half"], ["b"], name="divisor"), *AFTER]
    (found,) = parted(tmp_path, right, wrong, half=HALF)
    assert (found.node, found.superfluous) == ("divisor", True)
    assert "the file has a superfluous node 'divisor', Mul()" in str(found)
    assert shows(tmp_path, found)


def test_a_wrong_turn_is_named_and_not_the_product_that_follows_it(tmp_path: Path) -> None:
    """All numbers are there, in another order."""
    weight = np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)
    product = node("MatMul", ["t", "weight"], ["y"], name="product")
    right = [*BEFORE, node("Transpose", ["a"], ["t"], name="turn", perm=[0, 2, 1]), product]
    wrong = [*BEFORE, node("Reshape", ["a", "shape"], ["t"], name="turn"), product]
    (found,) = parted(tmp_path, right, wrong, weight=weight, shape=np.array([4, 5, 6]))
    assert (found.node, found.reference_nodes) == ("turn", [OTHER_ORDER])
    assert shows(tmp_path, found)


LATER = [node("Sin", ["b"], ["c"]), node("Cos", ["c"], ["y"])]


def written_out(add: str) -> list[NodeProto]:
    """Softplus as an exporter may write it: log(exp(a) + 1)."""
    return [
        *BEFORE,
        node("Exp", ["a"], ["grown"], name="grow"),
        node("Add", ["grown", add], ["shifted"], name="shift"),
        node("Log", ["shifted"], ["b"], name="shrink"),
        *LATER,
    ]


def test_where_one_operator_is_written_as_several_they_are_all_named(tmp_path: Path) -> None:
    """The reference contains only the result of the last of them, and with its value there the rest is right."""
    right = [*BEFORE, node("Softplus", ["a"], ["b"], name="softplus"), *LATER]
    constants = {"one": np.float32(1), "other": np.float32(1.25)}
    (found,) = parted(tmp_path, right, written_out("other"), **constants)
    assert (found.node, found.among) == ("shrink", ["grow", "shift"])
    assert found.reference_nodes == ["Softplus()"]
    assert "it goes wrong between 'grow', 'shift' and node 'shrink', Log()" in str(found)
    assert "the following nodes are right with that instead" in str(found)
    assert shows(tmp_path, found)
    assert parted(tmp_path, right, written_out("one"), **constants) == []


@pytest.mark.parametrize("wrong_twice", [False, True])
def test_the_first_of_two_faults_is_found(tmp_path: Path, *, wrong_twice: bool) -> None:
    """No single value makes the outputs right, although the values behind the first are recognised again."""
    middle = node("Mul", ["a", "half"], ["b"], name="first")
    right = [*BEFORE, middle, *AFTER[:1], node("Cos", ["c"], ["d"]), node("Mul", ["d", "half"], ["y"], name="second")]
    first = node("Mul", ["a", "third"], ["b"], name="first")
    second = node("Mul", ["d", "third" if wrong_twice else "half"], ["y"], name="second")
    wrong = [*BEFORE, first, *AFTER[:1], node("Cos", ["c"], ["d"]), second]
    found = parted(tmp_path, right, wrong, half=HALF, third=np.float32(1 / 3))
    assert found[0].node == "first"
    assert found[0].proven


def test_a_lost_padding_that_makes_a_result_smaller_is_named(tmp_path: Path) -> None:
    """As jax2onnx lost a max-pool's padding: the following nodes accept any size, so only the numbers show it."""
    turn = node("Unsqueeze", ["x", "axis"], ["image"])
    mean = [node("Tanh", ["b"], ["c"]), node("ReduceMean", ["c"], ["y"], name="mean", keepdims=0)]
    pool = {"kernel_shape": [3, 3], "strides": [2, 2]}
    right = [turn, node("MaxPool", ["image"], ["b"], name="pool", pads=[1, 1, 1, 1], **pool), *mean]
    wrong = [turn, node("MaxPool", ["image"], ["b"], name="pool", **pool), *mean]
    (found,) = parted(tmp_path, right, wrong, axis=np.array([1]))
    assert (found.node, found.among, found.proven) == ("pool", [], True)
    assert "pads=[1, 1, 1, 1]" in found.reference_nodes[0]
    assert shows(tmp_path, found)
