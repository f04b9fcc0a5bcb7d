"""The rules of an audit, on constructed measures: what is tolerated, which native runs count, what is reported."""

from __future__ import annotations

import numpy as np
import pytest

from assay.bench.auditing.judge import (
    INTEGER_RANGE,
    determinism_of,
    difference,
    judged,
    measured_or_reason,
    propagation_of,
    reason_against,
    tolerance_for,
)
from assay.bench.auditing.outputs import as_rows, audited_tolerance, compared, measured_rows, tensor_of
from assay.bench.auditing.runs import AuditCall
from assay.numerics.agreement import CEILING
from assay.numerics.classification.measured import MeasuredClasses
from assay.numerics.classification.reduced import BY_CLASSES
from assay.numerics.numbers import Measured
from assay.numerics.rounding import rounding_of
from assay.records.audit import AuditedTolerance
from assay.train.brought.judged import JudgedOutput
from tests.bench.auditing.test_judge import Made, rounding
from tests.measured_classes import measure_classes

LOGITS = np.random.default_rng(0).normal(0, 2, (40, 4))
CALL = AuditCall("test", batch=32, threads=1, images=40)


def measured(**changes: object) -> Measured:
    """The measures of outputs that equal the reference's, of scale 8, with changes."""
    found = measure_classes(LOGITS, LOGITS)
    assert found.classes
    of_classes = {name: value for name, value in changes.items() if name in MeasuredClasses.model_fields}
    of_numbers = {name: value for name, value in changes.items() if name not in of_classes}
    classes = found.classes.model_copy(update=of_classes)
    return found.model_copy(update={"scale": 8.0, "classes": classes} | of_numbers)


def tolerance(value: float, problem: str = "") -> AuditedTolerance:
    return AuditedTolerance(
        inputs="test", value=value, derivation="derived", scale=8, native_errors={}, noise=0, problem=problem
    )


def test_a_difference_of_exactly_the_tolerance_passes() -> None:
    assert reason_against(measured(max_absolute=0.25), 0.25, "fp32") == ""
    said = reason_against(measured(max_absolute=0.5, effective_bits=3.25), 0.25, "fp32")
    assert said == "differs by 0.5, where 0.25 is tolerated; 3.2 bits are right"
    assert "; 53.0 bits are right, as few as bf16 leaves" in reason_against(measured(max_absolute=0.5), 0.25, "bf16")
    assert reason_against(measured(max_absolute=0.5), 0.25, "less than bf16").endswith("it is a different function")
    assert reason_against(measured(not_finite=2), 0.25, "fp32").startswith("2 outputs are not finite")


def test_the_largest_sound_native_error_makes_the_tolerance() -> None:
    natives = {"a": measured(max_absolute=1e-6, images=10), "b": measured(max_absolute=2e-5, scale=4.0)}
    found = tolerance_for("test", "x", natives, 1e-5)
    assert found.value == pytest.approx(16 * (2e-5 + 1e-5))
    assert (found.scale, found.noise, found.native_errors) == (8.0, 1e-5, {"a": 1e-6, "b": 2e-5})
    assert (found.inputs, found.for_subject, found.problem) == ("test", "x", "")
    assert "on 40 inputs" in found.derivation


def test_a_native_run_that_broke_or_did_not_compute_in_fp32_measures_nothing() -> None:
    good, coarse = measured(max_absolute=1e-6), measured(max_absolute=8 * CEILING * 1.01)
    for bad in (coarse, measured(not_finite=1, max_absolute=9.0), measured(lost=1, max_absolute=9.0), "it crashed"):
        assert tolerance_for("test", "", {"good": good, "bad": bad}, 0.0).value == pytest.approx(16e-6)
    assert "did not compute this model in fp32" in tolerance_for("test", "", {"bad": coarse}, 0.0).problem
    assert tolerance_for("test", "", {"bad": "it crashed"}, 0.0).problem
    assert tolerance_for("test", "", {}, 0.0).problem
    at = measured(max_absolute=8 * CEILING)
    assert tolerance_for("test", "", {"good": good, "at": at}, 0.0).value == pytest.approx(8 * CEILING)


def test_a_subject_is_judged_by_the_rule_of_its_precision() -> None:
    far = measured(max_absolute=1.0, effective_bits=9.0)
    fp32 = judged("it", CALL, far, tolerance(0.25), 22.0)
    assert (fp32.passed, fp32.tolerance, fp32.precision, fp32.delivered) == (False, 0.25, "fp32", "TF32 or fp16")
    half = judged("it", CALL, far, tolerance(0.25), 22.0, "fp16")
    assert (half.passed, half.tolerance, half.reason) == (True, 0.0, "")
    assert not judged("it", CALL, measured(), tolerance(0.25, "nobody knows"), 22.0).passed
    missing = judged("it", CALL, "it crashed", tolerance(0.25), 22.0)
    assert (missing.passed, missing.reason, missing.measured, missing.delivered) == (False, "it crashed", None, "")
    assert (missing.inputs, missing.batch, missing.threads, missing.images) == ("test", 32, 1, 40)


@pytest.mark.parametrize(
    ("precision", "inputs", "changes", "passed", "note"),
    [
        ("fp16", "boundary", {"rms_relative": 0.51}, False, ""),
        ("fp16", "boundary", {"flipped_margin": 9.0}, True, ""),
        ("fp16", "test", {"flipped_margin": 9.0}, False, ""),
        ("int8", "hard", {"rms_relative": 2.0}, True, INTEGER_RANGE),
        ("int8", "extreme", {"rms_relative": 2.0}, True, INTEGER_RANGE),
        ("int8", "hard", {"not_finite": 1}, False, ""),
        ("fp16", "extreme", {"not_finite": 1}, True, "fp16 ends at 65,504"),
        ("fp16", "hard", {"rms_relative": 2.0}, False, ""),
        ("bf16", "extreme", {"rms_relative": 2.0}, False, ""),
    ],
)
def test_on_made_images_reduced_precision_follows_the_reference_where_its_range_lets_it(
    precision: str, inputs: str, changes: dict[str, object], passed: bool, note: str
) -> None:
    call = AuditCall(inputs, batch=32, threads=1, images=40)
    found = judged("it", call, measured(**changes), tolerance(0.25), 22.0, precision, BY_CLASSES)
    assert found.passed == passed
    assert found.note.startswith(note)
    assert bool(found.note) == bool(note)


def test_a_difference_is_the_largest_of_all_and_of_the_least_number_too() -> None:
    one = np.array([[1.0, -2.0, np.inf]])
    assert difference(one, one) == 0
    assert difference(one, one + np.array([[0.25, -0.5, 0]])) == 0.5
    assert difference(one, np.array([[1.0, -2.0, 5.0]])) == np.finfo(np.float64).max
    assert difference(np.zeros((1, 1)), np.full((1, 1), 5e-324)) == 5e-324


def test_repeats_batches_and_threads_are_distinguished(tmp_path: object) -> None:
    made = Made(tmp_path)  # type: ignore[arg-type]
    outputs = made.outputs("torch.eager", rounding(1))
    most, fewest = made.plan.threads[0], made.plan.threads[-1]
    found = determinism_of(outputs, made.plan)
    assert found.images == made.plan.sampled(32, most).images
    assert (found.threads is None) == (most == fewest)
    for call, expected in (
        (made.plan.sampled(32, fewest, repeated=True), "repeated"),
        (made.plan.sampled(1, most), "batches"),
    ):
        path = outputs.files[call]
        kept = np.load(path)
        np.save(path, kept + np.float32(0.5))
        told = determinism_of(outputs, made.plan).model_dump()
        assert {name for name in ("repeated", "batches", "threads") if told[name]} == {expected}
        assert told[expected] == pytest.approx(0.5, abs=1e-5)
        np.save(path, kept)


def test_values_that_are_lost_and_invented_in_one_image_count_for_both() -> None:
    reference, found = np.array([[np.nan, 1.0], [1.0, 2.0]]), np.array([[1.0, np.inf], [1.0, 2.0]])
    told = propagation_of("a", ("x", "y"), reference, found, {"ReLU": "NaN"})
    assert (told.swallowed, told.invented, told.passed, told.operators) == (["x"], ["x"], False, {"ReLU": "NaN"})
    assert propagation_of("a", ("x", "y"), reference, reference).operators == {}


@pytest.mark.parametrize("images", [1, 1024, 1025, 2500])
def test_all_rows_are_measured_whatever_pieces_they_are_read_in(images: int, tmp_path: object) -> None:
    made = Made(tmp_path)  # type: ignore[arg-type]
    candidate = made.exact[:images].astype(np.float32)
    candidate[-1] += 1
    path = made.folder / "candidate.npy"
    np.save(path, candidate)
    found = measured_or_reason(made.references["test"], path, images, made.folder / "labels.npy", BY_CLASSES)
    assert isinstance(found, Measured)
    assert (found.images, found.max_absolute) == (images, pytest.approx(1.0, abs=1e-5))
    assert found.classes is not None
    assert found.classes.accuracy is not None
    assert found.classes.accuracy.images == images
    said = measured_or_reason(made.references["test"], path, images + 1, None, BY_CLASSES)
    assert said == f"outputs of shape ({images}, 8), expected ({images + 1}, 8)"


def output(reference: np.ndarray, **changes: object) -> JudgedOutput:
    made = {"name": "y", "reference": reference, "natives": {"it": reference.astype(np.float32)}}
    made |= {"shape": reference.shape[1:], "whole": False}
    return JudgedOutput(**(made | changes))  # type: ignore[arg-type]


def test_at_the_edges_and_without_float64_the_next_coarser_arithmetic_is_the_limit() -> None:
    scale = float(np.abs(LOGITS).max())
    edge = output(LOGITS, name="y, at the edges", usual_scale=2 * scale)
    assert edge.tolerance.value == pytest.approx(CEILING * 2 * scale)
    assert output(LOGITS, usual_scale=scale / 2).tolerance.value == pytest.approx(CEILING * scale)
    assert tensor_of(edge) == "y"
    plain = output(LOGITS, exact=False)
    assert plain.tolerance.value == pytest.approx(CEILING * scale)
    record = audited_tolerance(plain)
    assert (record.scale, record.noise) == (pytest.approx(scale), 0.0)
    assert "no float64" in record.derivation
    assert output(LOGITS).tolerance.value < CEILING * scale / 100


def test_a_candidate_in_a_narrower_precision_is_judged_by_its_own_rounding() -> None:
    narrow = output(LOGITS, narrower="bf16").tolerance
    assert narrow.value == pytest.approx(rounding_of("bf16").ceiling * np.abs(LOGITS).max())
    assert narrow.value > output(LOGITS).tolerance.value
    assert audited_tolerance(output(LOGITS, narrower="bf16")).for_subject == "candidate"


def test_a_limit_at_the_edges_is_met_by_itself_and_columns_are_not_looked_at() -> None:
    reference = np.ones((16, 2)) * np.array([8.0, 0.001])
    edge = output(reference, usual_scale=8.0)
    off = reference + np.array([0.0, CEILING * 8])
    assert compared(edge, "it", CALL, off).passed
    assert not compared(edge, "it", CALL, reference + np.array([0.0, CEILING * 8.01])).passed
    exact = output(reference)
    assert compared(exact, "it", CALL, reference.astype(np.float32)).passed
    assert "column 1 of 2" in compared(exact, "it", CALL, reference + np.array([0.0, 5e-6])).reason


def test_no_outputs_and_fewer_rows_are_handled() -> None:
    assert output(np.ones((16, 2))).judged(np.ones((0, 2))).reason == "no outputs"
    one = output(LOGITS)
    found = measured_rows(one.judged(LOGITS[:5]))
    assert found is not None
    assert (found.images, found.max_absolute) == (5, 0.0)
    assert one.native_bits > 20
    assert output(LOGITS, natives={}).native_bits == 0.0
    nothing = np.full((4, 2), np.nan)
    for reduced in (False, True):
        assert "NaN throughout" in output(nothing).judged(nothing, reduced=reduced).reason
    assert "NaN throughout" in output(nothing).tolerance.problem


def test_an_invalid_whole_number_has_no_distance() -> None:
    ids = np.array([[1, 2], [3, 4]])
    one = output(ids, natives={"it": ids}, whole=True)
    found = measured_rows(one.judged(np.array([[1.0, np.nan], [3.0, 9.0]])))
    assert found is not None
    assert (found.values, found.differing, found.max_absolute) == (4, 2, 0.0)
    alone = audited_tolerance(output(ids, natives={}, whole=True))
    assert (alone.value, alone.scale, alone.native_errors) == (0.0, 4.0, {})


@pytest.mark.parametrize(
    ("shape", "rows"), [((), (1, 1)), ((3,), (3, 1)), ((3, 2), (3, 2)), ((3, 2, 2), (3, 4)), ((0, 2), (1, 0))]
)
def test_any_output_is_rows(shape: tuple[int, ...], rows: tuple[int, int]) -> None:
    assert as_rows(np.zeros(shape)).shape == rows
