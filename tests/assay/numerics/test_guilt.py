"""One rule decides from the agreement of witnesses what is wrong: a table of results and conclusions."""

from __future__ import annotations

from itertools import product
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.numerics.guilt import EVALUATOR, EVALUATOR_IN_FLOAT64, LEVELS, MAKERS, Outcome, guilt_of, level_of

ORT = dict.fromkeys(LEVELS, "agrees")
WRONG = dict.fromkeys(LEVELS, "differs")


def outcomes(*tables: dict[str, str], **more: str) -> dict[str, Outcome]:
    found: dict[str, str] = {}
    for table in (*tables, more):
        found |= table
    return cast("dict[str, Outcome]", found)


def test_nothing_is_wrong_where_all_agree() -> None:
    assert guilt_of(outcomes(ORT, openvino="agrees")).said == ""
    assert guilt_of(outcomes(ORT)).file == "right"


def test_a_file_that_only_an_optimised_level_gets_wrong_is_right() -> None:
    """Case 10: an invalid fusion."""
    one = guilt_of(outcomes(ORT, extended="differs", all="differs"))
    assert (one.file, one.wrong, one.right) == ("right", ("extended", "all"), "no-opt")
    assert one.said == (
        "the file is right (it agrees at level no-opt, basic, layout), "
        "ONNX Runtime's optimiser is wrong at level extended, all"
    )


def test_a_level_that_does_not_run_what_another_runs_is_the_optimisers_fault_too() -> None:
    one = guilt_of(outcomes(ORT, all="fails"))
    assert (one.file, one.wrong) == ("right", ("all",))
    assert "ONNX Runtime's optimiser does not run it at level all" in one.said


def test_an_evaluator_that_everybody_else_contradicts_is_wrong() -> None:
    """Case 12: onnx's LRN runs over the batch."""
    one = guilt_of(outcomes(ORT, openvino="agrees", evaluator="differs"))
    assert (one.file, one.wrong) == ("right", (EVALUATOR,))
    assert one.said.endswith("OpenVINO agrees), onnx's reference evaluator is wrong")
    assert "ONNX Runtime is wrong" not in one.said


@pytest.mark.parametrize("other", ["openvino", "evaluator"])
def test_onnx_runtime_is_wrong_where_another_maker_gives_the_right_numbers(other: str) -> None:
    one = guilt_of(outcomes(WRONG, {other: "agrees"}))
    assert (one.file, one.right) == ("right", other)
    assert one.said == f"the file is right ({MAKERS[other]} agrees), ONNX Runtime is wrong at every level"


def test_a_level_that_alone_is_right_shows_that_the_file_is() -> None:
    one = guilt_of(outcomes(ORT, {"no-opt": "differs"}))
    assert one.file == "right"
    assert "ONNX Runtime is wrong at level no-opt" in one.said
    assert "optimiser" not in one.said


def test_only_openvino_is_wrong() -> None:
    assert guilt_of(outcomes(ORT, openvino="differs")).said.endswith("all), OpenVINO is wrong")


def test_less_than_fp32_is_said_where_telling_it_fp32_mends_it_and_nowhere_else() -> None:
    proven = guilt_of(outcomes({"openvino as it comes": "differs", "openvino": "agrees"}))
    assert "computes in less than fp32 (told to use f32 it agrees)" in proven.said
    wrong = guilt_of(outcomes(ORT, {"openvino as it comes": "differs", "openvino": "differs"}))
    assert "less than fp32" not in wrong.said
    assert "less than fp32" not in guilt_of(outcomes(ORT, {"openvino as it comes": "differs"})).said


def test_a_file_that_two_makers_run_and_neither_gets_right_is_wrong() -> None:
    one = guilt_of(outcomes(WRONG, evaluator="differs"))
    assert one.file == "wrong"
    assert one.said.startswith("the file is wrong: ONNX Runtime and onnx's reference evaluator run it")


def test_where_one_maker_alone_runs_it_either_may_be_wrong() -> None:
    one = guilt_of(outcomes(WRONG, openvino="fails", evaluator="fails"))
    assert (one.file, one.said) == ("undecided", "the file is wrong, or ONNX Runtime is, the only one that runs it")


def test_float64_alone_does_not_make_a_file_right() -> None:
    """The exponential of a large number is finite in float64 and overflows in fp32."""
    one = guilt_of(outcomes(WRONG, {EVALUATOR: "differs", EVALUATOR_IN_FLOAT64: "agrees"}))
    assert (one.file, one.right) == ("wrong", "")
    assert "right in float64 alone" in one.said


@given(st.dictionaries(st.sampled_from(list(MAKERS)), st.sampled_from(["agrees", "differs", "fails"])))
def test_a_runtime_that_agrees_is_never_blamed(table: dict[str, Outcome]) -> None:
    one = guilt_of(table)
    assert all(table[name] != "agrees" for name in one.wrong)
    assert one.right == "" or table[one.right] == "agrees"
    in_fp32 = [name for name, outcome in table.items() if outcome == "agrees" and name != EVALUATOR_IN_FLOAT64]
    assert (one.file == "right") == bool(in_fp32)
    if any(outcome != "agrees" for outcome in table.values()):
        assert one.said


def test_levels_go_by_one_name() -> None:
    names = [
        level_of(name) for name in ("disable_all", "enable_basic", "enable_extended", "enable_layout", "enable_all")
    ]
    assert names == list(LEVELS)
    assert {name for name, _ in product(names, [0])} <= set(MAKERS)


def test_two_that_agree_do_so_in_the_plural() -> None:
    assert (
        "(OpenVINO and onnx's reference evaluator agree)"
        in guilt_of(outcomes(WRONG, openvino="agrees", evaluator="agrees")).said
    )


def test_a_level_that_alone_was_asked_goes_by_its_name() -> None:
    said = guilt_of(outcomes({"no-opt": "differs"}, openvino="agrees")).said
    assert said == "the file is right (OpenVINO agrees), ONNX Runtime is wrong at level no-opt"
