"""A difference that a rounding of the inputs explains is not a defect, and any other is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from assay.bench.atlas.conditioning import Array, is_explained, moved_by_rounding
from assay.train.brought.arrays import Records, record_type
from tests.user_models import tensor, user_model

SHAPE = (3,)
MODEL = user_model((tensor("x", *SHAPE),), (tensor("y", *SHAPE),), "torch", whole=True)


def records_of(*values: float) -> Records:
    records = np.zeros(1, record_type(MODEL.inputs))
    records["x"][0] = values
    return records


def by(function: Callable[[Array], Array]) -> Callable[[Records], Array]:
    return lambda records: np.asarray(function(records["x"].astype(np.float64)))


def written(folder: Path, *operators: str) -> Path:
    """A file that subtracts one from what these operators give, one after the other."""
    names = ["x", *(f"v{place}" for place in range(len(operators)))]
    nodes = [helper.make_node(one, [names[at]], [names[at + 1]]) for at, one in enumerate(operators)]
    nodes.append(helper.make_node("Sub", [names[-1], "one"], ["y"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    one = helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], [one])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("values", "operators", "function", "explained"),
    [
        ((1.5, 2.0, 3.0), ("Exp",), np.expm1, True),
        ((1e-6, 2e-6, 3e-6), ("Exp",), np.expm1, False),  # exp(x) - 1 loses what expm1 keeps
        ((1.0 + 2e-7, 1.0 - 2e-7, 1.0), ("Identity",), lambda x: x - 1, True),
        ((1.5, 2.5, 3.5), ("Floor",), lambda x: np.ceil(x) - 1, False),
        ((2.0, 3.0, 4.0), ("Floor",), lambda x: np.floor(np.nextafter(x, 0)) - 1, True),  # beside a jump
    ],
)
def test_a_rounding_explains_it_or_not(
    values: tuple[float, ...],
    operators: tuple[str, ...],
    function: Callable[[Array], Array],
    explained: bool,
    tmp_path: Path,
) -> None:
    records, compute = records_of(*values), by(function)
    exact = compute(records)
    moved = moved_by_rounding(MODEL, records, exact, compute)
    assert is_explained(MODEL, written(tmp_path, *operators), records, exact, moved) is explained


def test_a_result_that_stops_being_finite_is_said() -> None:
    records = records_of(1.0, 0.5, 0.5)
    with np.errstate(invalid="ignore"):
        moved = moved_by_rounding(MODEL, records, np.arccos(records["x"].astype(np.float64)), by(np.arccos))
    assert np.isinf(moved[0, 0])
    assert np.isfinite(moved[0, 1:]).all()
