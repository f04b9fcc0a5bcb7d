"""Boxes that scores select are followed through a file, and judged as a set: explained by a limit, or wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import ModelProto, NodeProto, TensorProto, helper

from assay.export.checking.on_onnx_deciders import deciders_of
from assay.export.checking.records import Against, check_records
from assay.export.pairs.on_onnx_pair import run_pair
from assay.export.pairs.pair_jobs import PairToRun
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE, REFERENCE_FILE, Probed, probe
from assay.export.reference.double_job import DoubleRequest, deciders
from assay.files.arrays import load_array
from assay.files.named_arrays import read_named
from assay.numerics.ties.deciding import Deciding, Unfollowed
from assay.numerics.ties.saved import read_deciders
from assay.numerics.ties.selected import AtLimit, Selected
from assay.registry import GIVEN
from assay.train.brought.judged import UNEXPLAINED_ENTRIES
from tests.detectors import AT_THE_LIMIT, RECORDS, save_detector
from tests.onnx_files import onnx_model
from tests.user_models import to_probe

node = helper.make_node
CORNERS = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3], [2, 2, 3, 2.4], [5, 5, 6, 6], [8, 8, 9, 9]]) * 3
"""The second has nine tenths of the first, and the fourth four tenths of the third."""
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.1])
LEAST = 0.25
FIRST = [
    node("Mul", ["corners", "third"], ["b"]),
    node("Mul", ["x", "third"], ["s"]),
    node("Greater", ["s", "least"], ["mask"]),
    node("NonZero", ["mask"], ["nonzero"]),
    node("Squeeze", ["nonzero", "first"], ["places"]),
    node("Gather", ["b", "places"], ["some_boxes"]),
    node("Gather", ["s", "places"], ["some_scores"]),
]
THEN = [
    node("Unsqueeze", ["some_boxes", "first"], ["boxes_in"]),
    node("Unsqueeze", ["some_scores", "first_two"], ["scores_in"]),
    node("NonMaxSuppression", ["boxes_in", "scores_in", "most", "overlap"], ["chosen"]),
    node("Gather", ["chosen", "two"], ["kept"], axis=1),
    node("Gather", ["some_boxes", "kept"], ["boxes"]),
    node("Gather", ["some_scores", "kept"], ["scores"]),
]
IN_ORDER = [
    node("Shape", ["scores"], ["count"]),
    node("TopK", ["scores", "count"], ["sorted_scores", "order"]),
    node("Gather", ["boxes", "order"], ["sorted_boxes"]),
]


def file_of(nodes: list[NodeProto], *outputs: str) -> ModelProto:
    """A file that takes boxes, (n, 4), and scores, (n,), both three times as large as it computes with."""
    constants = {
        "third": np.float32(1 / 3),
        "least": np.float32(LEAST),
        "first": np.array([0]),
        "first_two": np.array([0, 1]),
        "most": np.array([9]),
        "overlap": np.array([0.5], np.float32),
        "two": np.array(2),
    }
    whole = {"chosen", "kept", "places", "order"}
    ends = {name: (TensorProto.INT64 if name in whole else TensorProto.FLOAT, None) for name in outputs}
    return onnx_model(nodes, {"corners": None, "x": None}, ends, constants)


def followed(model: ModelProto, scores: np.ndarray = SCORES, corners: np.ndarray = CORNERS) -> dict[str, Deciding]:
    feeds = {"corners": corners.astype(np.float32), "x": (3 * scores).astype(np.float32)}
    return deciders_of(model, feeds, rows=False, name="it")


def changed(**at: float) -> np.ndarray:
    found = SCORES.copy()
    for place, score in at.items():
        found[int(place.removeprefix("at"))] = score
    return found


def listed(one: Selected, which: np.ndarray) -> list[float]:
    return sorted(np.round(one.values[0, which[0], 0], 6).tolist())


@pytest.mark.parametrize("nodes", [[*FIRST, *THEN], [*FIRST, *THEN, *IN_ORDER]])
@pytest.mark.parametrize(
    ("scores", "always", "at_a_limit", "why"),
    [
        (SCORES, [0.5, 0.6, 0.7, 0.9], [], AtLimit.NONE),
        (changed(at5=LEAST), [0.5, 0.6, 0.7, 0.9], [LEAST], AtLimit.MASK),
        (changed(at1=0.9), [0.5, 0.6, 0.7], [0.9, 0.9], AtLimit.ORDER),
    ],
)
def test_a_filter_and_a_suppression_after_it_are_followed(
    nodes: list[NodeProto], scores: np.ndarray, always: list[float], at_a_limit: list[float], why: AtLimit
) -> None:
    outputs = ["boxes", "scores"] if len(nodes) == len(FIRST) + len(THEN) else ["sorted_boxes", "sorted_scores"]
    found = followed(file_of(nodes, *outputs), scores)
    boxes, one = (found[name] for name in outputs)
    assert isinstance(one, Selected)
    assert isinstance(boxes, Selected)
    some = one.sometimes & ~one.always
    assert listed(one, one.always) == pytest.approx(always)
    assert listed(one, some) == pytest.approx(at_a_limit)
    assert set(one.why[some].tolist()) == ({why} if at_a_limit else set())
    np.testing.assert_array_equal(boxes.always.sum(), one.always.sum())
    assert boxes.values.shape[2] == 4


@pytest.mark.parametrize("scores", [SCORES, SCORES[:4], SCORES[[0, 2, 3, 4]]])
def test_as_many_boxes_as_a_box_has_numbers_are_followed_along_the_right_dimension(scores: np.ndarray) -> None:
    corners = CORNERS[[int(np.flatnonzero(one == SCORES)[0]) for one in scores]]
    found = followed(file_of([*FIRST, *THEN], "boxes"), scores, corners)["boxes"]
    assert isinstance(found, Selected)
    kept = corners[(scores > LEAST) & (scores != 0.8)] / 3
    np.testing.assert_allclose(found.values[0], kept, rtol=1e-6)


def test_what_a_filter_lists_is_a_list_of_places_and_what_it_takes_a_set() -> None:
    found = followed(file_of(FIRST, "places", "some_scores"), changed(at5=LEAST))
    assert type(found["places"]).__name__ in {"Entries", "Selected"}
    one = found["some_scores"]
    assert isinstance(one, Selected)
    assert listed(one, one.sometimes & ~one.always) == pytest.approx([LEAST])


def test_a_number_of_all_that_is_selected_is_open_where_that_is_uncertain() -> None:
    nodes = [*FIRST, *THEN, node("ReduceSum", ["scores"], ["sum"])]
    assert followed(file_of(nodes, "sum"), changed(at5=LEAST)) == {"sum": Unfollowed("NonMaxSuppression")}
    assert "sum" not in followed(file_of(nodes, "sum"))


def test_a_selection_among_what_a_tie_chooses_is_not_followed() -> None:
    """The class of a box is the index of the larger of two scores, which tie, and boxes of class 0 are kept."""
    nodes = [
        node("Squeeze", ["corners", "first"], ["line"]),
        node("Mul", ["x", "third"], ["s"]),
        node("ArgMax", ["s"], ["class"], axis=1, keepdims=0),
        node("Cast", ["class"], ["decided"], to=TensorProto.FLOAT),
        node("Mul", ["decided", "third"], ["far"]),
        node("Add", ["far", "line"], ["moved"]),
        node("Greater", ["moved", "least"], ["mask"]),
        node("NonZero", ["mask"], ["nonzero"]),
        node("Squeeze", ["nonzero", "first"], ["places"]),
        node("Gather", ["moved", "places"], ["scores"]),
    ]
    scores = np.array([[0.3, 0.3 + 1e-9], [0.1, 0.9]])
    found = followed(file_of(nodes, "scores"), scores, np.array([[0.1, 0.2]]))
    assert found == {"scores": Unfollowed("ArgMax")}
    clear = followed(file_of(nodes, "scores"), np.array([[0.3, 0.4], [0.1, 0.9]]), np.array([[0.1, 0.2]]))
    assert isinstance(clear["scores"], Selected)


@settings(max_examples=25, deadline=None)
@given(
    scores=hnp.arrays(np.float64, 6, elements=st.integers(1, 12).map(lambda one: one / 12)),
    off=hnp.arrays(np.float64, 6, elements=st.floats(-1, 1)),
    corners_off=hnp.arrays(np.float64, (6, 4), elements=st.floats(-1, 1)),
)
def test_whatever_is_rounded_otherwise_is_right(scores: np.ndarray, off: np.ndarray, corners_off: np.ndarray) -> None:
    """Many scores tie, and some are the least that is taken; one box is always there."""
    scores[5] = 1.0
    known = followed(file_of([*FIRST, *THEN], "boxes"), scores)["boxes"]
    assert isinstance(known, Selected)
    by = 1e-9
    moved, boxes = scores + by * off, CORNERS / 3 + by * corners_off
    kept: list[int] = []
    for one in sorted(np.flatnonzero(moved > LEAST), key=lambda place: -moved[place]):
        if not any({one, other} == {0, 1} for other in kept):
            kept.append(int(one))
    assert known.decides(boxes[kept].reshape(1, -1))


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Probed]:
    """The detector, its folder with what the probe and the search for deciders wrote, and what the probe found."""
    folder = tmp_path_factory.mktemp("detector")
    file = save_detector(folder)
    found = probe(to_probe(folder, file, inputs=folder / "inputs.npz"))
    assert found.reference, found.reason
    files = {"records": folder / RECORDS_FILE, "native": folder / NATIVE_FILE}
    deciders(DoubleRequest(model=found.model, file=file, **files, out=folder / "deciders.npz"))
    return file, folder, found


def against(folder: Path, *, with_deciders: bool = True) -> Against:
    files = {"records": RECORDS_FILE, "native": NATIVE_FILE, "reference": REFERENCE_FILE}
    known = {name: folder / file for name, file in files.items()}
    return Against(**known, deciders=folder / "deciders.npz" if with_deciders else None)


def test_a_box_at_the_limit_of_a_score_is_explained_with_how_near_it_is(
    looked_at: tuple[Path, Path, Probed],
) -> None:
    file, folder, found = looked_at
    assert {type(one) for one in read_deciders(folder / "deciders.npz").values()} == {Selected}
    judged = check_records(file, found.model, against(folder), GIVEN)
    assert judged.reason == ""
    (margin,) = {one.margin for one in judged.agreement}
    said = rf"output 'boxes': {AT_THE_LIMIT} of \d+ entries are on one side only; where that is furthest from a limit, "
    assert re.fullmatch(said + r"a score is [\d.e-]+ from the least that is kept", margin)
    before = check_records(file, found.model, against(folder, with_deciders=False), GIVEN)
    differs = f"its size differs from the reference's in {AT_THE_LIMIT} of {RECORDS} records"
    assert all(differs in one.reason for one in before.agreement)


def test_a_box_that_is_lost_elsewhere_is_wrong(looked_at: tuple[Path, Path, Probed]) -> None:
    _, folder, found = looked_at
    judge, rows = against(folder).judge(found.model), load_array(folder / NATIVE_FILE)[:RECORDS].copy()
    assert judge.compare("it", rows, np.arange(RECORDS)).passed
    boxes, part = next((one, part) for one, part in found.model.parts if one.name == "boxes")
    last = RECORDS - 1
    numbers = rows[last, part].reshape(boxes.shape)
    count = int((~np.isnan(numbers)).all(axis=1).sum())
    numbers[count - 1] = np.nan
    rows[last, part] = numbers.reshape(-1)
    lost = judge.compare("it", rows, np.arange(RECORDS))
    assert UNEXPLAINED_ENTRIES in lost.reason
    assert (lost.passed, lost.ground) == (False, "")


def test_the_audit_of_a_pair_has_a_reference_though_a_box_is_at_a_limit(tmp_path: Path) -> None:
    file = save_detector(tmp_path)
    np.savez(tmp_path / "one.npz", x=np.load(tmp_path / "inputs.npz")["x"][:1])
    out = tmp_path / "out"
    out.mkdir()
    answer = run_pair(
        PairToRun(
            reference=file, candidate=file, inputs=tmp_path / "one.npz", dimensions={}, out=out, runtimes=("no-opt",)
        )
    )
    assert answer.subjects
    boxes = [read_named(out / name)["boxes"] for name in ("reference.npz", *answer.subjects.values())]
    assert abs(len(boxes[0]) - len(boxes[1])) == 1
    rows = [array.reshape(1, -1) for array in boxes]
    one = read_deciders(out / "deciders.npz")["boxes"]
    assert not one.refutes(*rows).any()
    assert one.margin(*rows).startswith("1 of ")
