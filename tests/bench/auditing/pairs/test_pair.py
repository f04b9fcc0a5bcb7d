"""Two ONNX files through the installed command: planted errors fail, rounding passes, and everything is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from assay.bench.auditing.outputs import as_rows
from assay.bench.auditing.pairs.pair import PairRequest, audit_pair
from assay.errors import AssayError, InputError
from assay.numerics.guilt import OPENVINO, OPENVINO_AS_IT_COMES, UNOPTIMISED
from assay.records.audit import Audit, read_audit
from assay.store import file_sha256
from tests.command import command
from tests.export.pairs.pair_models import (
    WIDTH,
    Weights,
    nan_weight,
    one_ulp,
    save_classifier,
    save_with_map,
    save_with_state,
    swapped_class,
    to_bf16,
    transposed,
    wrong_sign,
)
from tests.onnx_files import save_onnx


def audited(folder: Path, change: Callable[[Weights], None] | None = None, inputs: Path | None = None) -> Audit:
    reference = save_classifier(folder / "reference.onnx")
    candidate = save_classifier(folder / "candidate.onnx", change)
    return audit_pair(PairRequest(reference, candidate, inputs, {}))


@pytest.mark.parametrize("change", [None, one_ulp])
def test_the_same_model_to_rounding_passes(change: Callable[[Weights], None] | None, tmp_path: Path) -> None:
    found = audited(tmp_path, change)
    assert (found.verdict, found.reasons) == ("passed", [])
    (model,) = found.models
    assert {one.subject for one in model.comparisons} == {
        *(f"candidate in onnxruntime, {level}" for level in ("no-opt", "basic", "extended", "all")),
        *(f"reference in onnxruntime, {level}" for level in ("basic", "extended", "all")),
    }
    tolerance, at_the_edges = model.tolerances
    assert at_the_edges.inputs == f"{tolerance.inputs}, at the edges"
    assert set(tolerance.native_errors) == {"onnx reference evaluator", "reference in onnxruntime, no-opt"}


@pytest.mark.parametrize(("change", "passes"), [(None, True), (wrong_sign, False)])
def test_a_runtime_that_chooses_its_precision_is_judged_by_what_it_chose_and_all_is_on_record(
    change: Callable[[Weights], None] | None, passes: bool, tmp_path: Path
) -> None:
    """On a processor with bf16, OpenVINO's default computes in it, which rounding in fp32 does not explain."""
    openvino = pytest.importorskip("openvino")
    reference = save_classifier(tmp_path / "reference.onnx")
    candidate = save_classifier(tmp_path / "candidate.onnx", change)
    chosen = openvino.Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()
    runtimes = (UNOPTIMISED, OPENVINO, OPENVINO_AS_IT_COMES)
    (model,) = audit_pair(PairRequest(reference, candidate, None, {}, runtimes)).models
    ran = {one.subject: one.precision for one in model.ran}
    assert set(ran) == {one.subject for one in model.comparisons}
    assert ran[f"candidate in {OPENVINO_AS_IT_COMES}"] == ("bf16" if chosen == "bf16" else "fp32")
    assert ran[f"candidate in {OPENVINO}"] == ran["candidate in onnxruntime, no-opt"] == "fp32"
    assert all(one.unseen for one in model.ran)
    mine = [one for one in model.comparisons if one.subject == f"candidate in {OPENVINO_AS_IT_COMES}"]
    assert all(one.precision == ran[one.subject] for one in mine)
    assert all(one.passed for one in mine) is passes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (to_bf16, "as few as bf16 leaves, which is no proof of that precision"),
        (transposed, "it is a different function"),
        (wrong_sign, "it is a different function"),
        (swapped_class, "it is a different function"),
        (nan_weight, "not finite"),
    ],
)
def test_a_planted_error_fails_and_is_named(change: Callable[[Weights], None], words: str, tmp_path: Path) -> None:
    found = audited(tmp_path, change)
    assert not found.passed
    assert all("candidate in onnxruntime" in reason and words in reason for reason in found.reasons)
    assert len(found.reasons) == 4


def test_a_failed_candidate_is_localised_and_a_good_one_is_not(tmp_path: Path) -> None:
    (found,) = audited(tmp_path, wrong_sign).models[0].localisations
    assert found.node == "add"
    assert "it goes wrong at node 'add', Add()" in str(found)
    assert audited(tmp_path).models[0].localisations == []


def test_given_inputs_are_used_and_hashed(tmp_path: Path) -> None:
    images = np.random.default_rng(5).normal(size=(50, WIDTH)).astype(np.float32)
    np.savez(tmp_path / "inputs.npz", image=images)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "image.npy", images)
    first = audited(tmp_path, inputs=tmp_path / "inputs.npz")
    second = audited(tmp_path, inputs=tmp_path / "folder")
    assert first.models[0].comparisons == second.models[0].comparisons
    assert first.models[0].inputs[0].images == 50
    assert first.models[0].models["candidate"] == file_sha256(tmp_path / "candidate.onnx")


def test_the_same_files_give_the_same_verdict_and_measures(tmp_path: Path) -> None:
    assert audited(tmp_path, one_ulp).models == audited(tmp_path, one_ulp).models


def test_an_error_names_a_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("text")
    with pytest.raises(AssayError, match=r"text\.onnx") as told:
        audit_pair(PairRequest(Path("text.onnx"), Path("text.onnx"), None, {}))
    assert str(tmp_path) not in str(told.value)


def test_the_command_writes_the_record_and_exits_by_the_verdict(tmp_path: Path) -> None:
    save_classifier(tmp_path / "a.onnx")
    save_classifier(tmp_path / "b.onnx", wrong_sign)
    options = ("--out", "out", "--json")
    good = command("audit", "--reference", "a.onnx", "--candidate", "a.onnx", *options, folder=tmp_path)
    assert good.returncode == 0, good.stderr
    assert Audit.model_validate_json(good.stdout) == read_audit(tmp_path / "out" / "audit-a" / "audit.json")
    bad = command("audit", "--reference", "a.onnx", "--candidate", "b.onnx", "--out", "out", folder=tmp_path)
    assert bad.returncode == 1
    assert "Verdict: failed" in bad.stdout
    record = read_audit(tmp_path / "out" / "audit-b" / "audit.json")
    assert record.command == "assay audit --reference a.onnx --candidate b.onnx"
    assert str(tmp_path) not in record.model_dump_json()


@pytest.mark.parametrize(
    ("array", "shape"),
    [(np.zeros(()), (1, 1)), (np.zeros(5), (5, 1)), (np.zeros((2, 3, 4)), (2, 12)), (np.zeros((0, 4)), (1, 0))],
)
def test_every_output_has_rows(array: np.ndarray, shape: tuple[int, ...]) -> None:
    assert as_rows(array).shape == shape


def test_two_runtimes_on_one_file_are_compared_with_the_file_in_float64(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    file = save_classifier(tmp_path / "model.onnx")
    found = audit_pair(PairRequest(file, file, None, {}, runtimes=("all", "openvino")))
    assert {one.subject for one in found.models[0].comparisons} == {
        "candidate in onnxruntime, all",
        "candidate in openvino",
    }
    assert found.passed
    assert "--runtime ort.cpu --runtime openvino" in found.command


def far_from_zero(made: Weights) -> None:
    """Intermediate values are slightly above 300, and the 300 cancels in the output."""
    made["offset"] += np.float32(300)
    made["second"] -= made["second"].mean(axis=0)


def test_a_runtime_in_bf16_is_followed_to_its_first_operator(tmp_path: Path) -> None:
    """A real case: OpenVINO's default, on numbers that bf16 cannot represent. ONNX Runtime computes the file
    correctly.
    """
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("OpenVINO computes in fp32 on this processor")
    file = save_classifier(tmp_path / "model.onnx", far_from_zero)
    found = audit_pair(PairRequest(file, file, None, {}, runtimes=("all", "openvino as it comes")))
    assert found.reasons
    assert all("openvino as it comes" in reason for reason in found.reasons)
    assert any("of what varies in the reference" in reason for reason in found.reasons)
    (node,) = found.models[0].localisations
    assert (node.node, node.runtime) == ("first_matmul", "openvino as it comes")
    assert node.right_runtime == "onnxruntime, no-opt"
    (said,) = found.models[0].guilt
    assert said.endswith("OpenVINO as it comes, which computes in less than fp32 (told to use f32 it agrees), is wrong")
    assert "the file is right and openvino as it comes goes wrong at node 'first_matmul'" in str(node)


def integers(path: Path, nodes: list[onnx.NodeProto], kind: int = TensorProto.INT64) -> Path:
    """A model from `codes` to `y`, both whole numbers."""
    shape = ["n", 6]
    constants = [numpy_helper.from_array(np.array(number, np.int64), name) for name, number in NUMBERS.items()]
    return save_onnx(
        path,
        nodes,
        {"codes": (TensorProto.INT64, shape)},
        {"y": (kind, shape)},
        [*constants, numpy_helper.from_array(np.arange(50, dtype=np.float32), "table")],
    )


NUMBERS = {"three": 3, "four": 4}
THREE_QUARTERS = helper.make_node("Mul", ["codes", "three"], ["more"])
TRUNCATED = helper.make_node("Div", ["more", "four"], ["y"], name="div")
FLOORED = [
    helper.make_node("Mod", ["more", "four"], ["rest"]),
    helper.make_node("Sub", ["more", "rest"], ["whole"]),
    helper.make_node("Div", ["whole", "four"], ["y"]),
]


def test_whole_numbers_that_are_drawn_are_negative_too(tmp_path: Path) -> None:
    right = integers(tmp_path / "right.onnx", [THREE_QUARTERS, *FLOORED])
    wrong = integers(tmp_path / "wrong.onnx", [THREE_QUARTERS, TRUNCATED])
    found = audit_pair(PairRequest(right, wrong, None, {}))
    assert len(found.reasons) == 4
    assert all("at the edges" in one and "numbers differ (largest by 1)" in one for one in found.reasons)
    assert "'codes' from -2,147,483,648 to 2,147,483,647" in found.models[0].inputs[0].what
    assert "Not covered: realistic inputs" in found.models[0].inputs[0].what
    assert [one.node for one in found.models[0].localisations] == ["div"]
    assert audit_pair(PairRequest(right, right, None, {})).passed


def test_an_index_is_drawn_from_its_places_and_from_all_of_them(tmp_path: Path) -> None:
    looked_up = [helper.make_node("Gather", ["table", "codes"], ["y"])]
    path = integers(tmp_path / "table.onnx", looked_up, TensorProto.FLOAT)
    found = audit_pair(PairRequest(path, path, None, {}))
    assert found.passed, found.reasons
    assert (
        "'codes' whole numbers 0 to 49; another call at the edges: 'codes' from -50 to 49"
        in found.models[0].inputs[0].what
    )


@pytest.mark.slow
def test_a_softplus_that_overflows_is_found_at_the_edges(tmp_path: Path) -> None:
    def saved(name: str, nodes: list[onnx.NodeProto]) -> Path:
        shape = ["n", 6]
        return save_onnx(tmp_path / name, nodes, {"x": shape}, {"y": shape}, {"one": np.float32(1)})

    right = saved("right.onnx", [helper.make_node("Softplus", ["x"], ["y"])])
    naive = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node("Add", ["e", "one"], ["s"])]
    wrong = saved("wrong.onnx", [*naive, helper.make_node("Log", ["s"], ["y"], name="log")])
    found = audit_pair(PairRequest(right, wrong, None, {}))
    assert found.reasons
    assert all("y, at the edges" in one and "not finite" in one for one in found.reasons)
    assert audit_pair(PairRequest(right, right, None, {})).passed
    assert audit_pair(PairRequest(wrong, right, None, {})).passed  # where the reference overflows nothing is asked


def test_an_output_that_cannot_be_compared_is_named_and_may_be_left_out(tmp_path: Path) -> None:
    file = save_with_map(tmp_path / "with-map.onnx")
    with pytest.raises(InputError, match=r"'probabilities' is a sequence.*--without probabilities"):
        audit_pair(PairRequest(file, file, None, {}))
    found = audit_pair(PairRequest(file, file, None, {}, ("no-opt", "all"), without=("probabilities",)))
    (model,) = found.models
    assert found.passed, found.reasons
    assert model.left_out == ["probabilities"]
    assert all("label" in one.inputs for one in model.comparisons)
    assert "--without probabilities" in found.command


@pytest.mark.slow
def test_given_inputs_settle_a_state_and_a_scalar(tmp_path: Path) -> None:
    file = save_with_state(tmp_path / "state.onnx")
    with pytest.raises(InputError, match=r"--dimension input\.1=64 --dimension state\.1=64"):
        audit_pair(PairRequest(file, file, None, {}))
    arrays = {"input": np.ones((1, 16), np.float32), "state": np.ones((2, 1, 4), np.float32), "rate": np.array(2)}
    np.savez(tmp_path / "inputs.npz", **arrays)
    assert audit_pair(PairRequest(file, file, tmp_path / "inputs.npz", {})).passed


def saved_with(path: Path, *nodes: NodeProto, outputs: Sequence[str]) -> Path:
    """A file with the input x [batch, 4] and outputs of that shape."""
    ends = {name: ["batch", 4] for name in outputs}
    constants = {"least": np.float32(-np.inf), "most": np.float32(1e38), "none": np.float32(0)}
    return save_onnx(path, list(nodes), {"x": ["batch", 4]}, ends, constants)


@pytest.mark.slow
def test_an_output_without_numbers_is_left_out_by_name_and_alone_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Tanh", ["x"], ["y"]),
        helper.make_node("Mul", ["x", "none"], ["zeros"]),
        helper.make_node("Add", ["zeros", "least"], ["masked"]),
    ]
    file = saved_with(tmp_path / "a.onnx", *nodes, outputs=["y", "masked"])
    (model,) = audit_pair(PairRequest(file, file, None, {})).models
    assert model.left_out == ["masked, which is infinite or NaN throughout for these inputs"]
    assert {one.inputs for one in model.comparisons} == {"y"}
    assert all(one.passed for one in model.comparisons)
    alone = saved_with(tmp_path / "b.onnx", *nodes[1:], outputs=["masked"])
    with pytest.raises(InputError, match=r"b\.onnx cannot be compared.*'masked' is infinite or NaN throughout"):
        audit_pair(PairRequest(alone, alone, None, {}))


@pytest.mark.slow
def test_numbers_that_fp32_does_not_hold_agree_as_infinities(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "most"], ["far"]),
        helper.make_node("Mul", ["far", "x"], ["squares"]),
        helper.make_node("Mul", ["squares", "x"], ["y"]),
    ]
    file = saved_with(tmp_path / "a.onnx", *nodes, outputs=["y"])
    np.savez(tmp_path / "x.npz", x=np.float32([[1, 2, 0.5, -0.5], [0.1, 3, -4, 0.2]]))
    audit = audit_pair(PairRequest(file, file, tmp_path / "x.npz", {}))
    assert audit.passed, audit.reasons
