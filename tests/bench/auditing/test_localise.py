"""Which runtimes of one file are wrong, and which of them shows that it can be run rightly."""

from __future__ import annotations

import pytest

from assay.bench.auditing.localise import disagreeing, outcomes_of
from assay.records.audit import Comparison


def compared(subject: str, *, passed: bool) -> Comparison:
    reason = "" if passed else "differs by 3"
    return Comparison(
        subject=subject, inputs="test", batch=32, threads=1, images=8, measured=None, tolerance=1e-5, passed=passed,
        reason=reason,
    )  # fmt: skip


def test_a_runtime_is_right_where_all_its_comparisons_are() -> None:
    runners = {"ort.cpu@tf2onnx": "all", "openvino@tf2onnx": "openvino"}
    comparisons = [
        compared("ort.cpu@tf2onnx", passed=True),
        compared("openvino@tf2onnx", passed=True),
        compared("openvino@tf2onnx", passed=False),
        compared("openvino@jax2onnx", passed=True),
        compared("torch.eager", passed=False),
    ]
    assert outcomes_of(comparisons, runners) == {"all": True, "openvino": False}


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ({"all": True, "openvino": False}, (["openvino"], "all")),
        ({"all": True, "no-opt": True, "extended": False, "openvino": False}, (["extended", "openvino"], "no-opt")),
        ({"all": False, "openvino": False}, (["all", "openvino"], "")),
        ({"all": True}, ([], "all")),
        ({}, ([], "")),
    ],
)
def test_the_right_one_is_that_which_does_least_to_the_graph(
    outcomes: dict[str, bool], expected: tuple[list[str], str]
) -> None:
    assert disagreeing(outcomes) == expected
