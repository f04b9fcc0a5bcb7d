"""Files with misleading numbers: off by one among large ids, infinities, ties, a small column, a wrong evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.export.job import CHECK
from assay.export.localise.on_onnx_localize import localise
from assay.export.probing.probe import PROBE, Probed, ProbeRequest
from assay.export.reference.double_job import DECIDERS, DoubleRequest
from assay.jobs.running import run_job
from assay.records.audit import Audit
from assay.train.brought.model import Location
from assay.train.brought.sources import locate
from tests.onnx_files import onnx_graph, save_onnx
from tests.user_models import to_check

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
ROWS, WIDTH = 16, 6


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    outputs: dict[str, tuple[int, list[int | str]]],
    kind: int = FLOAT,
    **constants: np.ndarray,
) -> Path:
    return save_onnx(
        path,
        nodes,
        {"x": (kind, ["batch", WIDTH])},
        [helper.make_tensor_value_info(name, of, shape) for name, (of, shape) in outputs.items()],
        constants,
        ir_version=8,
    )


def audited(folder: Path, reference: Path, candidate: Path, x: np.ndarray) -> Audit:
    np.savez(folder / "inputs.npz", x=x)
    return audit_pair(PairRequest(reference, candidate, folder / "inputs.npz", {}, runtimes=("no-opt", "all")))


def divided(path: Path, offset: int) -> Path:
    """ids = x // 3 + offset, among numbers that float64 cannot represent."""
    nodes = [
        helper.make_node("Div", ["x", "three"], ["part"], name="divide"),
        helper.make_node("Add", ["part", "offset"], ["ids"], name="shift"),
        helper.make_node("Greater", ["ids", "zero"], ["above"], name="compare"),
    ]
    outputs = {"ids": (INT64, ["batch", WIDTH]), "above": (BOOL, ["batch", WIDTH])}
    constants = {name: np.array(value, np.int64) for name, value in (("three", 3), ("offset", offset), ("zero", 0))}
    return save(path, nodes, outputs, INT64, **constants)


def test_ids_that_are_off_by_one_are_counted_and_their_node_is_named(tmp_path: Path) -> None:
    reference, candidate = divided(tmp_path / "a.onnx", 0), divided(tmp_path / "b.onnx", 1)
    x = np.random.default_rng(0).integers(2**60, 2**61, (ROWS, WIDTH))
    assert audited(tmp_path, reference, reference, x).passed
    found = audited(tmp_path, reference, candidate, x)
    assert not found.passed
    assert all(f"ids: {ROWS * WIDTH} of {ROWS * WIDTH} numbers differ (largest by 1)" in one for one in found.reasons)
    assert not any("TF32" in one or "fp16" in one for one in found.reasons)
    assert [one.node for one in found.models[0].localisations] == ["shift"]


def test_an_off_by_one_inside_of_a_file_is_followed_past_what_hides_it(tmp_path: Path) -> None:
    """The output is floating-point, where one in a million is less than half a step of TF32; the inside is not."""

    def scaled(path: Path, offset: int) -> Path:
        nodes = [
            helper.make_node("Add", ["x", "offset"], ["ids"], name="shift"),
            helper.make_node("Mod", ["ids", "seven"], ["rest"], name="rest"),
            helper.make_node("Cast", ["rest"], ["y"], name="cast", to=FLOAT),
        ]
        constants = {"offset": np.array(offset, np.int64), "seven": np.array(7, np.int64)}
        return save(path, nodes, {"y": (FLOAT, ["batch", WIDTH])}, INT64, **constants)

    x = np.random.default_rng(0).integers(10**6, 10**9, (ROWS, WIDTH))
    np.savez(tmp_path / "inputs.npz", x=x)
    files = scaled(tmp_path / "a.onnx", 0), scaled(tmp_path / "b.onnx", 1)
    (found,) = localise(*files, tmp_path / "inputs.npz")
    assert found.node == "shift"


def best(path: Path, operator: str = "ArgMax", noise: float = 0.0) -> Path:
    """The best of six scores, through a squeeze and a cast; `noise` is another kind of rounding."""
    outputs: dict[str, tuple[int, list[int | str]]] = {"label": (INT64, ["batch"])}
    change = np.zeros(WIDTH, np.float32)
    change[1] = noise
    nodes = [
        helper.make_node("Add", ["x", "change"], ["scores"], name="scores"),
        helper.make_node(operator, ["scores"], ["index"], name="best", axis=1, keepdims=1),
        helper.make_node("Squeeze", ["index", "axes"], ["flat"]),
        helper.make_node("Identity", ["flat"], ["label"]),
    ]
    return save(path, nodes, outputs, change=change, axes=np.array([1], np.int64))


def test_an_index_may_be_another_where_its_values_tie_and_nowhere_else(tmp_path: Path) -> None:
    reference, candidate = best(tmp_path / "a.onnx"), best(tmp_path / "b.onnx", noise=1e-7)
    x = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    x[3] = [0.5, 0.5, 0, 0, 0, 0]  # the reference takes the first, the candidate the second: 1e-7 apart
    found = audited(tmp_path, reference, candidate, x)
    assert found.passed, found.reasons
    excused = [
        one.measured.excused for one in found.models[0].comparisons if one.measured and "candidate" in one.subject
    ]
    assert excused == [1, 1]
    worse = audited(tmp_path, reference, best(tmp_path / "c.onnx", "ArgMin"), x)
    assert not worse.passed
    assert all("numbers differ (largest by" in one for one in worse.reasons)


THRESHOLD = [
    helper.make_node("Mul", ["x", "third"], ["third of it"]),
    helper.make_node("Add", ["third of it", "noise"], ["scores"], name="scores"),
    helper.make_node("LessOrEqual", ["scores", "threshold"], ["below"], name="decide"),
    helper.make_node("Not", ["below"], ["above"]),
]
WHERE = helper.make_node("NonZero", ["above"], ["where"])
ENDS = {
    "as whole numbers": ([helper.make_node("Cast", ["above"], ["label"], to=INT64)], (INT64, ["batch", WIDTH])),
    "as floats": ([helper.make_node("Cast", ["above"], ["label"], to=FLOAT)], (FLOAT, ["batch", WIDTH])),
    "as places": ([WHERE, helper.make_node("Transpose", ["where"], ["label"])], (INT64, [None, 2])),
    "behind NonZero": ([WHERE, helper.make_node("Neg", ["where"], ["label"])], (INT64, [2, None])),
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_a_decision_by_a_threshold_in_the_file_may_be_another_where_they_tie_and_nowhere_else(
    end: str, tmp_path: Path
) -> None:
    """The scores are compared with a constant in the file: only the file shows the score."""
    last, kind = ENDS[end]

    def above(path: Path, threshold: float, noise: float = 0.0) -> Path:
        constants = {"noise": np.float32(noise), "threshold": np.float32(threshold), "third": np.float32(1 / 3)}
        return save(path, [*THRESHOLD, *last], {"label": kind}, **constants)

    reference = above(tmp_path / "a.onnx", 0.5)
    x = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    x[3, 2] = 1.5
    found = audited(tmp_path, reference, above(tmp_path / "b.onnx", 0.5, noise=-1e-7), x)
    if end == "behind NonZero":
        assert not found.passed
        assert all("scores decide them through NonZero, which is not followed" in one for one in found.reasons)
        assert found.models[0].guilt == ["candidate: nobody can say whether it is wrong"]
        return
    assert found.passed, found.reasons
    if end == "as whole numbers":
        mine = [one.measured for one in found.models[0].comparisons if one.measured and "cand" in one.subject]
        assert [one.excused for one in mine] == [1, 1]
    assert not audited(tmp_path, reference, above(tmp_path / "c.onnx", 0.7), x).passed


@pytest.mark.parametrize("value", [-np.inf, *(pytest.param(one, marks=pytest.mark.slow) for one in (np.inf, np.nan))])
def test_infinities_of_a_right_file_agree_and_lost_ones_do_not(value: float, tmp_path: Path) -> None:
    def masked(path: Path, filler: float) -> Path:
        nodes = [
            helper.make_node("Less", ["x", "zero"], ["closed"], name="closed"),
            helper.make_node("Where", ["closed", "filler", "x"], ["y"], name="fill"),
        ]
        constants = {"zero": np.array(0, np.float32), "filler": np.array(filler, np.float32)}
        return save(path, nodes, {"y": (FLOAT, ["batch", WIDTH])}, **constants)

    reference, lost = masked(tmp_path / "a.onnx", value), masked(tmp_path / "b.onnx", -9.0)
    x = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    right = audited(tmp_path, reference, reference, x)
    assert right.passed, right.reasons
    assert right.models[0].localisations == []
    found = audited(tmp_path, reference, lost, x)
    assert all("differ from the infinity or NaN of the reference" in one for one in found.reasons)
    assert len(found.reasons) == 2
    assert [one.node for one in found.models[0].localisations] == ["fill"]


def test_a_small_column_beside_a_large_one_is_judged_on_its_own_scale(tmp_path: Path) -> None:
    def scaled(path: Path, off: float) -> Path:
        scale = np.array([1e6, 1e6, 1e6, 1, 1, 1 + off], np.float32)
        nodes = [helper.make_node("Mul", ["x", "scale"], ["y"], name="scale")]
        return save(path, nodes, {"y": (FLOAT, ["batch", WIDTH])}, scale=scale)

    reference, candidate = scaled(tmp_path / "a.onnx", 0), scaled(tmp_path / "b.onnx", 0.1)
    x = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    assert audited(tmp_path, reference, reference, x).passed
    found = audited(tmp_path, reference, candidate, x)
    assert not found.passed
    assert all("column 5 of 6 differs by" in one for one in found.reasons)


def test_a_right_file_is_not_wrong_because_an_evaluator_is(tmp_path: Path) -> None:
    """LRN over the images instead of the channels: a fault of onnx's reference evaluator."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["maps"]),
        helper.make_node("LRN", ["maps"], ["y"], name="lrn", size=5, alpha=0.05, beta=0.75, bias=1.0),
    ]
    shape = np.array([1, ROWS * WIDTH // 4, 2, 2], np.int64)
    file = save(tmp_path / "lrn.onnx", nodes, {"y": (FLOAT, shape.tolist())}, shape=shape)
    x = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
    found = audited(tmp_path, file, file, x)
    assert found.passed, found.reasons


def keepdims(path: Path) -> Path:
    """Not a layer norm, but ONNX Runtime fuses it to one: the mean without its dimension is subtracted from columns,
    not rows.
    """
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[-1], keepdims=0, name="mean"),
        helper.make_node("Sub", ["x", "mean"], ["centred"], name="centre"),
        helper.make_node("Pow", ["centred", "two"], ["squares"], name="square"),
        helper.make_node("ReduceMean", ["squares"], ["variance"], axes=[-1], keepdims=0, name="variance"),
        helper.make_node("Add", ["variance", "eps"], ["safe"], name="safe"),
        helper.make_node("Sqrt", ["safe"], ["deviation"], name="root"),
        helper.make_node("Div", ["centred", "deviation"], ["normal"], name="divide"),
        helper.make_node("Mul", ["normal", "scale"], ["scaled"], name="scale"),
        helper.make_node("Add", ["scaled", "bias"], ["y"], name="shift"),
    ]
    random = np.random.default_rng(0)
    constants = {"two": np.float32(2), "eps": np.float32(1e-5)}
    constants |= {name: random.normal(1, 0.2, WIDTH).astype(np.float32) for name in ("scale", "bias")}
    return save_onnx(path, nodes, {"x": [WIDTH, WIDTH]}, {"y": [WIDTH, WIDTH]}, constants, opset=17, ir_version=8)


def test_both_commands_call_a_file_right_that_only_the_optimiser_gets_wrong(tmp_path: Path) -> None:
    file = keepdims(tmp_path / "keepdims.onnx")
    found = audited(tmp_path, file, file, np.random.default_rng(1).normal(size=(WIDTH, WIDTH)).astype(np.float32))
    assert not found.passed
    assert {one.subject for one in found.models[0].comparisons if one.passed} == {"candidate in onnxruntime, no-opt"}
    assert all("the file is right and onnxruntime, all goes wrong" in str(one) for one in found.models[0].localisations)
    location = locate(str(file))
    probed = probed_in(tmp_path, location, None)
    checked = run_job(CHECK, to_check(tmp_path, probed.model, file, "given"), tmp_path / "log", limit_seconds=300)
    assert checked.file_is_right
    said = "the file is right (it agrees at level no-opt), ONNX Runtime's optimiser is wrong at level"
    assert checked.reason.startswith(f"{said} basic, extended, layout, all: given at level enable_basic")
    assert checked.wrong_in == ["basic", "extended", "layout", "all"]
    assert checked.right_in == "no-opt"
    assert found.models[0].guilt == [f"candidate: {said} all"]


def test_what_decides_an_index_is_found_by_the_job_and_taken_up_by_the_check(tmp_path: Path) -> None:
    """The model takes the first of two that tie, and the file, with different rounding, the second."""
    model, file = best(tmp_path / "a.onnx"), best(tmp_path / "b.onnx", noise=1e-7)
    x = np.random.default_rng(0).normal(size=(8, WIDTH)).astype(np.float32)
    x[3] = [0.5, 0.5, 0, 0, 0, 0]
    np.savez(tmp_path / "inputs.npz", x=x)
    probed = probed_in(tmp_path, locate(str(model)), tmp_path / "inputs.npz")
    check = to_check(tmp_path, probed.model, file, "it")
    before = run_job(CHECK, check, tmp_path / "log", limit_seconds=300)
    assert "1 of 8 numbers differ (largest by 1)" in before.reason
    asked = DoubleRequest(model=probed.model, file=file, records=check.records, native=check.native, out=check.deciders)
    assert run_job(DECIDERS, asked, tmp_path / "log", limit_seconds=300).outputs == ["label"]
    after = run_job(CHECK, check, tmp_path / "log", limit_seconds=300)
    assert after.reason == ""


LOOP = helper.make_node(
    "Loop",
    ["once", "", "flags"],
    ["label"],
    body=onnx_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Xor", ["held", "above"], ["other"])],
        {"n": (INT64, []), "go": (BOOL, []), "held": (BOOL, None)},
        {"on": (BOOL, []), "other": (BOOL, None)},
    ),
)
FURTHER = {
    "floats": ([ENDS["as floats"][0][0]], (FLOAT, ["batch", WIDTH]), ""),
    "through a loop": (
        [helper.make_node("And", ["above", "below"], ["flags"]), LOOP],
        (BOOL, ["batch", WIDTH]),
        "Loop",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("end", FURTHER)
def test_a_file_passes_where_its_scores_tie_and_is_not_called_wrong_where_they_cannot_be_followed(
    end: str, tmp_path: Path
) -> None:
    last, kind, operator = FURTHER[end]

    def above(path: Path, noise: float) -> Path:
        constants = {"noise": np.float32(noise), "threshold": np.float32(0.5), "third": np.float32(1 / 3)}
        return save(path, [*THRESHOLD, *last], {"label": kind}, **constants, once=np.int64(1))

    model, file = above(tmp_path / "a.onnx", 1e-7), above(tmp_path / "b.onnx", -1e-7)
    x = np.random.default_rng(0).normal(size=(8, WIDTH)).astype(np.float32)
    x[3, 2] = 1.5
    np.savez(tmp_path / "inputs.npz", x=x)
    probed = probed_in(tmp_path, locate(str(model)), tmp_path / "inputs.npz")
    check = to_check(tmp_path, probed.model, file, "it")
    assert run_job(CHECK, check, tmp_path / "log", limit_seconds=300).reason
    asked = DoubleRequest(model=probed.model, file=file, records=check.records, native=check.native, out=check.deciders)
    decided = run_job(DECIDERS, asked, tmp_path / "log", limit_seconds=300)
    after = run_job(CHECK, check, tmp_path / "log", limit_seconds=300)
    if operator:
        assert decided.unfollowed == ["label"]
        assert after.undecided
        assert f"scores decide them through {operator}, which is not followed" in after.reason
    else:
        assert decided.outputs == ["label"]
        assert (after.reason, after.undecided) == ("", False)


def probed_in(folder: Path, location: Location, inputs: Path | None) -> Probed:
    request = ProbeRequest(location=location, shapes=(), dimensions={}, inputs=inputs, batches=(1,), folder=folder)
    return run_job(PROBE, request, folder / "log", limit_seconds=300)
