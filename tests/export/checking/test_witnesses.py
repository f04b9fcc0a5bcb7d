"""Real runtimes as witnesses: a wrong runtime is distinguished from a wrong file, and both from a missing operator. The
number of correct bits does not prove a precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper

from assay.errors import ExportFailedError, InputError, needing
from assay.export.checking.check import level_names, session_at
from assay.export.checking.lacking import lacks_operator, not_run
from assay.export.checking.on_onnx_witnesses import heard
from assay.export.localise.on_onnx_runners import run_in
from assay.export.localise.source import Array
from assay.export.reference.on_onnx_double import evaluate
from assay.numerics.guilt import guilt_of
from tests.onnx_files import save_onnx

HIDDEN, WIDTH = 4, 3
FEEDS = {"x": np.random.default_rng(0).normal(size=(5, 2, WIDTH)).astype(np.float32)}


def saved(path: Path, nodes: list[NodeProto], opset: int = 22, **constants: Array) -> Path:
    return save_onnx(path, nodes, {"x": [5, 2, WIDTH]}, {"y": None}, constants, opset=opset)


def with_peepholes(path: Path) -> Path:
    random = np.random.default_rng(1)
    shapes = {"w": (1, 4 * HIDDEN, WIDTH), "r": (1, 4 * HIDDEN, HIDDEN), "b": (1, 8 * HIDDEN), "p": (1, 3 * HIDDEN)}
    constants = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    constants["p"] *= np.float32(0.1)
    inputs = ["x", "w", "r", "b", "", "", "", "p"]
    return saved(path, [helper.make_node("LSTM", inputs, ["y"], hidden_size=HIDDEN, name="lstm")], 17, **constants)


def test_a_runtime_that_ignores_an_input_is_wrong_and_not_of_fewer_bits(tmp_path: Path) -> None:
    """OpenVINO's LSTM has no peepholes, and its few correct bits look like bf16's."""
    pytest.importorskip("openvino")
    file = with_peepholes(tmp_path / "peepholes.onnx")
    right = run_in("no-opt", file, FEEDS)["y"]

    def agrees(outputs: Mapping[str, Array]) -> bool:
        return bool(np.abs(outputs["y"] - right).max() < 1e-5)

    outcomes = heard(file, FEEDS, agrees)
    assert outcomes == {"openvino": "differs", "evaluator": "agrees", "evaluator in float64": "agrees"}
    guilt = guilt_of({**outcomes, "no-opt": "agrees", "openvino as it comes": "differs"})
    assert guilt.said == (
        "the file is right (it agrees at level no-opt; onnx's reference evaluator agrees), OpenVINO is wrong"
    )


def test_a_missing_operator_is_not_a_wrong_number(tmp_path: Path) -> None:
    lacked = saved(tmp_path / "lacked.onnx", [helper.make_node("GlobalLpPool", ["x"], ["y"])])
    with pytest.raises(ExportFailedError, match="lacks an operator that it needs, so its numbers are not judged"):
        session_at(lacked, level_names()[0], "it")
    with pytest.raises(InputError, match=r"ONNX Runtime lacks an operator that lacked\.onnx needs"):
        run_in("all", lacked, FEEDS)
    broken = saved(tmp_path / "broken.onnx", [helper.make_node("MatMul", ["x", "x"], ["y"])])
    with pytest.raises(InputError, match=r"ONNX Runtime does not run broken\.onnx"):
        run_in("all", broken, FEEDS)
    with pytest.raises(ExportFailedError, match="it does not load in ONNX Runtime at level disable_all"):
        session_at(broken, level_names()[0], "it")


def test_openvino_lacks_operators_too(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    lacked = saved(tmp_path / "lacked.onnx", [helper.make_node("Det", ["x"], ["y"])])
    with pytest.raises(InputError, match=r"OpenVINO lacks an operator that lacked\.onnx needs"):
        run_in("openvino", lacked, FEEDS)


def test_the_evaluator_is_a_runner_like_any_other(tmp_path: Path) -> None:
    file = with_peepholes(tmp_path / "peepholes.onnx")
    np.testing.assert_array_equal(
        run_in("evaluator", file, FEEDS)["y"], evaluate(onnx.load(file), FEEDS, "the file")["y"]
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ModuleNotFoundError("No module named 'flax'", name="flax"),
            "it needs the Python package 'flax'",
        ),
        (
            ModuleNotFoundError("this needs flash attention"),
            "is not installed: this needs flash attention",
        ),
        (ModuleNotFoundError(), "package that is not installed: it does not say which"),
    ],
)
def test_no_package_is_called_none(error: ModuleNotFoundError, words: str) -> None:
    assert words in needing("it", error)
    assert "None" not in needing("it", error)


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        ("TruncateMod", "the export has the operator TruncateMod, which is not part of ONNX"),
        ("Celu", "ONNX Runtime lacks an operator that the export needs"),  # of a version that it does not have yet
    ],
)
def test_an_operator_of_no_standard_is_the_file_s_and_not_what_a_runtime_lacks(operator: str, words: str) -> None:
    said = f"INVALID_GRAPH : This is an invalid model. Error No Op registered for {operator} with domain_version of 18"
    assert not_run("ONNX Runtime", "the export", said) == f"{words}, so its numbers are not judged"
    assert lacks_operator(said)
