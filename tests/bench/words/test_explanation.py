"""The sentence on why one runtime is faster: it states what was planted in the record, and nothing more."""

from __future__ import annotations

import pytest

from assay.bench.explaining.estimate import judged
from assay.bench.report.evidence import Evidence
from assay.bench.report.page.blocks import Lanes
from assay.bench.report.page.page import render_markdown, render_page
from assay.bench.report.sections.cases import all_cases as section
from assay.bench.words.explanation import explanations, spoken
from assay.bench.words.verdict import verdicts
from assay.records.attribution import Attribution, OperatorTime, ProfiledEstimate, SkeletonEstimate
from assay.records.base import Interval, Verdict
from assay.records.results import Cell, Results
from tests.bench.report.sample_explanations import explained_results
from tests.bench.report.sample_results import plain, spread

BASE = explained_results((28,), (1,), ("bloodnet",))
ONNX, NATIVE, FAR = "ort.cpu@torch-dynamo", "tf.function", "jax.jit"
PREFIX = "bloodnet/28/b1/t1/"


def narrow(value: float) -> Interval:
    return Interval(value=value, low=value * 0.999, high=value * 1.001)


def parts(
    label: str,
    kernels: float,
    framework: float,
    transfer: float = 0.0,
    *,
    skeleton: float | None = None,
    **other: object,
) -> Attribution:
    """Planted milliseconds; `skeleton` is that estimator's result for the kernels, by default the same."""
    wall = kernels + framework
    second = kernels if skeleton is None else skeleton
    one = Attribution(
        cell=PREFIX + label,
        wall_ms=narrow(wall),
        transfer_ms=transfer,
        profiled=ProfiledEstimate(kernel_ms=narrow(kernels), overhead_ms=narrow(framework), trusted=True),
        skeleton=SkeletonEstimate(kernel_ms=narrow(second), overhead_ms=narrow(wall - second)),
    )
    return judged(one).model_copy(update=other)


def study(
    *attributions: Attribution,
    bounds: dict[str, float] | None = None,
    outcome: Verdict = "faster",
    ratios: dict[str, float] | None = None,
) -> Results:
    """One group with these attributions and bounds in ms; ONNX takes half of the native time by default."""
    times = {ONNX: 0.5, NATIVE: 1.0} | (ratios or {})
    comparison = BASE.comparisons[0].model_copy(
        update={
            "onnx": ONNX,
            "native": NATIVE,
            "verdict": outcome,
            "speedup": narrow(1 / times[ONNX]),
            "ratios": {label: narrow(ratio) for label, ratio in times.items()},
        }
    )
    template = BASE.bounds[0]
    walls = {one.cell: one.wall_ms.value for one in attributions}
    found = [
        template.model_copy(
            update={"cell": PREFIX + label, "bound_ms": ms, "fraction": ms / walls.get(PREFIX + label, 1.0)}
        )
        for label, ms in (bounds or {}).items()
    ]
    return BASE.model_copy(update={"comparisons": [comparison], "attributions": list(attributions), "bounds": found})


def told(results: Results) -> list[str]:
    (found,) = verdicts(results)
    return [plain(sentence) for sentence in explanations(results, found)]


def test_kernels_that_are_slow_are_not_called_overhead() -> None:
    results = study(parts(NATIVE, 1.9, 0.1), parts(ONNX, 0.96, 0.04), bounds={NATIVE: 0.48, ONNX: 0.48})
    assert told(results) == [
        "tf.function spends 95 % of its time in kernels running at 25 % of the machine's rate, where ONNX Runtime "
        "(torch-dynamo export) spends 96 % in kernels at 50 %; the difference is the kernels, not framework overhead."
    ]


def test_framework_overhead_is_called_so() -> None:
    (sentence,) = told(study(parts(NATIVE, 1.0, 4.0), parts(ONNX, 0.96, 0.04)))
    assert sentence.startswith("tf.function spends 20 % of its time in kernels, where")
    assert sentence.endswith("; the difference is framework overhead, not the kernels.")


def test_transfer_is_a_cause_of_its_own() -> None:
    (sentence,) = told(study(parts(NATIVE, 1.0, 0.1, transfer=3.0), parts(ONNX, 1.0, 0.05)))
    assert sentence.endswith("; the difference is the transfer of input and output, not the kernels.")


def test_a_mixed_cause_is_given_with_its_share() -> None:
    (sentence,) = told(study(parts(NATIVE, 1.6, 0.44), parts(ONNX, 1.0, 0.04)))
    assert sentence.endswith("; 60 % of the difference is the kernels.")


def test_a_cause_that_the_intervals_do_not_allow_is_not_claimed() -> None:
    unsure = parts(NATIVE, 1.9, 0.1)
    wide = ProfiledEstimate(kernel_ms=spread(1.9, 0.4), overhead_ms=Interval(value=0.1, low=0, high=0.8), trusted=True)
    (sentence,) = told(study(unsure.model_copy(update={"profiled": wide}), parts(ONNX, 0.96, 0.04)))
    assert "spends 95 % (57-100) of its time" in sentence
    assert "difference" not in sentence, "which part makes it is not known"


def test_where_native_wins_onnx_is_explained() -> None:
    results = study(parts(NATIVE, 0.9, 0.1), parts(ONNX, 3.9, 0.1), outcome="slower", ratios={ONNX: 4.0})
    (sentence,) = told(results)
    assert sentence.startswith("ONNX Runtime (torch-dynamo export) spends 98 %")


def test_a_framework_far_behind_is_explained_with_the_layer_that_loses_most() -> None:
    def layers(first: float, second: float) -> list[OperatorTime]:
        one = {"kind": "Conv", "aligned_by": "order", "share": 0.5}
        return [
            OperatorTime.model_validate({"name": "a", "layer": "stage1.unit1.conv", "ms": first, **one}),
            OperatorTime.model_validate({"name": "b", "layer": "stage2.unit1.conv", "ms": second, **one}),
        ]

    results = study(
        parts(ONNX, 0.96, 0.04, operators=layers(0.5, 0.4)),
        parts(FAR, 48, 2, operators=layers(8, 40)),
        bounds={FAR: 0.48},
        ratios={FAR: 25.0},
    )
    assert told(results) == [
        "jax.jit, 50 times as slow as the fastest, spends 96 % of its time in convolution kernels running at 1.0 % of "
        "the machine's rate; the difference is the kernels, not framework overhead (most is lost in "
        "stage2.unit1.conv: 40 ms where ONNX Runtime (torch-dynamo export) takes 0.40 ms, as profiled)."
    ]


def test_a_single_fused_operator_is_named() -> None:
    fused = [OperatorTime(name="convert_fusion.1", kind="convert_fusion", ms=40, share=0.97)]
    results = study(parts(ONNX, 0.96, 0.04), parts(FAR, 48, 2, operators=fused), ratios={FAR: 25.0})
    (sentence,) = told(results)
    assert "in kernels;" in sentence  # a conversion is not a convolution
    assert sentence.endswith("(one operator, convert_fusion.1, takes 97 % of the time of all).")


def test_the_slowest_framework_is_only_mentioned_if_significantly_twice_as_slow() -> None:
    known = (parts(ONNX, 0.96, 0.04), parts(FAR, 1.8, 0.1))
    assert told(study(*known, ratios={FAR: 1.0005})) == []
    assert len(told(study(*known, ratios={FAR: 1.01}))) == 1


def test_estimators_that_contradict_each_other_explain_nothing() -> None:
    results = study(parts(NATIVE, 1.9, 0.1, skeleton=0.8), parts(ONNX, 0.96, 0.04))
    assert told(results) == [
        "It is not settled why tf.function takes longer: its profile counts 95 % of a call as kernels, "
        "its skeleton 40 %."
    ]


def test_a_profile_that_is_not_trusted_gives_way_to_the_skeleton() -> None:
    one = parts(NATIVE, 0.2, 1.8, skeleton=1.9)
    doubtful = one.model_copy(update={"profiled": one.profiled.model_copy(update={"trusted": False})})
    (sentence,) = told(study(doubtful))
    assert sentence == "tf.function spends 95 % of its time in kernels (by its skeleton alone)."


def test_a_single_estimator_is_named() -> None:
    one = parts(NATIVE, 1.9, 0.1).model_copy(update={"skeleton": SkeletonEstimate(reason="none"), "agree": None})
    assert told(study(one)) == ["tf.function spends 95 % of its time in kernels (by its profile alone)."]


def test_kernels_beyond_the_bound_are_not_given_more_than_the_whole_rate() -> None:
    (sentence,) = told(study(parts(NATIVE, 1.9, 0.1), bounds={NATIVE: 2.5}))
    assert sentence == "tf.function spends 95 % of its time in kernels at the machine's full rate."


@pytest.mark.parametrize(("bound", "said"), [(0.8, True), (0.3, False)])
def test_two_near_the_limit_are_both_said_to_be(bound: float, said: bool) -> None:
    same = (parts(NATIVE, 0.95, 0.05), parts(ONNX, 0.95, 0.05))
    results = study(*same, bounds={NATIVE: bound, ONNX: bound}, outcome="same", ratios={ONNX: 1.0})
    sentences = told(results)
    assert sentences == (
        [
            "ONNX Runtime (torch-dynamo export) reaches 80 % and tf.function reaches 80 % of the rate this machine "
            "allows: no runtime could be more than 1.2 times as fast without computing less."
        ]
        if said
        else []
    )


def test_nothing_is_said_where_nothing_is_known() -> None:
    assert told(study()) == []
    assert told(study(parts(ONNX, 0.96, 0.04))) == []
    empty = Attribution(
        cell=PREFIX + NATIVE, wall_ms=narrow(1), transfer_ms=0, profiled=ProfiledEstimate(), skeleton=SkeletonEstimate()
    )
    assert told(study(empty)) == []


def test_a_verdict_that_must_not_be_used_is_not_explained() -> None:
    results = study(parts(NATIVE, 1.9, 0.1), parts(ONNX, 0.96, 0.04))
    wrong = [_disagreeing(cell) if cell.label == ONNX else cell for cell in results.cells]
    assert told(results.model_copy(update={"cells": wrong})) == []
    assert told(results.model_copy(update={"comparisons": []})) == []


def _disagreeing(cell: Cell) -> Cell:
    assert cell.agreement is not None
    return cell.model_copy(update={"agreement": cell.agreement.model_copy(update={"passed": False})})


def test_the_report_and_the_terminal_say_it_under_the_verdict() -> None:
    results = study(parts(NATIVE, 1.9, 0.1), parts(ONNX, 0.96, 0.04))
    (explained,) = explanations(results, verdicts(results)[0])
    made = section(Evidence(results))
    assert made is not None
    (lanes,) = made.blocks
    assert isinstance(lanes, Lanes)
    assert lanes.lanes[0].texts[-1] == explained
    assert explained in render_page(results, [made])
    assert "the difference is the kernels" in render_markdown(results, [made])
    assert list(spoken(results)) == [verdicts(results)[0].sentence, f"  {explained}"]
