"""The runs that a study's list of runtimes expands to."""

from __future__ import annotations

from assay.bench.stages.groups import runs_of


def test_a_runtime_of_onnx_files_runs_every_export_or_the_one_that_is_named() -> None:
    wanted = ("torch.eager", "ort.cpu", "openvino@b", "openvino", "null")
    assert runs_of(wanted, ["a", "b"]) == [
        ("torch.eager", ""),
        ("ort.cpu", "a"),
        ("ort.cpu", "b"),
        ("openvino", "b"),
        ("openvino", "a"),
        ("null", ""),
    ]


def test_an_export_that_is_not_there_is_not_run() -> None:
    assert runs_of(("openvino@c",), ["a", "b"]) == []
