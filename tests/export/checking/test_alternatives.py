"""Whole numbers that scores decide may be what any correct run can make of them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import ModelProto, NodeProto, TensorProto, helper

from assay.export.checking.on_onnx_alternatives import MOST_ALTERNATIVES
from assay.export.checking.on_onnx_deciders import deciders_of, is_decided
from assay.export.reference.on_onnx_double import evaluate
from assay.numerics.ties.choices import Alternatives, Decider
from assay.numerics.ties.deciding import Undefined, Unfollowed, told_of_ties
from assay.numerics.ties.lists import Entries
from assay.numerics.ties.saved import joined, read_deciders, save_deciders
from tests.onnx_files import onnx_graph, onnx_model

BOOL, INT64, FLOAT, UINT8 = TensorProto.BOOL, TensorProto.INT64, TensorProto.FLOAT, TensorProto.UINT8
ROUNDED = 1 / 3
"""Every score is multiplied by it, so that it is rounded in fp32."""
node = helper.make_node


def file_of(nodes: Sequence[NodeProto], kind: int, constants: dict[str, np.ndarray] | None = None) -> ModelProto:
    """A file whose score is its input over 3, and whose output is `y`."""
    tensors = {"third": np.float32(ROUNDED), "half": np.float32(0.5), "zero": np.int64(0), "one": np.int64(1)}
    tensors |= {"four": np.int64(4), "ten": np.float32(10), "axes": np.array([1]), **(constants or {})}
    score = node("Mul", ["x", "third"], ["score"])
    return onnx_model([score, *nodes], {"x": ["batch", None]}, {"y": (kind, None)}, tensors, ir_version=8, ai_onnx_ml=3)


def found_for(model: ModelProto, x: np.ndarray) -> Alternatives:
    found = deciders_of(model, {"x": x.astype(np.float32)}, rows=True, name="it")["y"]
    assert isinstance(found, Alternatives)
    return found


def sets_of(found: Alternatives) -> list[list[set[float]]]:
    return [[{float(one) for one in each} for each in record] for record in found.values]


ABOVE = node("Greater", ["score", "half"], ["above"])
AT_HALF = np.array([[1.5, 3.0, 0.0]])
"""Scores at the threshold, above it and below."""
FORMS: dict[str, tuple[list[NodeProto], int, list[set[int]]]] = {
    "Where": ([ABOVE, node("Where", ["above", "four", "one"], ["y"])], INT64, [{1, 4}, {4}, {1}]),
    "Where of floats, and Cast": (
        [ABOVE, node("Where", ["above", "ten", "half"], ["w"]), node("Cast", ["w"], ["y"], to=INT64)],
        INT64,
        [{0, 10}, {10}, {0}],
    ),
    "Where, the other way": (
        [node("Less", ["half", "score"], ["b"]), node("Not", ["b"], ["n"]), node("Where", ["n", "one", "four"], ["y"])],
        INT64,
        [{1, 4}, {4}, {1}],
    ),
    "And": (
        [ABOVE, node("Less", ["score", "ten"], ["below"]), node("And", ["above", "below"], ["y"])],
        BOOL,
        [{0, 1}, {1}, {0}],
    ),
    "Or": (
        [ABOVE, node("Greater", ["score", "ten"], ["far"]), node("Or", ["above", "far"], ["y"])],
        BOOL,
        [{0, 1}, {1}, {0}],
    ),
    "Xor": (
        [ABOVE, node("GreaterOrEqual", ["score", "third"], ["b"]), node("Xor", ["above", "b"], ["y"])],
        BOOL,
        [{0, 1}, {0}, {0}],
    ),
    "a sum of thresholds": (
        [
            ABOVE,
            node("Cast", ["above"], ["i"], to=INT64),
            node("Greater", ["score", "third"], ["b"]),
            node("Cast", ["b"], ["j"], to=INT64),
            node("Add", ["i", "j"], ["y"]),
        ],
        INT64,
        [{1, 2}, {2}, {0}],
    ),
    "in another order": (
        [ABOVE, node("Transpose", ["above"], ["t"], perm=[1, 0]), node("Transpose", ["t"], ["y"], perm=[1, 0])],
        BOOL,
        [{0, 1}, {1}, {0}],
    ),
    "joined": (
        [ABOVE, node("Not", ["above"], ["n"]), node("Concat", ["above", "n"], ["y"], axis=1)],
        BOOL,
        [{0, 1}, {1}, {0}, {0, 1}, {0}, {1}],
    ),
    "how many": (
        [
            ABOVE,
            node("Cast", ["above"], ["i"], to=INT64),
            node("ReduceSum", ["i", "axes"], ["y"], keepdims=1),
        ],
        INT64,
        [{1, 2}],
    ),
    "Equal of a score": ([node("Equal", ["score", "half"], ["y"])], BOOL, [{0, 1}, {0}, {0}]),
    "floats that a threshold decides": (
        [ABOVE, node("Where", ["above", "ten", "third"], ["y"])],
        FLOAT,
        [{float(np.float32(ROUNDED)), 10}, {10}, {float(np.float32(ROUNDED))}],
    ),
    "any": (
        [
            ABOVE,
            node("Cast", ["above"], ["i"], to=INT64),
            node("ReduceMax", ["i"], ["m"], axes=[1], keepdims=1),
            node("Greater", ["m", "zero"], ["y"]),
        ],
        BOOL,
        [{1}],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_threshold_decides_is_followed(form: str) -> None:
    nodes, kind, expected = FORMS[form]
    model = file_of(nodes, kind)
    assert is_decided(model, "y")
    found = found_for(model, AT_HALF)
    assert sets_of(found) == [expected]
    own = evaluate(model, {"x": AT_HALF.astype(np.float32)}, "it")["y"].reshape(1, -1)
    assert found.decides(own)
    for wrong in (7, -1, 0.5, np.nan):
        assert not found.excuses(own, np.full(own.shape, wrong)).any()


@pytest.mark.parametrize(
    ("operator", "score", "expected"),
    [
        ("Round", 0.5, {0, 1}), ("Round", 1.5, {1, 2}), ("Round", -0.5, {-1, 0}), ("Round", 1.0, {1}),
        ("Floor", 2.0, {1, 2}), ("Floor", 2.5, {2}), ("Floor", -1.0, {-2, -1}),
        ("Ceil", 2.0, {2, 3}), ("Ceil", 2.5, {3}),
        ("Sign", 0.0, {0}), ("Sign", 1.0, {1}),
        ("Cast", 2.0, {1, 2}), ("Cast", -2.0, {-2, -1}), ("Cast", 2.5, {2}), ("Cast", 0.25, {0}),
    ],
)  # fmt: skip
def test_a_rounded_score_may_be_either_number_beside_it(operator: str, score: float, expected: set[int]) -> None:
    """The score is rounded in fp32 itself: it is the input over three, but for the zero."""
    nodes = [
        node(operator, ["score"], ["y" if operator == "Cast" else "r"], **({"to": INT64} if operator == "Cast" else {}))
    ]
    nodes += [] if operator == "Cast" else [node("Cast", ["r"], ["y"], to=INT64)]
    found = found_for(file_of(nodes, INT64), np.array([[3 * score, 300.0]]))
    assert sets_of(found)[0][0] == expected


def test_a_score_near_zero_has_either_sign_or_none_and_a_bool_of_it_is_either() -> None:
    """The difference of two large numbers."""
    cancel = [
        node("Sub", ["score", "sum"], ["rest"]),
        node("Sign", ["rest"], ["s"]),
        node("Cast", ["s"], ["y"], to=INT64),
    ]
    x = np.array([[1.1, 1000.1]], np.float32)
    sums = {"sum": np.array([[x[0, 0] * np.float32(ROUNDED), 0.25]], np.float32)}
    found = found_for(file_of(cancel, INT64, sums), x)
    assert sets_of(found) == [[{-1, 0, 1}, {1}]]
    cast = [node("Sub", ["score", "sum"], ["rest"]), node("Cast", ["rest"], ["y"], to=BOOL)]
    assert sets_of(found_for(file_of(cast, BOOL, sums), x)) == [[{0, 1}, {1}]]


def test_what_is_not_rounded_stays_what_it_is() -> None:
    """The zeros of a ReLU are above zero in no correct run, and a given number needs no rounding to be compared."""
    relu = [node("Relu", ["score"], ["r"]), node("Cast", ["zero"], ["z"], to=FLOAT), node("Greater", ["r", "z"], ["b"])]
    where = [*relu, node("Where", ["b", "four", "one"], ["y"])]
    assert sets_of(found_for(file_of(where, INT64), np.array([[-1.0, 3.0, 1e-9]]))) == [[{1}, {4}, {1, 4}]]
    direct = deciders_of(
        file_of([*relu, node("Identity", ["b"], ["y"])], BOOL),
        {"x": np.array([[-1, 3, 1e-9]], np.float32)},
        rows=True,
        name="it",
    )["y"]
    assert isinstance(direct, Decider)
    answer = np.array([[False, True, True]])
    assert direct.excuses(answer, ~answer).tolist() == [[False, False, True]]
    again = joined([direct, direct])
    assert again is not None
    assert again.excuses(np.tile(answer, (2, 1)), np.tile(~answer, (2, 1))).tolist() == [[False, False, True]] * 2
    floor = [node("Floor", ["x"], ["f"]), node("Cast", ["f"], ["y"], to=INT64)]
    assert sets_of(found_for(file_of(floor, INT64), np.array([[2.0, 2.5]]))) == [[{2}, {2}]]


CHOICES = np.array([[3.0, 3.0, 1.0, 0.0], [0.0, 9.0, 1.0, 9.0]])


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(("operator", "expected"), [("ArgMax", [{0, 1}, {1, 3}]), ("ArgMin", [{3}, {0}])])
def test_a_class_that_is_looked_up_in_a_table(operator: str, expected: list[set[int]], keepdims: int) -> None:
    labels = {"labels": np.array([10, 20, 30, 40])}
    nodes = [node(operator, ["score"], ["c"], axis=1, keepdims=keepdims), node("Gather", ["labels", "c"], ["y"])]
    found = found_for(file_of(nodes, INT64, labels), CHOICES)
    assert sets_of(found) == [[{10.0 * (one + 1) for one in each}] for each in expected]


def test_a_class_that_is_compared_with_another() -> None:
    nodes = [node("ArgMax", ["score"], ["c"], axis=1, keepdims=1), node("Equal", ["c", "one"], ["y"])]
    assert sets_of(found_for(file_of(nodes, BOOL), CHOICES)) == [[{0, 1}], [{0, 1}]]


@pytest.mark.parametrize("largest", [0, 1])
def test_the_best_few_are_an_index_each_and_what_is_taken_of_them_is_followed(largest: int) -> None:
    top = node("TopK", ["score", "two"], ["values", "indices"], axis=1, largest=largest)
    k = {"two": np.array([2]), "labels": np.array([10, 20, 30, 40])}
    x = np.array([[3.0, 2.0, 2.0, 0.0]]) * (1 if largest else -1)
    plain = deciders_of(
        file_of([top, node("Identity", ["indices"], ["y"])], INT64, k),
        {"x": x.astype(np.float32)},
        rows=True,
        name="it",
    )["y"]
    assert isinstance(plain, Decider)
    assert plain.excuses(np.array([[0, 1]]), np.array([[0, 2]])).all()
    assert not plain.excuses(np.array([[0, 1]]), np.array([[0, 0]])).all()
    assert sets_of(found_for(file_of([top, node("Gather", ["labels", "indices"], ["y"])], INT64, k), x)) == [
        [{10}, {20, 30}]
    ]


def test_what_follows_a_choice_is_not_taken_for_the_choice() -> None:
    """The chain from the output to ArgMax has operators that keep an index, and changes it all the same."""
    nodes = [
        node("ArgMax", ["score"], ["c"], axis=1, keepdims=1),
        node("Cast", ["c"], ["b"], to=BOOL),
        node("Not", ["b"], ["y"]),
    ]
    assert sets_of(found_for(file_of(nodes, BOOL), CHOICES)) == [[{0, 1}], [{0}]]


THEN = onnx_graph([ABOVE], {}, {"above": (BOOL, None)})
ELSE = onnx_graph([node("Less", ["score", "score"], ["never"])], {}, {"never": (BOOL, None)})
COUNTED = onnx_graph(
    [
        node("Identity", ["go"], ["on"]),
        ABOVE,
        node("Cast", ["above"], ["i"], to=INT64),
        node("Add", ["sum", "i"], ["more"]),
    ],
    {"n": (INT64, None), "go": (BOOL, None), "sum": (INT64, None)},
    {"on": (BOOL, None), "more": (INT64, None)},
)
"""The body of a loop that adds up answers of a threshold."""


@pytest.mark.parametrize(
    ("nodes", "kind", "through"),
    [
        ([ABOVE, node("NonZero", ["above"], ["n"]), node("Neg", ["n"], ["y"])], INT64, "NonZero"),
        ([ABOVE, node("Where", ["above", "score", "half"], ["w"]), node("NonZero", ["w"], ["y"])], INT64, "NonZero"),
        ([node("Loop", ["four", "", "zero"], ["y"], body=COUNTED)], INT64, "Loop"),
        ([node("Loop", ["four", "", "zero"], ["l"], body=COUNTED), node("Neg", ["l"], ["y"])], INT64, "Loop"),
        (
            [
                node("ReduceMax", ["score"], ["m"], keepdims=0),
                node("Greater", ["m", "half"], ["c"]),
                node("If", ["c"], ["y"], then_branch=THEN, else_branch=ELSE),
            ],
            BOOL,
            "If",
        ),
        ([node("Relu", ["score"], ["r"]), node("IsInf", ["r"], ["y"])], BOOL, "IsInf"),
    ],
)
def test_what_cannot_be_followed_excuses_nothing_and_the_operator_is_named(
    nodes: list[NodeProto], kind: int, through: str, tmp_path: Path
) -> None:
    found = deciders_of(file_of(nodes, kind), {"x": AT_HALF.astype(np.float32)}, rows=False, name="it")
    assert found == {"y": Unfollowed(through)}
    numbers = np.zeros((1, 3), np.int64)
    assert not found["y"].excuses(numbers, numbers + 1).any()
    assert found["y"].leaves_open
    assert f"decide them through {through}," in told_of_ties("3 of 3 numbers differ", found["y"])
    assert joined([found["y"], Alternatives(numbers[..., None], numbers[..., None])]) == found["y"]
    save_deciders(found, tmp_path / "deciders.npz")
    assert read_deciders(tmp_path / "deciders.npz") == found


@pytest.mark.parametrize("by", [100.0, 127.9, 128.5, -129.5])
def test_what_a_type_does_not_hold_has_no_defined_result(by: float, tmp_path: Path) -> None:
    beyond = not -129 < by < 128
    nodes = [node("Mul", ["score", "by"], ["l"]), node("Cast", ["l"], ["y"], to=TensorProto.INT8)]
    model = file_of(nodes, TensorProto.INT8, {"by": np.float32(by)})
    found = deciders_of(model, {"x": np.array([[3.0, 1.5]], np.float32)}, rows=True, name="it")
    assert isinstance(found["y"], Undefined) == beyond
    if beyond:
        assert found["y"].leaves_open
        said = "1 of 2 numbers differ; ONNX defines no result for Cast to int8 of numbers beyond it: "
        assert told_of_ties("1 of 2 numbers differ", found["y"]).startswith(said)
        save_deciders(found, tmp_path / "deciders.npz")
        assert read_deciders(tmp_path / "deciders.npz") == found


def test_what_no_score_decides_is_not_said_to_be_open() -> None:
    ends = {"x": (INT64, ["batch", None])}, {"y": (INT64, None)}
    sums = onnx_model([node("CumSum", ["x", "one"], ["y"])], *ends, {"one": np.int64(1)}, ir_version=8)
    assert deciders_of(sums, {"x": np.array([[1, 2, 3]])}, rows=True, name="it") == {}


def test_what_is_certain_passes_any_operator() -> None:
    x = {"x": np.array([[0, 3.0, 9]], np.float32)}
    model = file_of([ABOVE, node("NonZero", ["above"], ["n"]), node("Neg", ["n"], ["y"])], INT64)
    found = deciders_of(model, x, rows=False, name="it")["y"]
    assert isinstance(found, Alternatives)
    assert sets_of(found) == [[{0}, {0}, {-1}, {-2}]]


@pytest.mark.parametrize("across", [True, False])
def test_the_places_that_nonzero_lists_are_right_as_a_list(across: bool, tmp_path: Path) -> None:
    """The first score is at the threshold, the second above it and the third below."""
    nodes = [ABOVE, node("NonZero", ["above"], ["n"]), node("Identity" if across else "Transpose", ["n"], ["y"])]
    found = deciders_of(file_of(nodes, INT64), {"x": AT_HALF.astype(np.float32)}, rows=False, name="it")
    both = joined([found["y"], found["y"]])
    assert both is not None
    save_deciders({"y": both}, tmp_path / "deciders.npz")
    one = read_deciders(tmp_path / "deciders.npz")["y"]
    assert isinstance(one, Entries)
    assert (one.across, one.records) == (across, 2)

    def listed(*columns: int) -> np.ndarray:
        room = np.full((4, 2), -1)
        for place, column in enumerate(columns):
            room[place] = (0, column)
        return (room.T if across else room).reshape(1, -1)

    expected = np.concatenate([listed(1), listed(0, 1)])
    for right in (listed(1), listed(0, 1), listed(1, 0)):
        assert one.decides(right)
        np.testing.assert_array_equal(one.beside(expected, np.concatenate([right, right])), expected)
        np.testing.assert_array_equal(one.beside(expected[:1, :2], right), expected[:1, :2])
    for wrong in (listed(), listed(0), listed(1, 2), listed(1, 1), listed(1, 3), listed(0, 1, 2)):
        assert not one.decides(wrong)
        np.testing.assert_array_equal(one.beside(expected[:1], wrong, np.array([1])), wrong)
    wider = one.widened()
    assert isinstance(wider, Entries)
    assert (wider.may_be[1] >= one.may_be[1]).all()


@pytest.mark.parametrize(
    ("last", "decided"),
    [
        ([node("Floor", ["score"], ["y"])], True),
        ([node("Floor", ["score"], ["f"]), node("Mul", ["f", "third"], ["y"])], True),
        ([ABOVE, node("Where", ["above", "score", "half"], ["y"])], False),
        ([node("Floor", ["score"], ["f"]), node("Sub", ["score", "f"], ["y"])], False),
        ([node("Cast", ["score"], ["y"], to=TensorProto.DOUBLE)], False),
        ([node("Relu", ["score"], ["y"])], False),
    ],
)
def test_floats_are_followed_where_they_depend_on_scores_through_decisions_alone(
    last: list[NodeProto], decided: bool
) -> None:
    assert is_decided(file_of(last, FLOAT), "y") is decided


def test_the_branch_of_a_fixed_condition_is_followed_like_any_other_node() -> None:
    nodes = [
        node("Cast", ["one"], ["c"], to=BOOL),
        node("If", ["c"], ["b"], then_branch=THEN, else_branch=ELSE),
        node("Where", ["b", "four", "one"], ["y"]),
    ]
    assert sets_of(found_for(file_of(nodes, INT64), AT_HALF)) == [[{1, 4}, {4}, {1}]]


def test_floating_point_numbers_that_scores_decide_are_judged_beside_their_nearest_alternative() -> None:
    nodes = [node("Floor", ["score"], ["f"]), node("Mul", ["f", "third"], ["y"])]
    found = found_for(file_of(nodes, FLOAT), np.array([[3.0, 4.5]]))
    third = float(np.float32(ROUNDED))
    assert sets_of(found) == [[{0, third}, {third}]]
    expected = np.array([[third, third]])
    run = np.array([[1e-9, third + 1e-9]])
    np.testing.assert_allclose(found.beside(expected, run), expected + 1e-9, rtol=1e-12)
    wrong = np.array([[2 * third, 0.0]])
    np.testing.assert_array_equal(found.beside(expected, wrong), wrong)
    np.testing.assert_array_equal(found.beside(expected, np.full((1, 2), np.nan)), np.full((1, 2), np.nan))


def test_whole_numbers_that_no_score_decides_are_what_they_are() -> None:
    nodes = [node("Shape", ["score"], ["s"]), node("Greater", ["s", "one"], ["y"])]
    found = deciders_of(file_of(nodes, BOOL), {"x": AT_HALF.astype(np.float32)}, rows=False, name="it")["y"]
    assert isinstance(found, Alternatives)
    assert sets_of(found) == [[{0}, {1}]]


def test_in_reduced_precision_a_score_may_be_further_off_and_no_more_than_that() -> None:
    """An image in levels, as a quantised model makes it."""
    nodes = [
        node("Mul", ["score", "ten"], ["scaled"]),
        node("Round", ["scaled"], ["r"]),
        node("Cast", ["r"], ["y"], to=UINT8),
    ]
    x = np.linspace(0, 6, 24).reshape(8, 3)
    found = found_for(file_of(nodes, UINT8), x)
    own = np.round(10 * x / 3).astype(np.uint8)
    assert not found.excuses(own, own + 1).any()
    wider = found.widened()
    assert wider is not None
    assert wider.excuses(own, own + np.uint8(1))[1:-1].any()
    assert not wider.excuses(own, own + np.uint8(3)).any()


def test_what_may_be_too_many_numbers_is_not_followed() -> None:
    nodes = [
        node("Greater", ["score", "half"], ["b"]),
        node("Cast", ["b"], ["i"], to=INT64),
        node("ReduceSum", ["i", "axes"], ["y"]),
    ]
    x = {"x": np.full((1, MOST_ALTERNATIVES + 1), 1.5, np.float32)}
    assert deciders_of(file_of(nodes, INT64), x, rows=True, name="it") == {"y": Unfollowed("ReduceSum")}


def test_alternatives_go_through_a_file_beside_choices(tmp_path: Path) -> None:
    made = {
        "may be": Alternatives(np.array([[[1, 4]]]), np.array([[[1, 4, 5]]])),
        "index": Decider(np.zeros((2, 1, 3, 1)), 0.25, np.ones((2, 1, 1, 1), bool)),
    }
    save_deciders(made, tmp_path / "deciders.npz")
    found = read_deciders(tmp_path / "deciders.npz")
    assert found.keys() == made.keys()
    assert sets_of(found["may be"]) == [[{1, 4}]]
    assert sets_of(found["may be"].widened()) == [[{1, 4, 5}]]
    assert not found["index"].excuses(np.array([[0], [0]]), np.array([[1], [2]])).any()
    assert found["index"].widened().exact is None


def test_several_calls_are_joined_though_one_has_more_alternatives() -> None:
    few, many = (Alternatives(np.array([[one]]), np.array([[one]])) for one in ([1], [2, 3]))
    found = joined([few, many])
    assert isinstance(found, Alternatives)
    assert sets_of(found) == [[{1}], [{2, 3}]]
    assert joined([few, Decider(np.zeros((1, 1, 2, 1)), 0.1)]) is None
    places = np.array([1, 5])
    assert found.excuses(np.array([[2], [2]]), np.array([[3], [3]]), places).tolist() == [[True], [False]]


def mask(score: np.ndarray) -> np.ndarray:
    return np.where((score > 0.5) & ~(score >= 2), 4, 1)


def steps(score: np.ndarray) -> np.ndarray:
    return np.floor(score).astype(np.int64) + (np.sign(score - 0.5).astype(np.int64) == 1)


PROGRAMS: dict[str, tuple[list[NodeProto], Callable[[np.ndarray], np.ndarray]]] = {
    "mask": (
        [
            ABOVE,
            node("GreaterOrEqual", ["score", "two"], ["b"]),
            node("Not", ["b"], ["n"]),
            node("And", ["above", "n"], ["a"]),
            node("Where", ["a", "four", "one"], ["y"]),
        ],
        mask,
    ),
    "steps": (
        [
            node("Floor", ["score"], ["f"]),
            node("Cast", ["f"], ["i"], to=INT64),
            node("Sub", ["score", "half"], ["rest"]),
            node("Sign", ["rest"], ["s"]),
            node("Cast", ["s"], ["j"], to=INT64),
            node("Equal", ["j", "one"], ["e"]),
            node("Cast", ["e"], ["k"], to=INT64),
            node("Add", ["i", "k"], ["y"]),
        ],
        steps,
    ),
}


@settings(max_examples=30)
@given(
    x=hnp.arrays(
        np.float32, (3, 4), elements=st.sampled_from([0, 1.5, 1.4999999, 1.5000001, 3, 6, 5.9999995, 2.2, 7.7])
    ),
    off=hnp.arrays(np.float64, (3, 4), elements=st.floats(-1, 1)),
    program=st.sampled_from(sorted(PROGRAMS)),
)
def test_whatever_a_run_makes_of_scores_that_are_off_is_among_the_alternatives_and_a_clear_one_is_alone(
    x: np.ndarray, off: np.ndarray, program: str
) -> None:
    nodes, compute = PROGRAMS[program]
    x[0, 0] = 7.7  # what cancels to nothing in every record has no scale of its own
    found = deciders_of(file_of(nodes, INT64, {"two": np.float32(2)}), {"x": x}, rows=True, name="it")["y"]
    exact = x.astype(np.float64) * np.float64(np.float32(ROUNDED))
    rounding = float(np.spacing(np.float32(np.abs(exact).max())))
    moved = exact + np.where(exact == (x * np.float32(ROUNDED)).astype(np.float64), 0, off * rounding)
    assert found.decides(compute(moved))
    clear = np.abs(exact * 2 - np.round(exact * 2)) > 0.01
    assert isinstance(found, Alternatives)
    several = (found.values != found.values[..., :1]).any(axis=-1)
    assert not several[clear].any()
