"""An answer is shown with the best of each tier and of its own precision; with one tier only, it is alone."""

from __future__ import annotations

from assay.bench.choosing.reasons import simplicity
from assay.bench.cli.choose import render
from tests.bench.choosing.test_choose import SAMPLE, asked, cell

ONNX, INT8, EAGER = "ort.cpu@torch-dynamo", "ort.cpu@torch-dynamo+int8", "torch.eager"
LITERT, LITERT8 = "litert", "litert.int8"
NATIVE = {"framework": "tf"}
GROUP = "bloodnet/28/b1/t1/"


def test_the_best_of_each_tier_is_beside_the_answer_and_that_of_its_precision() -> None:
    cells = [
        cell(EAGER, 4.0),
        cell("torch.compile", 3.0),
        cell("torch.compile.bf16", 2.5, precision="bf16"),
        cell(LITERT, 3.5, **NATIVE),
        cell(LITERT8, 1.1, precision="int8", **NATIVE),
        cell(ONNX, 3.3),
        cell(INT8, 1.0),
    ]
    found = asked(cells)
    assert found.answer == GROUP + INT8
    beside = {one.cell.removeprefix(GROUP): (one.tier, one.precision, one.tied) for one in found.beside}
    assert beside == {
        "torch.compile.bf16": ("framework", "bf16", False),
        LITERT8: ("deployment", "int8", False),
    }
    (compiled, _) = found.beside
    assert compiled.times is not None
    assert compiled.times.low < 2.5 < compiled.times.high
    text = render(found)
    assert f"Best in the framework's own deployment runtime: {GROUP}{LITERT8}, also in int8, 1.10 (" in text
    assert f"Best in the framework: {GROUP}torch.compile.bf16, in bf16, 2.50 (" in text
    assert text.count("times as slow.") == 2


def test_where_another_precision_is_faster_that_of_the_answers_own_is_named_too() -> None:
    found = asked([cell(EAGER, 2.0), cell("torch.compile.bf16", 1.5, precision="bf16"), cell(ONNX, 1.45)])
    assert found.answer == GROUP + ONNX
    assert [one.cell.removeprefix(GROUP) for one in found.beside] == ["torch.compile.bf16", EAGER]
    assert [one.tied for one in found.beside] == [False, False]


def test_a_tie_with_another_tier_is_reported() -> None:
    found = asked([cell(EAGER, 1.0), cell(ONNX, 1.01)])
    assert found.answer == GROUP + EAGER, "no conversion"
    (one,) = found.beside
    assert (one.tier, one.tied) == ("onnx", True)
    assert ", also in fp32, 1.01 (" in render(found)
    assert "not distinguishable." in render(found)


def test_one_tier_alone_has_no_other_beside_it_nor_have_other_conditions() -> None:
    assert asked([cell(EAGER, 4.0)]).beside == []
    assert asked([cell(ONNX, 1.0), cell(EAGER, 9.0, batch=32)], batch=1).beside == []


def test_a_deployment_runtime_is_a_conversion() -> None:
    order = [simplicity(one, "fp32", SAMPLE)[1] for one in (cell(EAGER, 1), cell(LITERT, 1, **NATIVE), cell(ONNX, 1))]
    assert order == [0, 1, 1]


def test_the_nearest_losers_are_listed_and_all_of_them_on_request() -> None:
    cells = [cell(EAGER, 4.0), cell("torch.compile", 3.0), cell(LITERT, 3.5, **NATIVE), cell(ONNX, 1.0)]
    cells += [cell("jax.jit", 9.0, framework="jax")]
    found = asked(cells)
    lines = render(found).splitlines()
    nearest = lines[lines.index("Not chosen, the nearest first:") + 1 :]
    told = [line.split(":")[0].strip().removeprefix(GROUP) for line in nearest[:-1]]
    assert told == ["torch.compile", LITERT, EAGER]
    assert nearest[-1] == "And 1 more: --all says why."
    everything = render(found, everything=True)
    assert all(f"  {name}: {reason}" in everything for name, reason in found.losers.items())
    assert "--all" not in everything


def test_where_none_qualifies_the_nearest_is_given_and_wrong_cells_are_counted() -> None:
    found = asked([cell(EAGER, 4.0), cell(ONNX, 1.0)], most_p99_ms=0.1)
    lines = render(found).splitlines()
    assert lines[0].startswith(f"No candidate qualifies; the nearest, {GROUP}{ONNX}")
    assert [line.split(":")[0].strip() for line in lines[2:]] == [GROUP + ONNX, GROUP + EAGER]
    wrong = found.model_copy(update={"wrong": [GROUP + EAGER], "losers": found.losers | dict.fromkeys("abc", "why")})
    assert render(wrong).splitlines()[-1] == "And 2 more, 1 of them WRONG: --all says why."
