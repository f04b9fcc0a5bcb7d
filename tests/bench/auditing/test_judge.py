"""Verdicts over outputs on disk: planted errors are found, named and refused, and correct rounding passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from assay.bench.auditing.judge import AuditEvidence, determinism_of, difference, judge_all, propagation_of
from assay.bench.auditing.runs import WHOLE, AuditPlan, Inputs, Outputs
from assay.bench.machine.host import LOCAL
from assay.bench.timing.workers import Candidate
from assay.infer.runtime import ModelFiles
from assay.numerics.classification.reduced import BY_CLASSES, reason_against_reduced
from assay.numerics.numbers import Measured
from assay.records.audit import AuditedTolerance, Comparison, Ran
from assay.spec import ModelSpec
from assay.train.built import BuiltModel
from tests.measured_classes import measure_classes

IMAGES, CLASSES = 2500, 8
MODEL = ModelFiles(model=BuiltModel(spec=ModelSpec("bloodnet", 28, CLASSES)))

Float64 = NDArray[np.float64]
Change = Callable[[Float64], NDArray[np.floating]]


def rounding(seed: int) -> Change:
    """The result of a correct fp32 run: an error of some ulps."""
    return lambda exact: (exact + np.random.default_rng(seed).normal(0, 1e-6, exact.shape)).astype(np.float32)


def to_bf16(exact: Float64) -> NDArray[np.floating]:
    """Rounded to eight bits of significand."""
    significand, exponent = np.frexp(exact)
    return np.ldexp(np.round(significand * 256) / 256, exponent).astype(np.float32)


def swapped_classes(exact: Float64) -> NDArray[np.floating]:
    return exact[:, [1, 0, *range(2, CLASSES)]].astype(np.float32)


def near_ties_lost(exact: Float64) -> NDArray[np.floating]:
    """Every image whose two highest logits are within a half gets its second-best class."""
    found = exact.copy()
    second, first = np.argsort(exact, axis=1)[:, -2:].T
    near = np.flatnonzero(exact.max(axis=1) - np.sort(exact, axis=1)[:, -2] < 0.5)
    found[near, second[near]], found[near, first[near]] = exact[near, first[near]], exact[near, second[near]]
    return found.astype(np.float32)


def one_nan(exact: Float64) -> NDArray[np.floating]:
    found = exact.astype(np.float32)
    found[-1, 3] = np.nan
    return found


def far_cut_off(exact: Float64) -> NDArray[np.floating]:
    """The effect of integers on values outside their calibrated range."""
    return np.clip(exact, -1, 1).astype(np.float32)


def overflowing(exact: Float64) -> NDArray[np.floating]:
    found = exact.astype(np.float32)
    found[0, 0] = np.inf
    return found


def coarse(exact: Float64) -> NDArray[np.floating]:
    """The result of a correct graph of reduced precision: it is further away than any fp32 run."""
    return (exact + np.random.default_rng(9).normal(0, 0.01, exact.shape)).astype(np.float32)


class Made:
    """References and subjects on disk: of the test split, and of constructed sets where named."""

    def __init__(self, folder: Path, *sets: str) -> None:
        self.folder = folder
        self.exact = np.random.default_rng(0).normal(0, 5, (IMAGES, CLASSES))
        self.exacts = {"test": self.exact} | {name: near_ties(number) for number, name in enumerate(sets)}
        self.references = {name: folder / f"reference-{name}.npy" for name in self.exacts}
        for name, exact in self.exacts.items():
            np.save(self.references[name], exact)
        labels = folder / "labels.npy"
        np.save(labels, self.exact.argmax(axis=1))
        inputs = [Inputs("test", folder / "unused.npy", IMAGES, labels)]
        inputs += [Inputs(name, folder / "unused.npy", len(self.exacts[name])) for name in sets]
        self.plan = AuditPlan(tuple(inputs), Inputs("special", folder / "unused.npy", 4), 96, "cpu", 60, host=LOCAL)

    def outputs(
        self, runtime: str, change: Change, exporter: str = "", precision: str = "fp32", on: str = ""
    ) -> Outputs:
        """Every run of a subject whose outputs equal the reference's, with changes; `on` selects one set of inputs."""
        candidate = Candidate(runtime, exporter, MODEL)
        files = {}
        found = {
            name: change(exact) if on in {"", name} else exact.astype(np.float32) for name, exact in self.exacts.items()
        }
        for threads in self.plan.threads:
            for call in self.plan.calls(threads, runtime, precision):
                files[call] = self.folder / f"{candidate.label}-{len(files)}.npy"
                np.save(files[call], found.get(call.inputs, found["test"])[: call.images])
        return Outputs(candidate, precision, files, Ran(subject=candidate.label, precision=precision))

    def judge(self, *outputs: Outputs) -> tuple[list[AuditedTolerance], list[Comparison]]:
        judged = judge_all(AuditEvidence(self.plan, outputs, self.references, BY_CLASSES))
        return judged.tolerances, judged.comparisons


def near_ties(seed: int) -> Float64:
    """Logits at the decision boundary: the two largest are almost equal."""
    exact = np.random.default_rng(seed).normal(0, 5, (40, CLASSES))
    second, first = np.argsort(exact, axis=1)[:, -2:].T
    rows = np.arange(len(exact))
    exact[rows, second] = exact[rows, first] - 1e-6
    return exact


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def of(comparisons: list[Comparison], subject: str) -> list[Comparison]:
    return [one for one in comparisons if one.subject == subject]


def test_a_run_that_differs_from_the_request_fails_and_does_not_measure_rounding(made: Made) -> None:
    """Its numbers may be as good as those of fp32, but they answer another question."""
    right = made.outputs("torch.eager", rounding(1))
    other = made.outputs("jax.jit", rounding(2))
    otherwise = ["computed in tf32: fp32 was requested"]
    other = replace(other, ran=other.ran.model_copy(update={"otherwise": otherwise}))
    evidence = AuditEvidence(made.plan, (right, other), made.references, BY_CLASSES)
    assert [one.candidate.label for one in evidence.natives] == ["torch.eager"]
    comparisons = judge_all(evidence).comparisons
    assert all(one.passed for one in of(comparisons, "torch.eager"))
    assert {(one.passed, one.reason) for one in of(comparisons, "jax.jit")} == {(False, otherwise[0])}


def test_correct_rounding_passes_at_every_batch_size_and_thread_count(made: Made) -> None:
    natives = [made.outputs("torch.eager", rounding(1)), made.outputs("jax.jit", rounding(2))]
    _, comparisons = made.judge(*natives, made.outputs("ort.cpu", rounding(3), "tf2onnx"))
    assert all(one.passed and one.delivered == "fp32" for one in comparisons)
    found = of(comparisons, "ort.cpu@tf2onnx")
    assert found[0].images == IMAGES
    assert {(one.batch, one.threads) for one in found[1:]} == {
        (batch, threads) for batch in (1, 3, 32) for threads in made.plan.threads
    }


@pytest.mark.parametrize(("share", "passes"), [(0.9, True), (1.1, False)])
def test_the_tolerance_is_the_limit(made: Made, share: float, passes: bool) -> None:
    """An error slightly below it passes, and one slightly above it does not."""
    natives = [made.outputs("torch.eager", rounding(1)), made.outputs("jax.jit", rounding(2))]
    tolerance = next(one.value for one in made.judge(*natives)[0] if not one.for_subject)

    def off(exact: Float64) -> NDArray[np.floating]:
        found = exact.copy()
        found[0, 0] += share * tolerance
        return found

    _, comparisons = made.judge(*natives, made.outputs("ort.cpu", off, "tf2onnx"))
    found = of(comparisons, "ort.cpu@tf2onnx")[0]
    assert found.tolerance == tolerance
    assert found.passed == passes, found.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (to_bf16, "as few as bf16 leaves, which is no proof of that precision"),
        (swapped_classes, "it is a different function"),
        (lambda exact: -exact.astype(np.float32), "it is a different function"),
        (one_nan, "1 outputs are not finite"),
        (lambda exact: exact[:, :7].astype(np.float32), "expected floating point of shape"),
        (lambda exact: exact.astype(np.int32), "expected floating point"),
        (lambda exact: exact[:0].astype(np.float32), "outputs of shape (0, 8)"),
    ],
)
def test_a_planted_error_fails_with_its_reason(change: Change, words: str, made: Made) -> None:
    natives = [made.outputs("torch.eager", rounding(1)), made.outputs("jax.jit", rounding(2))]
    _, comparisons = made.judge(*natives, made.outputs("ort.cpu", change, "tf2onnx"))
    whole = of(comparisons, "ort.cpu@tf2onnx")[0]
    assert not whole.passed
    assert words in whole.reason
    assert all(one.passed for one in of(comparisons, "torch.eager") + of(comparisons, "jax.jit"))


def test_a_native_runtime_is_judged_by_the_others(made: Made) -> None:
    """Its own error must not be its own measure."""

    def worse(exact: Float64) -> NDArray[np.floating]:
        return rounding(2)(exact + 1e-3)

    tolerances, comparisons = made.judge(made.outputs("torch.eager", rounding(1)), made.outputs("jax.jit", worse))
    assert not of(comparisons, "jax.jit")[0].passed
    judging = next(one for one in tolerances if one.for_subject == "jax.jit")
    assert set(judging.native_errors) == {"torch.eager"}


def test_a_native_runtime_in_bf16_does_not_widen_the_tolerance(made: Made) -> None:
    natives = [made.outputs("torch.eager", rounding(1)), made.outputs("jax.jit", to_bf16)]
    tolerances, comparisons = made.judge(*natives, made.outputs("ort.cpu", rounding(3), "tf2onnx"))
    common = next(one for one in tolerances if not one.for_subject)
    assert common.value < 1e-3
    assert of(comparisons, "ort.cpu@tf2onnx")[0].passed
    assert of(comparisons, "torch.eager")[0].passed
    assert "bf16" in of(comparisons, "jax.jit")[0].reason


def test_no_native_runtime_leaves_nothing_to_judge_by(made: Made) -> None:
    _, comparisons = made.judge(made.outputs("ort.cpu", rounding(3), "tf2onnx"))
    assert not any(one.passed for one in comparisons)
    assert "no native output" in comparisons[0].reason


def test_labels_give_accuracy_and_calibration_over_all_pieces(made: Made) -> None:
    _, comparisons = made.judge(
        made.outputs("torch.eager", rounding(1)), made.outputs("ort.cpu", swapped_classes, "tf2onnx")
    )
    found = of(comparisons, "ort.cpu@tf2onnx")[0].measured
    assert isinstance(found, Measured)
    assert found.classes is not None
    accuracy = found.classes.accuracy
    assert accuracy is not None
    assert (accuracy.images, accuracy.reference) == (IMAGES, 1.0)
    swapped = int(np.isin(made.exact.argmax(axis=1), (0, 1)).sum())
    assert (accuracy.lost, found.classes.flip_count) == (swapped, swapped)
    assert accuracy.p_value < 1e-100


def test_reduced_precision_is_judged_by_accuracy_and_margins(made: Made) -> None:
    native = made.outputs("torch.eager", rounding(1))
    _, comparisons = made.judge(native, made.outputs("ort.cpu", to_bf16, "tf2onnx", "bf16"))
    found = of(comparisons, "ort.cpu@tf2onnx")[0]
    assert (found.passed, found.precision, found.delivered) == (True, "bf16", "bf16")
    assert found.measured is not None
    assert found.measured.max_absolute > found.tolerance


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swapped_classes, "changes class although its margin in the reference"),
        (near_ties_lost, "may have been lost"),
        (one_nan, "1 outputs are not finite"),
    ],
)
def test_reduced_precision_has_limits(change: Change, words: str, made: Made) -> None:
    native = made.outputs("torch.eager", rounding(1))
    _, comparisons = made.judge(native, made.outputs("ort.cpu", change, "tf2onnx", "int8"))
    assert words in of(comparisons, "ort.cpu@tf2onnx")[0].reason


class Sampled(Made):
    """An audit of 200 images, with the whole test split for precisions below fp32."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        whole = self.plan.sets[0]
        few, labels = folder / "few.npy", folder / "few-labels.npy"
        np.save(few, self.exact[:200])
        np.save(labels, self.exact[:200].argmax(axis=1))
        self.exacts[WHOLE] = self.exact
        self.references = {"test": few, WHOLE: self.references["test"]}
        test = Inputs("test", whole.path, 200, labels)
        split = Inputs(WHOLE, whole.path, IMAGES, whole.labels)
        self.plan = AuditPlan(
            (test,), self.plan.special, 96, "cpu", 60, split, frozenset({"torch.eager", "ort.cpu"}), host=LOCAL
        )


def test_the_accuracy_of_reduced_precision_is_that_of_the_whole_split_where_an_audit_takes_a_part(
    tmp_path: Path,
) -> None:
    made = Sampled(tmp_path)
    native, subject = made.outputs("torch.eager", rounding(1)), made.outputs("ort.cpu", coarse, "tf2onnx", "int8")
    _, comparisons = made.judge(native, subject)
    found = of(comparisons, "ort.cpu@tf2onnx")
    assert [one.reason for one in found if not one.passed] == []
    measured = {one.inputs: one.measured.classes for one in found if one.measured}
    accuracies = {name: one.accuracy for name, one in measured.items() if one and one.accuracy}
    assert {name: one.images for name, one in accuracies.items()} == {WHOLE: IMAGES}
    assert WHOLE not in {one.inputs for one in of(comparisons, "torch.eager")}


def test_a_level_that_is_not_served_is_judged_on_the_sample_alone(tmp_path: Path) -> None:
    made = Sampled(tmp_path)
    native = made.outputs("torch.eager", rounding(1))
    subject = made.outputs("ort.cpu.no-opt", swapped_classes, "tf2onnx", "int8")
    found = of(made.judge(native, subject)[1], "ort.cpu.no-opt@tf2onnx")
    assert {one.inputs for one in found} == {"test"}
    assert "changes class" in next(one.reason for one in found if not one.passed)


def test_accuracy_that_is_lost_outside_of_the_sample_fails(tmp_path: Path) -> None:
    made = Sampled(tmp_path)
    native = made.outputs("torch.eager", rounding(1))
    subject = made.outputs("ort.cpu", near_ties_lost, "tf2onnx", "int8", on=WHOLE)
    failed = [one for one in of(made.judge(native, subject)[1], "ort.cpu@tf2onnx") if not one.passed]
    assert [one.inputs for one in failed] == [WHOLE]
    assert "may have been lost" in failed[0].reason


MADE = ("hard", "extreme", "boundary")


def reduced(folder: Path, change: Change, precision: str, on: str = "") -> list[Comparison]:
    """The verdicts on one subject of reduced precision, on the test split and every constructed set."""
    made = Made(folder, *MADE)
    native = made.outputs("torch.eager", rounding(1))
    subject = made.outputs("ort.cpu", change, "tf2onnx", precision, on)
    return of(made.judge(native, subject)[1], "ort.cpu@tf2onnx")


@pytest.mark.parametrize("precision", ["int8", "fp16", "bf16"])
def test_a_right_model_of_reduced_precision_passes_everywhere(precision: str, tmp_path: Path) -> None:
    """At the boundary it changes half of the classes, and its samples are too small to show accuracy alone."""
    found = reduced(tmp_path, coarse, precision)
    assert [one.reason for one in found if not one.passed] == []
    boundary = next(one for one in found if one.inputs == "boundary")
    assert boundary.measured is not None
    assert boundary.measured.classes
    assert boundary.measured.classes.flip_count > 5
    assert {one.tolerance for one in found} == {0.0}


@pytest.mark.parametrize("change", [lambda exact: np.zeros_like(exact, np.float32), swapped_classes, far_cut_off])
def test_what_does_not_follow_the_reference_at_the_boundary_fails(change: Change, tmp_path: Path) -> None:
    found = reduced(tmp_path, change, "int8", on="boundary")
    assert {one.inputs for one in found if not one.passed} == {"boundary"}
    assert "does not follow the reference" in next(one.reason for one in found if not one.passed)


@pytest.mark.parametrize(
    ("change", "precision", "on", "judged"),
    [
        (far_cut_off, "int8", "hard", False),
        (far_cut_off, "int8", "extreme", False),
        (far_cut_off, "fp16", "hard", True),
        (far_cut_off, "bf16", "extreme", True),
        (overflowing, "fp16", "extreme", False),
        (overflowing, "fp16", "hard", True),
        (overflowing, "bf16", "extreme", True),
        (overflowing, "int8", "hard", True),
    ],
)
def test_values_outside_a_formats_range_are_recorded_and_do_not_count(
    change: Change, precision: str, on: str, tmp_path: Path, *, judged: bool
) -> None:
    found = next(one for one in reduced(tmp_path, change, precision, on) if one.inputs == on)
    assert (found.passed, bool(found.note)) == (not judged, not judged)
    assert found.measured is not None


def test_too_few_images_to_show_how_little_accuracy_is_lost_are_named_as_such() -> None:
    exact = np.random.default_rng(0).normal(0, 5, (267, CLASSES))
    assert "which so few images cannot confirm" in reason_against_reduced(
        measure_classes(exact, exact, exact.argmax(axis=1))
    )
    more = np.concatenate([exact, exact[:1]])
    assert reason_against_reduced(measure_classes(more, more, more.argmax(axis=1))) == ""


def test_the_same_outputs_give_the_same_verdict(made: Made) -> None:
    outputs = [made.outputs("torch.eager", rounding(1)), made.outputs("ort.cpu", rounding(3), "tf2onnx")]
    assert made.judge(*outputs) == made.judge(*outputs)


def test_what_depends_on_the_batch_is_seen_to_the_bit(made: Made) -> None:
    outputs = made.outputs("torch.eager", rounding(1))
    assert (determinism_of(outputs, made.plan).batches, determinism_of(outputs, made.plan).repeated) == (0.0, 0.0)
    alone = outputs.files[made.plan.sampled(1, made.plan.threads[0])]
    logits = np.load(alone)
    logits[5, 5] = np.nextafter(logits[5, 5], np.float32(np.inf))
    np.save(alone, logits)
    found = determinism_of(outputs, made.plan)
    assert 0 < found.batches < 1e-5
    assert found.repeated == 0


def test_a_difference_counts_nan_as_equal_to_itself_alone() -> None:
    left = np.array([[1.0, np.nan]])
    assert difference(left, left) == 0
    assert difference(left, np.array([[1.0, 2.0]])) == np.finfo(np.float64).max
    assert difference(left, np.array([[1.5, np.nan]])) == 0.5
    assert difference(left, left[:, :1]) == np.finfo(np.float64).max


def test_lost_and_invented_nan_are_distinguished() -> None:
    reference = np.array([[np.nan, np.nan], [1.0, 2.0], [np.inf, 1.0]])
    found = propagation_of("a", ("x", "y", "z"), reference, np.array([[0.0, 1.0], [np.nan, 2.0], [np.inf, 1.0]]))
    assert (found.swallowed, found.invented, found.passed) == (["x"], ["y"], False)
    assert propagation_of("a", ("x", "y", "z"), reference, reference).passed


SPECIAL = ("all NaN", "one NaN")
NAN_OUT = np.full((2, CLASSES), np.nan)


def test_nan_that_a_runtimes_own_operator_loses_is_a_finding() -> None:
    found = propagation_of("tf.function", SPECIAL, NAN_OUT, np.zeros((2, CLASSES)), {"max-pooling": "NaN everywhere"})
    assert not found.passed
    assert found.is_the_runtimes_own
    assert "max-pooling loses NaN everywhere" in str(found)


def test_unexplained_and_invented_nan_is_not_a_mere_finding() -> None:
    lost = propagation_of("ort.cpu@x", SPECIAL, NAN_OUT, np.zeros((2, CLASSES)), {})
    invented = propagation_of("ort.cpu@x", SPECIAL, np.zeros((2, CLASSES)), NAN_OUT, {"ReLU": "a single NaN"})
    assert not lost.is_the_runtimes_own
    assert not invented.is_the_runtimes_own
    assert "invents" in str(invented)
