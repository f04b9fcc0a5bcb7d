"""A case of ONNX's own agrees by its own tolerance, in shape and type, and anywhere inside a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from assay.bench.atlas.on_onnx_case import RUNNERS, difference
from assay.bench.atlas.suites.suite import BackendCase

ONE = np.array([1.0, np.inf, np.nan], np.float32)


def case(*outputs: Any) -> BackendCase:
    return BackendCase(0, "test_case", b"", (), outputs, relative=1e-3, absolute=1e-7)


@pytest.mark.parametrize(
    ("expected", "found", "reason"),
    [
        (ONE, ONE * np.float32(1.0005), ""),
        (ONE, ONE * np.float32(1.01), "differs by 0.01"),
        (ONE, ONE.astype(np.float64), "float64 [3], expected float32 [3]"),
        (ONE, ONE[None], "float32 [1, 3], expected float32 [3]"),
        (ONE, np.array([1, -np.inf, np.nan], np.float32), "infinity or NaN"),
        (np.array([1e3, 0], np.float32), np.array([1e3, 5e-4], np.float32), ""),  # zero to the rounding of a sum
        (np.array([1e3, 0], np.float32), np.array([1e3, 5e-3], np.float32), "differs by 0.005"),
        (np.array([1, 2]), np.array([1, 3]), "1 of 2 values differ"),
        (np.array(["a", "b"], object), np.array(["a", "c"]), "1 of 2 values differ"),
        (np.array([1 + 1j]), np.array([1 + 2j]), "differs by 1"),
        (np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32), ""),
        ([ONE, ONE], [ONE, ONE], ""),
        ([ONE, ONE], [ONE], "another number of elements"),
        (None, None, ""),
        (None, ONE, "one side has no value"),
    ],
)
def test_a_difference_is_said(expected: Any, found: Any, reason: str) -> None:
    told, apart = difference(case(expected), [found])
    assert told == "" if not reason else reason in told
    assert (apart > 1) == ("differs by" in reason)


def test_an_output_that_is_missing_is_said() -> None:
    assert difference(case(ONE, ONE), [ONE])[0] == "1 outputs, expected 2"


@pytest.mark.parametrize("runtime", RUNNERS)
def test_a_file_that_is_an_identity_is_given_its_input(runtime: str, tmp_path: Path) -> None:
    """OpenVINO gives the input of such a file the name of its output, and computed on no input at all."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Sum", ["x"], ["y"])], "graph", ends[:1], ends[1:])
    path, x = tmp_path / "model.onnx", np.array([3, 0, 2], np.float32)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    one = BackendCase(0, "test_sum_one_input", b"", (x,), (x,), relative=1e-3, absolute=1e-7)
    assert RUNNERS[runtime](one, path, {"x": x})[0] == "right"
