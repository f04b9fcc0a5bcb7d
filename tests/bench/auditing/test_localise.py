"""Which runtimes of one file are wrong, and which of them shows that the file can be run correctly."""

from __future__ import annotations

import pytest

from assay.bench.auditing.localise import disagreeing, may_be_wrong, outcomes_of
from assay.records.audit import Comparison
from assay.records.results import Export


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
    undecided = comparisons[0].model_copy(update={"passed": False, "ground": "open"})
    assert outcomes_of([undecided, comparisons[2]], runners) == {"openvino": False}
    failed = compared("ort.cpu@tf2onnx", passed=False)
    assert outcomes_of([failed, undecided], runners) == {"all": False}


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


@pytest.mark.parametrize(
    ("reason", "undecided", "followed"),
    [
        ("torch-script at level disable_all, batch 1: differs by 0.27, where 1e-06 is tolerated", False, True),
        ("torch-dynamo at level disable_all does not load: found Incompatible dimensions", False, True),
        ("ONNX Runtime lacks an operator: found NOT_IMPLEMENTED : Could not find an implementation for Gemm(13)", False,
         False),
        ("not judged: it computes in fp16", True, False),
    ],
)  # fmt: skip
def test_only_what_may_be_wrong_is_followed(reason: str, undecided: bool, followed: bool) -> None:
    export = Export(
        architecture="m.build", size=0, exporter="torch-script", status="failed", reason=reason, undecided=undecided,
        key="key", weights="w", opset=18, opset_asked=18, seconds=1,
    )  # fmt: skip
    assert may_be_wrong(export) == followed
    assert not may_be_wrong(export.model_copy(update={"opset": 0})), "no file was written"
