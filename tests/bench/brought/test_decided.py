"""How a task judges a user's model: labels that belong to its inputs, and every runtime's decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from pydantic import JsonValue

from assay.bench.auditing.by_output import judged_in
from assay.bench.brought.audit import audit_user_model
from assay.bench.brought.decided import check_metric, decided, judgements_of, with_judgements
from assay.bench.brought.exports import Brought
from assay.bench.brought.work import Wanted, Work
from assay.bench.judging.quality import quality_of_cell
from assay.bench.report.page.audit_page import render_audit
from assay.bench.tasks.decisions import sure_flips
from assay.bench.tasks.measure import is_labelled, measure_of
from assay.bench.tasks.metrics.metric import read_metric
from assay.bench.tasks.task import Answers, task
from assay.bench.words.progress import Narrator
from assay.errors import InputError
from assay.export.probing.probe import NATIVE_FILE, RECORDS_FILE, REFERENCE_FILE
from assay.numerics.ties.choices import Decider
from assay.records.results import Cell, Results
from assay.train.brought.model import Location, Tensor, UserModel
from assay.train.metrics import share
from tests.bench.report.sample_results import sample_results

RECORDS, CLASSES, SIDE, IN_FLOAT64 = 40, 3, 4, 8
LOCATION = Location(path=Path("net.pt"), form="script", kind="torch")
WANTED = Wanted(LOCATION, command="assay compare-model net.pt")
LABELS = np.random.default_rng(0).integers(0, CLASSES, (RECORDS, SIDE, SIDE))


def brought(folder: Path, shape: tuple[int, ...], exact: np.ndarray, known: int = RECORDS) -> Brought:
    """A model with one output, with float64 for this many records."""
    rows = exact.reshape(RECORDS, -1)
    np.save(folder / RECORDS_FILE, np.zeros(RECORDS))
    np.save(folder / REFERENCE_FILE, rows[:known])
    np.save(folder / NATIVE_FILE, rows.astype(np.float32) * np.float32(1 + 1e-7))
    model = UserModel(
        location=LOCATION,
        kind="torch",
        inputs=(Tensor(name="image", dtype="float32", shape=(1, SIDE, SIDE)),),
        outputs=(Tensor(name="scores", dtype="float32", shape=shape),),
        fingerprint="f" * 64,
    )
    return Brought(model, folder, "the PyTorch model in float64", exact=True, drawn=False)


def wanted(folder: Path, name: str, labels: np.ndarray | None) -> Wanted:
    if labels is None:
        return replace(WANTED, task=name)
    np.save(folder / "labels.npy", labels)
    return replace(WANTED, task=name, labels=folder / "labels.npy")


def work_of(asked: Wanted, folder: Path) -> Work:
    return Work(asked, folder, Narrator())


def a_cell() -> Cell:
    cell = next(one for one in sample_results().cells if one.label == "ort.cpu@torch-script")
    return cell.model_copy(update={"architecture": "net"})


@pytest.mark.parametrize(
    ("runtime", "asked", "computed", "arithmetic", "judged_by"),
    [
        ("openvino.default", "", "bf16", "fp32", "bf16"),
        ("openvino.default", "", "fp32", "fp32", ""),
        ("openvino.default", "", "bf16", "bf16", ""),  # by the model's own
        ("openvino.bf16", "bf16", "bf16", "fp32", "bf16"),
        ("openvino", "", "bf16", "fp32", ""),  # it was told to use fp32
        ("ort.cpu", "", "bf16", "fp32", ""),
        ("of another environment", "", "bf16", "fp32", ""),
    ],
)
def test_a_runtime_that_chooses_its_precision_is_judged_by_what_its_session_says(
    runtime: str, asked: str, computed: str, arithmetic: str, judged_by: str
) -> None:
    assert judged_in(runtime, asked, computed, arithmetic) == judged_by


def test_the_audit_judges_it_so_too(tmp_path: Path) -> None:
    exact = np.random.default_rng(0).normal(0, 1, (RECORDS, CLASSES))
    of = brought(tmp_path, (CLASSES,), exact)
    np.save(tmp_path / "found.npy", exact.astype(ml_dtypes.bfloat16).astype(np.float32))
    changes: dict[str, JsonValue] = {"precision": "bf16", "asked_precision": ""}
    cells = [
        a_cell().model_copy(update={"name": name, "label": name, "runtime": name, **changes})
        for name in ("openvino.default", "ort.cpu")
    ]
    outputs = {one.name: tmp_path / "found.npy" for one in cells}
    (audited,) = audit_user_model(Work(WANTED, tmp_path, Narrator()), of, cells, outputs, []).models
    assert {one.subject: one.passed for one in audited.comparisons} == {"openvino.default": True, "ort.cpu": False}


def of_pixels() -> np.ndarray:
    return np.moveaxis(np.eye(CLASSES)[LABELS], -1, 1) + np.random.default_rng(1).uniform(0, 0.1, (1, CLASSES, 1, 1))


@pytest.mark.parametrize(("known", "against"), [(RECORDS, "the PyTorch model in float64"), (8, "PyTorch in fp32")])
def test_pixels_are_judged_and_shown(known: int, against: str, tmp_path: Path) -> None:
    """Two pixels of one record change; the audit's page and the sentence on the terminal say so."""
    exact = of_pixels()
    model, asked = brought(tmp_path, (CLASSES, SIDE, SIDE), exact, known), wanted(tmp_path, "segmentation", LABELS)
    what = decided(asked, model)
    assert what.records == RECORDS
    found = exact.astype(np.float32)
    found[30, :, 0, :2] = np.roll(found[30, :, 0, :2], 1, axis=0)
    np.save(tmp_path / "cell.npy", found.reshape(RECORDS, -1))
    cell = a_cell()
    outputs = {cell.name: tmp_path / "cell.npy"}
    (cell,) = with_judgements([cell], judgements_of(work_of(asked, tmp_path), what, model, [cell], outputs))
    judgement = cell.judgement
    assert judgement is not None
    assert (judgement.flips.flipped, judgement.flips.records, judgement.against) == (2, 1, against)
    pixels = RECORDS * SIDE * SIDE
    assert judgement.qualities[0].value.value == pytest.approx((pixels - 2) / pixels)
    results = brought_results(cell, "segmentation")
    assert "2 of 640 pixels (1 record) changed class" in " ".join(task("segmentation").told(results))
    audit = audit_user_model(Work(asked, tmp_path, Narrator()), model, [cell], outputs, [])
    assert audit.models[0].comparisons[0].judgement == judgement
    page = render_audit(audit)
    assert "2 of 640 pixels (1 record)" in page
    assert "Mean IoU, reference to subject" in page
    assert "Accuracy, reference to subject" not in page


def test_the_accuracy_of_a_user_s_classifier_may_be_asked_for(tmp_path: Path) -> None:
    labels = LABELS[:, 0, 0]
    exact = np.eye(CLASSES)[labels] + 0.01
    model, asked = brought(tmp_path, (CLASSES,), exact), wanted(tmp_path, "classification", labels)
    found = exact.astype(np.float32)
    found[:3] = np.roll(found[:3], 1, axis=1)
    np.save(tmp_path / "cell.npy", found)
    cell = a_cell()
    outputs = {cell.name: tmp_path / "cell.npy"}
    (cell,) = with_judgements(
        [cell], judgements_of(work_of(asked, tmp_path), decided(asked, model), model, [cell], outputs)
    )
    assert is_labelled(brought_results(cell, "classification"))
    assert not is_labelled(brought_results(cell.model_copy(update={"judgement": None}), "classification"))
    audit = audit_user_model(Work(asked, tmp_path, Narrator()), model, [cell], outputs, [])
    (one,) = audit.models[0].comparisons
    passed = one.model_copy(update={"passed": True, "reason": ""})
    audit = audit.model_copy(update={"models": [audit.models[0].model_copy(update={"comparisons": [passed]})]})
    assert quality_of_cell(audit, cell).interval == share(RECORDS - 3, RECORDS)


def softmax(logits: np.ndarray) -> np.ndarray:
    exact = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exact / exact.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("given", [lambda logits: logits, softmax], ids=["logits", "probabilities"])
@pytest.mark.parametrize(("margin", "refused"), [(0.8, False), (3.0, True)])
def test_int8_may_change_uncertain_decisions(
    given: Callable[[np.ndarray], np.ndarray], margin: float, refused: bool, tmp_path: Path
) -> None:
    """One record changes its class: this is allowed within one logit, whether scores are logits or probabilities."""
    labels = LABELS[:, 0, 0]
    logits = 6.0 * np.eye(CLASSES)[labels]
    logits[5] = [margin, 0.0, -9.0]
    changed = logits.copy()
    changed[5] = [0.0, margin, -9.0]
    model, asked = brought(tmp_path, (CLASSES,), given(logits)), wanted(tmp_path, "classification", None)
    np.save(tmp_path / "cell.npy", given(changed).astype(np.float32))
    agreement = sample_results().exports[0].agreement[0].model_copy(update={"passed": True, "reason": ""})
    cell = a_cell().model_copy(update={"asked_precision": "int8", "agreement": agreement})
    outputs = {cell.name: tmp_path / "cell.npy"}
    (judged,) = with_judgements(
        [cell], judgements_of(work_of(asked, tmp_path), decided(asked, model), model, [cell], outputs)
    )
    assert judged.agreement is not None
    assert judged.agreement.passed is not refused
    assert ("decisions change that the PyTorch model in float64 is sure of" in judged.agreement.reason) is refused
    (one,) = audit_user_model(Work(asked, tmp_path, Narrator()), model, [judged], outputs, []).models[0].comparisons
    assert (one.judgement is not None, one.judgement and bool(one.judgement.reason)) == (True, refused)
    assert not refused or not one.passed


@pytest.mark.parametrize(
    ("rows", "threshold", "scores"),
    [
        ([[0.2, 0.8, 0.1], [0.9, 0.3, 0.2]], None, "logits"),  # between 0 and 1, and of no distribution
        ([[0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], None, "probabilities"),
        ([[1.5, -0.4, -0.1], [0.5, 0.3, 0.2]], None, "logits"),  # they add up to one
        ([[0.2], [0.9]], 0.5, "probabilities"),
        ([[0.2], [0.9]], 0.0, "logits"),
        ([[0.2], [1.9]], 0.5, "logits"),
    ],
)
def test_the_task_says_which_kind_of_numbers_decide(
    rows: list[list[float]], threshold: float | None, scores: str
) -> None:
    base = np.array(rows)
    output = Tensor(name="scores", dtype="float32", shape=base.shape[1:])
    answers = Answers(output=output, base=base, found=base, against="", tolerance=0.0, threshold=threshold)
    assert task("classification").judge(answers).scores == scores


@pytest.mark.parametrize(("scores", "sure"), [("logits", False), ("probabilities", True)])
def test_a_margin_of_probabilities_is_not_one_of_logits_between_zero_and_one(scores: str, sure: bool) -> None:
    base = np.array([[0.9, 0.05, 0.05]])
    output = Tensor(name="scores", dtype="float32", shape=(3,))
    answers = Answers(output=output, base=base, found=base[:, [1, 0, 2]], against="float64", tolerance=0.0)
    assert bool(sure_flips(task("classification"), answers, scores).flipped) is sure


@pytest.mark.parametrize(
    ("values", "sure"),
    [
        ([0.5, 0.7], False),  # a threshold and a probability above it, at 0.85 in the logits
        ([0.5, 0.8], True),
        ([0.0, 0.9], False),  # a threshold of logits
        ([0.0, 1.1], True),
        ([0.0, 0.9, -3.0], False),
        ([0.05, 0.15, 0.8], True),  # probabilities: far apart as logits
        ([0.2, 0.3, 0.5], False),
    ],
)
def test_a_class_is_sure_by_the_values_that_decide_it_in_the_model_itself(values: list[float], sure: bool) -> None:
    """int8 may change a class that a model chooses itself if another was nearly as good."""
    other = [values[0], *(one / 2 for one in values[1:])] if len(values) == 2 else values[::-1]
    decider = Decider(np.array([values, other]).reshape(2, 1, -1, 1), 1e-6)
    ranked = np.argsort(values)[::-1]
    base, found = (np.array([[place]], np.int64) for place in ranked[:2])
    output = Tensor(name="label", dtype="int64", shape=())
    answers = Answers(output=output, base=base, found=found, against="float64", tolerance=0.0, decider=decider)
    assert bool(sure_flips(task("classification"), answers, "classes").flipped) is sure


def test_a_plain_model_has_no_decisions(tmp_path: Path) -> None:
    model = brought(tmp_path, (CLASSES,), np.eye(CLASSES)[LABELS[:, 0, 0]])
    what = decided(WANTED, model)
    assert judgements_of(work_of(WANTED, tmp_path), what, model, [a_cell()], {}) == {}
    assert what.output is None


METRIC = """
import numpy

def hits(outputs, labels):
    return float(numpy.mean(outputs.argmax(axis=1) == labels))

def broken(outputs, labels):
    return {answer}
"""


@pytest.mark.parametrize("name", ["numerical", "classification"])
def test_a_metric_of_the_user_s_own_judges_every_runtime(name: str, tmp_path: Path) -> None:
    labels = LABELS[:, 0, 0]
    exact = np.eye(CLASSES)[labels] + 0.01
    (tmp_path / "score.py").write_text(METRIC.format(answer="1.0"))
    metric = read_metric(f"{tmp_path / 'score.py'}:hits")
    model, asked = brought(tmp_path, (CLASSES,), exact), replace(wanted(tmp_path, name, labels), metric=metric)
    found = exact.astype(np.float32)
    found[:3] = np.roll(found[:3], 1, axis=1)
    np.save(tmp_path / "cell.npy", found)
    cell, work = a_cell(), work_of(asked, tmp_path)
    outputs, what = {cell.name: tmp_path / "cell.npy"}, decided(asked, model)
    (cell,) = with_judgements([cell], judgements_of(work, what, model, [cell], outputs))
    assert cell.judgement is not None
    quality = cell.judgement.metric
    assert quality is not None
    assert (quality.name, quality.value.value, quality.base.value) == ("hits", (RECORDS - 3) / RECORDS, 1.0)
    assert quality.difference is not None
    assert quality.difference.value == pytest.approx(-3 / RECORDS)
    assert quality.p_value == pytest.approx(0.25, abs=0.05)  # two of the eight ways to exchange three records
    results = brought_results(cell, name)
    assert measure_of(results).name == "hits"
    assert "hits 0.9250 (" in " ".join(task(name).told(results))
    audit = audit_user_model(work, model, [cell], outputs, [])
    (one,) = audit.models[0].comparisons
    passed = one.model_copy(update={"passed": True, "reason": ""})
    audit = audit.model_copy(update={"models": [audit.models[0].model_copy(update={"comparisons": [passed]})]})
    assert quality_of_cell(audit, cell).interval == quality.value


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("float('nan')", r"score.py:broken gives no number \(score.py, line 7\).*finite number, found nan"),
        ("outputs", r"gives no number \(score.py, line 7\).*one number.*array of shape \(40, 3\)"),
        ("None", "gives no number.*NoneType"),
        ("labels[99]", r"fails in broken\(outputs, labels\).*IndexError.*\(score.py, line 8\)"),
        ("__import__('sys').exit(3)", "fails in broken.*SystemExit"),
    ],
)
def test_a_metric_that_gives_no_number_is_told_with_file_and_line_before_anything_is_timed(
    answer: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "score.py").write_text(METRIC.format(answer=answer))
    labels = LABELS[:, 0, 0]
    asked = wanted(tmp_path, "numerical", labels)
    asked = replace(asked, metric=read_metric(f"{tmp_path / 'score.py'}:broken"))
    model = brought(tmp_path, (CLASSES,), np.eye(CLASSES)[labels])
    with pytest.raises(InputError, match=f"(?s){said}"):
        check_metric(work_of(asked, tmp_path), decided(asked, model), model)


def test_labels_belong_to_inputs_that_were_given(tmp_path: Path) -> None:
    model = brought(tmp_path, (CLASSES, SIDE, SIDE), of_pixels())
    with pytest.raises(InputError, match=r"(?s)label for each of the 40 records"):
        decided(wanted(tmp_path, "segmentation", LABELS[:7]), model)
    with pytest.raises(InputError, match="--labels needs real inputs, and these are drawn"):
        decided(wanted(tmp_path, "segmentation", LABELS), replace(model, drawn=True))


def brought_results(cell: Cell, name: str) -> Results:
    return sample_results().model_copy(update={"task": name, "kind": "model", "cells": [cell]})
