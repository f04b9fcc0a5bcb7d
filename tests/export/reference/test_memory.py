"""The evaluation in float64 stays within a memory limit: unneeded values are dropped, fewer rows are taken, and a
computation that does not fit is refused before it starts.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import assay.export.reference.on_onnx_evaluator as evaluators
from assay.errors import InputError
from assay.export.pairs import on_onnx_pair
from assay.export.pairs.pair_jobs import PairToRun
from assay.export.probing.exact import computed_exactly
from assay.export.reference import on_onnx_double
from assay.export.reference.memory import Appetite, FittingBatches, TooLargeError
from assay.export.reference.on_onnx_double import evaluate, run_double, to_double, without_initialisers
from assay.export.reference.on_onnx_exact import exact_of
from assay.files.named_arrays import read_named
from assay.train.brought.arrays import record_type
from assay.train.brought.loaders.loaded import Array
from assay.train.brought.model import UserModel
from tests.onnx_files import onnx_model, save_onnx
from tests.user_models import tensor, user_model

NUMBERS = 10_000
A_VALUE = 8 * NUMBERS
LAYERS = 20


def chain(rows: int | str = 1) -> onnx.ModelProto:
    """Twenty values of `NUMBERS` per row, one after the other; the first is read again at the end, inside an If."""
    shape = [rows, NUMBERS]
    nodes = [
        helper.make_node("Tanh", ["x" if place == 0 else f"v{place - 1}"], [f"v{place}"]) for place in range(LAYERS)
    ]
    branches = [
        helper.make_graph([helper.make_node(kind, ["v0"], ["b"])], kind, [], [value("b", shape)])
        for kind in ("Neg", "Abs")
    ]
    nodes.append(helper.make_node("If", ["true"], ["late"], then_branch=branches[0], else_branch=branches[1]))
    nodes.append(helper.make_node("Add", [f"v{LAYERS - 1}", "late"], ["y"]))
    return onnx_model(nodes, [value("x", shape)], [value("y", shape)], {"true": np.array(True)})


def value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def feeds(rows: int = 1) -> dict[str, np.ndarray]:
    return {"x": np.random.default_rng(0).normal(size=(rows, NUMBERS)).astype(np.float32)}


def test_values_are_dropped_after_their_last_reader_and_not_before() -> None:
    right = ReferenceEvaluator(chain()).run(None, feeds())[0]
    found = evaluate(chain(), feeds(), "a chain", ["y"], at_most=8 * A_VALUE)
    assert list(found) == ["y"]
    np.testing.assert_array_equal(found["y"], right)
    assert len(evaluate(chain(), feeds(), "a chain")) > LAYERS


def test_what_does_not_fit_is_refused_with_what_it_would_take() -> None:
    with pytest.raises(
        TooLargeError, match=r"need more memory than is available: expected at most 0.3 MiB, found 0.\d MiB"
    ):
        evaluate(chain(), feeds(), "a chain", at_most=4 * A_VALUE)  # all values, in fp32
    with pytest.raises(TooLargeError):
        exact_of(chain(), feeds(), "a chain", at_most=2 * A_VALUE)
    assert exact_of(chain(), feeds(), "a chain", at_most=9 * A_VALUE).outputs["y"].dtype == np.float64


def test_a_value_that_is_made_from_nothing_is_asked_for_before_it_is_made() -> None:
    nodes = [helper.make_node("ConstantOfShape", ["shape"], ["y"])]
    model = onnx_model(nodes, {}, [value("y", ["n"])], {"shape": np.array([10_000_000_000])})
    with pytest.raises(TooLargeError, match=r"found 149\.0 GiB"):
        evaluate(model, {}, "a large one", ["y"], at_most=1 << 30)


def a_model(batch: int | None = None, *, whole: bool = False) -> UserModel:
    return user_model((tensor("x", 2),), (tensor("y", 2),), batch=batch, whole=whole)


def test_fewer_rows_are_taken_where_more_do_not_fit() -> None:
    model, calls = a_model(), []
    records = np.zeros(8, record_type(model.inputs))
    records["x"] = np.arange(16).reshape(8, 2)

    def double(inputs: Sequence[Array]) -> dict[str, Array]:
        calls.append(len(inputs[0]))
        if len(inputs[0]) > 2:
            raise TooLargeError("It is too large")
        return {"y": inputs[0].astype(np.float64) * 2}

    np.testing.assert_array_equal(computed_exactly(model, double, records), records["x"] * 2)
    assert calls == [8, 4, 2, 2, 2, 2]
    with pytest.raises(TooLargeError):
        computed_exactly(a_model(batch=4), double, records)
    with pytest.raises(InputError, match="It is too large"):
        computed_exactly(a_model(), lambda inputs: double([np.zeros((3, 2))]), records)


def test_a_pair_is_drawn_with_fewer_rows_where_more_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_onnx_pair, "exact_of", partial(exact_of, at_most=2 * 9 * A_VALUE))
    onnx.save(chain("n"), tmp_path / "chain.onnx")
    on_onnx_pair.run_pair(
        PairToRun(
            reference=tmp_path / "chain.onnx",
            candidate=tmp_path / "chain.onnx",
            inputs=None,
            dimensions={},
            out=tmp_path,
            runtimes=("no-opt",),
        )
    )
    assert read_named(tmp_path / "reference.npz")["y"].shape == (2, NUMBERS)


def test_calls_are_as_large_as_memory_holds() -> None:
    size = 64 << 20
    appetite = Appetite()
    kept = np.ones(size // 8)
    assert 1 <= appetite.rows(1, 32, at_most=4 * size) <= 4
    assert appetite.rows(1, 32, at_most=1) == 1
    assert appetite.rows(1, 2, at_most=1 << 60) == 2
    few, all_fit = FittingBatches((1, 3, 32), at_most=1), FittingBatches((1, 3, 32), at_most=1 << 60)
    assert list(few.that_fit()) in ([1], [1, 3, 32])  # where nothing was taken at all, everything fits
    assert list(all_fit.that_fit()) == list(all_fit.that_fit()) == [1, 3, 32]
    assert kept.size


CONVOLUTIONS = [
    ((2, 3, 9), (4, 3, 3), {}),
    ((2, 3, 20), (4, 3, 5), {"strides": [2], "dilations": [3], "pads": [4, 1]}),
    ((2, 4, 9, 8), (6, 2, 3, 2), {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1]}),
    ((1, 5, 7, 7), (5, 1, 3, 3), {"group": 5, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ((1, 2, 8, 7), (3, 2, 4, 3), {"auto_pad": "SAME_LOWER", "strides": [1, 2]}),
    ((1, 2, 6, 6), (3, 2, 3, 3), {"auto_pad": "VALID"}),
    ((1, 2, 4, 5, 6), (3, 2, 2, 3, 2), {"pads": [1, 1, 0, 0, 1, 1]}),
]


@pytest.mark.parametrize(("shape", "weights", "attributes"), CONVOLUTIONS)
@pytest.mark.parametrize("laid_out", [1, evaluators.MOST_LAID_OUT])
def test_a_convolution_in_pieces_is_the_convolution(
    shape: tuple[int, ...],
    weights: tuple[int, ...],
    attributes: dict[str, object],
    laid_out: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evaluators, "MOST_LAID_OUT", laid_out)
    random = np.random.default_rng(0)
    x, w, b = (random.normal(size=one).astype(np.float32) for one in (shape, weights, weights[:1]))
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], **attributes)
    model = onnx_model([node], [value("x", shape)], [value("y", ["?"] * len(shape))], {"w": w, "b": b})
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = evaluate(model, {"x": x}, "a convolution")["y"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, session.run(None, {"x": x})[0], rtol=1e-5, atol=1e-5)


MEASURED = """
import resource, sys
import numpy as np, onnx
from assay.export.reference.on_onnx_exact import exact_of
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
x = np.random.default_rng(0).normal(size=(8, 1, 20000)).astype(np.float32)
assert exact_of(onnx.load(sys.argv[1]), {"x": x}, "audio").outputs["y"].dtype == np.float64
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_a_convolution_of_sound_takes_a_fraction_of_what_all_of_its_windows_do(tmp_path: Path) -> None:
    """onnx's own evaluator takes 842 MiB for this, and this one 200."""
    random, channels, layers = np.random.default_rng(0), 16, 6
    nodes, constants = [], []
    for place in range(layers):
        shape = (channels, channels if place else 1, 15)
        constants.append(numpy_helper.from_array(random.normal(size=shape).astype(np.float32) / 15, f"w{place}"))
        before = f"a{place - 1}" if place else "x"
        nodes.append(helper.make_node("Conv", [before, f"w{place}"], [f"c{place}"], pads=[7, 7]))
        nodes.append(helper.make_node("Tanh", [f"c{place}"], [f"a{place}"]))
    nodes.append(helper.make_node("GlobalAveragePool", [f"a{layers - 1}"], ["y"]))
    save_onnx(tmp_path / "a.onnx", nodes, [value("x", ["n", 1, "t"])], [value("y", ["n", channels, 1])], constants)
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "a.onnx")]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3], env=dict(os.environ)
    )
    assert int(answer.stdout) < 450


def test_weights_that_memory_does_not_hold_in_float64_are_refused_before_they_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """2.2 GB of weights in fp32 took 19 GB in all, until the system killed the process."""
    model = onnx_model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": [1, 100]},
        {"y": [1, 100]},
        {"w": np.ones((100, 100), np.float32)},
    )
    taken = (4 * 8 + 3 * 4) * 100 * 100
    for stores, most in ((False, taken), (True, 4 * 8 * 100 * 100)):
        monkeypatch.setattr(on_onnx_double, "most_bytes", lambda share, most=most: most)
        assert to_double(model, stores=stores).graph.initializer
        monkeypatch.setattr(on_onnx_double, "most_bytes", lambda share, most=most: most - 1)
        with pytest.raises(TooLargeError, match=r"float64 need more memory than is available: expected at most"):
            to_double(model, stores=stores)
    with pytest.raises(TooLargeError, match="Its weights in float64"):
        run_double(model, {"x": np.ones((1, 100), np.float32)}, "it")


SIDE, WEIGHTS = 256, 24
IN_FLOAT64 = 8 * SIDE**2


def stack(kind: str = "float32") -> onnx.ModelProto:
    """`WEIGHTS` products one after the other, the last one inside an If; the first weight is read twice, and is listed
    among the inputs.
    """
    random = np.random.default_rng(0)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind)) if kind != "bfloat16" else TensorProto.BFLOAT16
    weights = [
        helper.make_tensor(f"w{place}", element, [SIDE, SIDE], random.normal(0, SIDE**-0.5, SIDE**2).tolist())
        for place in range(WEIGHTS)
    ]
    numbers = [numpy_helper.from_array(numpy_helper.to_array(one), one.name) for one in weights]  # in raw bytes
    nodes = [
        helper.make_node("MatMul", [f"v{place - 1}" if place else "x", f"w{place}"], [f"v{place}"])
        for place in range(WEIGHTS - 1)
    ]
    inner = helper.make_node("MatMul", [f"v{WEIGHTS - 2}", f"w{WEIGHTS - 1}"], ["b"])
    branch = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("b", element, ["n", SIDE])])
    nodes.append(helper.make_node("If", ["yes"], ["late"], then_branch=branch, else_branch=branch))
    nodes.append(helper.make_node("MatMul", ["late", "w0"], ["y"]))
    ends = [[helper.make_tensor_value_info(name, element, ["n", SIDE])] for name in ("x", "y")]
    listed = helper.make_tensor_value_info("w0", element, [SIDE, SIDE])
    yes = numpy_helper.from_array(np.array(True), "yes")
    return onnx_model(nodes, [*ends[0], listed], ends[1], [*numbers, yes])


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_weights_are_cast_where_they_are_read_and_the_numbers_are_those_of_float64(kind: str) -> None:
    model = stack(kind)
    x = np.random.default_rng(1).normal(size=(2, SIDE)).astype(np.float32)
    exact = x.astype(np.float64)
    weights = [numpy_helper.to_array(one).astype(np.float64) for one in model.graph.initializer[:WEIGHTS]]
    for one in (*weights, weights[0]):
        exact = exact @ one
    for stores in (False, True):
        wide = to_double(model, stores=stores)
        assert [one.name for one in without_initialisers(wide.graph)] == ["x"]
        assert len([one for one in wide.graph.node if one.op_type == "Cast"]) == (0 if stores else WEIGHTS)
        found = evaluate(wide, {"x": x.astype(np.float64)}, "a stack", ["y"])["y"]
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, exact, rtol=1e-12)
    assert exact_of(model, {"x": x.astype(numpy_helper.to_array(model.graph.initializer[0]).dtype)}, "it").outputs


def test_an_evaluation_holds_the_weights_of_one_node_in_float64() -> None:
    """All 24 weights in float64 would take twice the memory of the stored ones in fp32."""
    model, x = stack(), np.ones((1, SIDE), np.float32)
    stored = len(model.SerializeToString())
    assert len(to_double(model).SerializeToString()) < 1.1 * stored
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run_double(model, {"x": x}, "a stack")
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < stored + 5 * IN_FLOAT64  # w0 is read at both ends, and a copy is on its way
