"""The published atlas is looked up by kernel, form, route and versions, and says one line for each operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from assay.bench.atlas import lookup
from assay.bench.atlas.lookup import (
    MOST_LINES,
    Published,
    entries_for,
    known_of_export,
    known_of_file,
    published_of,
    read_published,
    said_of,
)
from assay.bench.atlas.record import Finding, Verdict
from assay.bench.atlas.suites.entries import SUITES
from assay.bench.auditing.guilt import known_of_files
from assay.records.audit import Comparison
from assay.records.results import Agreement, Export
from tests.bench.atlas.test_findings import atlas_of, finding

SEEN = {"torch": "2.13.0+cpu", "onnxruntime": "1.32.0"}
POOL = "aten::avg_pool2d"
RESIZE = finding("wrong in the runtime", operator="Resize", route="onnxruntime").model_copy(update={"suite": "onnx"})


def found(verdict: Verdict, *kernels: str, sample: int = 0, route: str = "torch-dynamo") -> Finding:
    made = finding(verdict, operator="nn.functional.avg_pool2d", route=route, sample=sample)
    return made.model_copy(update={"kernels": kernels})


def published(*findings: Finding) -> Published:
    return published_of(atlas_of(*findings).model_copy(update={"versions": SEEN}))


def having(**versions: str) -> Callable[[Iterable[str]], Mapping[str, str]]:
    return lambda names: {name: one for name, one in (SEEN | versions).items() if name in names and one}


def lines(shipped: Published, *kernels: str, **versions: str) -> list[str]:
    return said_of(entries_for(kernels, ("torch-dynamo",), shipped), shipped, having(**versions))


def test_a_wrong_operator_of_a_model_is_said_in_one_line_with_its_denominators() -> None:
    shipped = published(found("wrong", POOL), found("right", POOL, sample=1))
    assert lines(shipped, "aten::relu", POOL) == [
        "In the atlas, aten::avg_pool2d by torch-dynamo is wrong in 1 of 2 samples, with the installed versions: "
        "assay atlas --operator nn.functional.avg_pool2d"
    ]


@pytest.mark.parametrize(
    ("versions", "words"),
    [
        ({}, "with the installed versions"),
        ({"torch": "2.13.0+cu126"}, "with the installed versions"),
        ({"torch": "2.14.0"}, "with torch 2.13.0+cpu, where torch 2.14.0 is installed"),
        ({"onnxruntime": ""}, "with onnxruntime 1.32.0, where onnxruntime none is installed"),
    ],
)
def test_other_versions_are_said(versions: dict[str, str], words: str) -> None:
    (line,) = lines(published(found("wrong", POOL)), POOL, **versions)
    assert f"samples, {words}: assay" in line


def test_a_version_that_does_not_matter_to_the_route_is_not_said() -> None:
    assert "onnxscript" in SUITES["opinfo"].packages_of("torch-dynamo")
    assert "onnxscript" not in SUITES["opinfo"].packages_of("torch-script")
    assert SUITES["onnx"].packages_of("onnxruntime") == ("onnxruntime",)
    assert "jax2onnx" not in SUITES["jax"].packages_of("jax2tf")


def test_a_model_without_it_and_another_route_are_told_nothing() -> None:
    shipped = published(found("wrong", POOL))
    assert entries_for(("aten::relu",), ("torch-dynamo",), shipped) == []
    assert entries_for((POOL,), ("torch-script",), shipped) == []
    assert entries_for((POOL,), ("torch-dynamo",), None) == []


def test_a_form_that_the_model_does_not_use_is_not_the_models() -> None:
    """BatchNorm is wrong in training, which no inference does."""
    norm = "aten::batch_norm"
    shipped = published(
        found("wrong", f"{norm}(training)"),
        found("wrong", f"{norm}(eps, training)", sample=1),
        found("right", norm, sample=2),
    )
    assert shipped.entries[0].having == ("training",)
    assert lines(shipped, norm) == lines(shipped, f"{norm}(eps)") == []
    (line,) = lines(shipped, f"{norm}(momentum, training)")
    assert "aten::batch_norm with training by torch-dynamo is wrong in 2 of 3 samples" in line


def test_any_of_the_arguments_of_all_wrong_samples_may_be_at_fault() -> None:
    shipped = published(found("wrong", f"{POOL}(ceil_mode, divisor_override)"), found("right", POOL, sample=1))
    (line,) = lines(shipped, f"{POOL}(divisor_override)")
    assert "aten::avg_pool2d with ceil_mode, divisor_override by torch-dynamo is wrong in 1 of 2 samples" in line
    assert lines(shipped, POOL) == []


def test_entries_on_one_kernel_are_one_line_and_many_are_counted() -> None:
    shipped = published(found("wrong", POOL))
    twice = [*shipped.entries, shipped.entries[0].model_copy(update={"operator": "nn.AvgPool2d", "wrong": 3, "of": 5})]
    assert said_of(twice, shipped, having()) == [
        "In the atlas, aten::avg_pool2d by torch-dynamo is wrong in 4 of 6 samples, with the installed versions: "
        "assay atlas --operator nn.AvgPool2d"
    ]
    many = [shipped.entries[0].model_copy(update={"kernel": f"aten::{number}"}) for number in range(MOST_LINES + 2)]
    assert said_of(many, shipped, having())[MOST_LINES:] == ["In the atlas are 2 more of its operators"]


@pytest.mark.parametrize("verdict", ["right", "not exported", "not run", "undecided", "not judged", "native is off"])
def test_only_what_exports_without_a_word_and_is_wrong_is_shipped(verdict: Verdict) -> None:
    assert published(found(verdict, POOL)).entries == []


def test_an_operator_of_several_kernels_is_not_looked_up() -> None:
    assert published(found("wrong", "aten::mul", "aten::sum")).entries == []
    assert published(found("wrong", "aten::mul"), found("right", "aten::sum", sample=1)).entries == []


def test_the_shipped_atlas_can_be_read() -> None:
    shipped = read_published()
    assert shipped is not None
    assert shipped.operators
    assert all(0 < one.wrong <= one.of for one in shipped.entries)


def test_a_layer_of_keras_is_found_in_its_own_suite() -> None:
    one = finding("wrong", operator="GRU", route="tf2onnx").model_copy(
        update={"suite": "keras", "kernels": ("keras::GRU",)}
    )
    shipped = published(one)
    (line,) = said_of(entries_for(("keras::GRU",), ("tf2onnx",), shipped), shipped, having())
    assert line.endswith("assay atlas --suite keras --operator GRU")


def test_a_file_is_looked_up_by_its_operators_and_the_runtimes_that_run_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "read_published", lambda: published(RESIZE))
    told = (
        "In the atlas, Resize in onnxruntime is wrong in 1 of 1 samples, with the installed versions: "
        "assay atlas --suite onnx --operator Resize"
    )
    assert known_of_file(["Resize", "Relu"], ["ort.cpu", "ort.cpu.basic"], having()) == [told]
    assert known_of_file(["Resize"], ["openvino"], having()) == []
    given = export("given").model_copy(update={"operators": {"Resize": 2}})
    assert known_of_export(given, (), (), having()) == [told]
    assert known_of_export(export("torch-dynamo"), (), ["ort.cpu"], having()) == []


def test_a_failed_audit_points_at_the_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "read_published", lambda: published(found("wrong", POOL)))
    wrong, right = comparison(passed=False), comparison(passed=True)
    (told,) = known_of_files([wrong], [export("torch-dynamo")], [POOL])
    assert told.startswith("torch-dynamo: In the atlas, aten::avg_pool2d by torch-dynamo is wrong in 1 of 1 samples, ")
    assert known_of_files([right], [export("torch-dynamo")], [POOL]) == []
    assert known_of_files([wrong], [export("torch-script")], [POOL]) == []
    checked = Agreement(
        subject="", images=1, max_absolute=2.0, max_relative=1.0, tolerance=1.0, derivation="", largest_moved=0,
        passed=False, reason="differs by 2",
    )  # fmt: skip
    failed = export("torch-dynamo").model_copy(update={"status": "failed", "agreement": [checked]})
    assert known_of_files([], [failed], [POOL]) == [told]
    assert known_of_files([], [failed.model_copy(update={"agreement": []})], [POOL]) == []


def export(exporter: str) -> Export:
    return Export(
        architecture="net", size=0, exporter=exporter, status="ok", weights="", opset=18, opset_asked=18, seconds=0.0
    )


def comparison(*, passed: bool) -> Comparison:
    return Comparison(
        subject="ort.cpu@torch-dynamo",
        inputs="y",
        batch=1,
        threads=1,
        images=1,
        measured=None,
        tolerance=1.0,
        passed=passed,
        reason="" if passed else "differs by 2",
    )
