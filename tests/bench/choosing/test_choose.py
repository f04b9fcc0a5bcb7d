"""The choice among constructed cells: the Pareto front, cells that can be trusted, and reasons against the others."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.bench.choosing.best import MOST_GIVEN_AWAY, Speeds
from assay.bench.choosing.choose import choose
from assay.bench.choosing.pareto import dominates
from assay.bench.cli.choose import render
from assay.errors import ArtifactError, InputError
from assay.numerics.classification.measured import MeasuredClasses
from assay.numerics.classification.significance import Accuracy
from assay.numerics.numbers import Measured
from assay.records.audit import Audit, Comparison, ModelAudit
from assay.records.base import Tail
from assay.records.choice import Choice, Constraints, nearest_in_words, read_choice, write_choice
from assay.records.results import Cell, Results
from assay.records.timings import Timing
from assay.registry import TASK_OF_ARCHITECTURES
from tests.bench.report.sample_audit import keys_of
from tests.bench.report.sample_results import sample_results, spread
from tests.command import command

IMAGES = 2000
TIMED = sample_results()
INT8 = next(
    one for one in TIMED.exports if (one.architecture, one.size, one.exporter) == ("bloodnet", 28, "torch-dynamo")
).model_copy(update={"exporter": "torch-dynamo+int8", "key": "8" * 64, "precision": "int8"})
SAMPLE = TIMED.model_copy(update={"exports": [*TIMED.exports, INT8]})


def cell(label: str, median_ms: float, *, batch: int = 1, width: float = 0.01, **changes: object) -> Cell:
    """A measured, valid cell of one model."""
    runtime, _, exporter = label.partition("@")
    like = next(one for one in SAMPLE.cells if one.name == "bloodnet/28/b1/t1/ort.cpu@torch-dynamo")
    times = Timing(
        median_ms=spread(median_ms, width),
        p90_ms=spread(median_ms * 1.1, width),
        p99_ms=spread(median_ms * 1.2, width),
        samples=500,
        processes=3,
    )
    return like.model_copy(
        update={
            "name": f"bloodnet/28/b{batch}/t1/{label}",
            "label": label,
            "batch": batch,
            "runtime": runtime,
            "exporter": exporter,
            "framework": "onnx" if exporter else runtime.partition(".")[0],
            "host": times,
            "device": times,
            "throughput": spread(batch * 1000 / median_ms, width),
            "peak_memory_mib": 100.0,
            "precision": "int8" if "+int8" in label else "fp32",
            "invalid": [],
        }
        | changes
    )


def compared(label: str, right: int, *, passed: bool = True) -> Comparison:
    """An audit's comparison on the test split, with this many images right."""
    accuracy = Accuracy(
        images=IMAGES, reference=right / IMAGES, candidate=right / IMAGES, lost=0, gained=0, p_value=1.0
    )
    measured = Measured(
        images=IMAGES, not_finite=0, scale=10, max_absolute=1e-5, max_relative=1e-6, max_ulps=9, rms_relative=1e-7,
        effective_bits=22, stored_bits=24, min_cosine=1,
        classes=MeasuredClasses(
            max_total_variation=0, mean_total_variation=0, max_divergence=0, agreement=1, flip_count=0,
            accuracy=accuracy,
        ),
    )  # fmt: skip
    return Comparison(
        subject=label,
        inputs="test",
        batch=32,
        threads=1,
        images=IMAGES,
        measured=measured,
        tolerance=1e-4,
        passed=passed,
        reason="" if passed else "differs by 3",
    )


def audit(comparisons: Sequence[Comparison], keys: dict[str, str] | None = None) -> Audit:
    model = ModelAudit(
        name="bloodnet/28", task=TASK_OF_ARCHITECTURES, reference="float64", reference_check=None, models={},
        inputs=[], tolerances=[],
        comparisons=list(comparisons), keys=keys_of(SAMPLE) if keys is None else keys,
    )  # fmt: skip
    return Audit(
        created="", assay_version="", verdict="passed", reasons=[], command="", environment={}, models=[model],
        seconds={},
    )  # fmt: skip


def results(cells: Sequence[Cell]) -> Results:
    return SAMPLE.model_copy(update={"cells": list(cells), "comparisons": []})


def asked(cells: Sequence[Cell], right: dict[str, int] | None = None, **constraints: object) -> Choice:
    counts = right or {}
    labels = dict.fromkeys(one.label for one in cells)
    comparisons = [compared(label, counts.get(label, 1960)) for label in labels]
    return choose(results(cells), audit(comparisons), Constraints.model_validate(constraints))


def test_the_fastest_is_chosen_and_the_others_get_a_reason() -> None:
    found = asked([cell("torch.eager", 4), cell("ort.cpu@torch-dynamo", 1)])
    assert found.answer == "bloodnet/28/b1/t1/ort.cpu@torch-dynamo"
    assert found.losers["bloodnet/28/b1/t1/torch.eager"].startswith("dominated by")
    assert "4.00 times as slow" in found.losers["bloodnet/28/b1/t1/torch.eager"]


def test_a_tie_is_called_one_and_goes_to_the_simpler() -> None:
    found = asked([cell("torch.eager", 1.01, width=0.03), cell("ort.cpu@torch-dynamo", 1, width=0.03)])
    assert found.answer.endswith("torch.eager")
    assert {one.cell for one in found.candidates if one.tied} == {one.cell for one in found.candidates}
    assert "conversions 0 against 1" in found.losers["bloodnet/28/b1/t1/ort.cpu@torch-dynamo"]
    assert "simplest of 2 that are tied" in found.because


def test_int8_that_is_faster_wins_over_fp32_but_not_when_it_is_tied() -> None:
    faster = asked([cell("ort.cpu@torch-dynamo", 1), cell("ort.cpu@torch-dynamo+int8", 0.4)])
    assert faster.answer.endswith("+int8")
    tied = asked([cell("ort.cpu@torch-dynamo", 1), cell("ort.cpu@torch-dynamo+int8", 0.99)])
    assert tied.answer.endswith("@torch-dynamo")
    assert "fp32 against int8" in next(iter(tied.losers.values()))


def test_a_faster_one_of_less_accuracy_leaves_both_on_the_front() -> None:
    cells = [cell("ort.cpu@torch-dynamo", 1), cell("ort.cpu@torch-dynamo+int8", 0.4)]
    found = asked(cells, {"ort.cpu@torch-dynamo": 1960, "ort.cpu@torch-dynamo+int8": 1800})
    assert found.answer.endswith("+int8")
    assert [one.front for one in found.candidates] == [True, True]
    kept = asked(cells, {"ort.cpu@torch-dynamo": 1960, "ort.cpu@torch-dynamo+int8": 1800}, least_quality=0.95)
    assert kept.answer.endswith("@torch-dynamo")


def test_a_least_accuracy_is_compared_with_the_lower_bound() -> None:
    found = asked([cell("torch.eager", 1)], {"torch.eager": 1960}, least_quality=0.975)  # 0.98 (0.9729 to 0.9853)
    assert found.answer == ""
    assert "only known to be 97.29%" in next(iter(found.losers.values()))
    assert asked([cell("torch.eager", 1)], {"torch.eager": 1960}, least_quality=0.97).answer


def test_when_none_qualifies_the_nearest_is_named_with_what_it_misses_by() -> None:
    found = asked([cell("torch.eager", 4), cell("ort.cpu@tf2onnx", 2.8)], most_p99_ms=3)
    assert found.answer == ""
    assert found.nearest is not None
    assert found.nearest.cell.endswith("ort.cpu@tf2onnx")
    assert "misses p99 by 13%" in nearest_in_words(found)  # by the upper bound, 1 % above 3.36 ms


def test_what_may_not_be_believed_is_not_chosen_and_says_why() -> None:
    cells = [
        cell("torch.eager", 9),
        cell("ort.cpu@torch-dynamo", 1, invalid=["the machine was disturbed"]),
        cell("ort.cpu@tf2onnx", 1, status="failed", reason="killed"),
        cell("ort.cpu@jax2tf", 1),
        cell("ort.cpu@jax2onnx", 1),
    ]
    comparisons = [compared("torch.eager", 1960), compared("ort.cpu@jax2tf", 1960, passed=False)]
    comparisons += [compared("ort.cpu@torch-dynamo", 1960), compared("ort.cpu@tf2onnx", 1960)]
    found = choose(results(cells), audit(comparisons), Constraints())
    assert found.answer.endswith("torch.eager")
    reasons = [found.losers[one.name] for one in cells[1:]]
    for reason, part in zip(reasons, ("disturbed", "killed", "did not pass", "was not audited"), strict=True):
        assert part in reason


@pytest.mark.parametrize(
    ("changed", "chosen", "part"),
    [
        ({"weights": "a" * 64}, "", "it covers the weights aaaaaaaaaaaa"),
        ({"onnx@torch-dynamo": "b" * 64}, "torch.eager", "it covers the file bbbbbbbbbbbb"),
        ({"onnx@torch-dynamo": ""}, "torch.eager", "it covers the file without a key"),
    ],
)
def test_what_was_audited_with_other_weights_or_another_file_is_never_chosen(
    changed: dict[str, str], chosen: str, part: str
) -> None:
    cells = [cell("torch.eager", 4), cell("ort.cpu@torch-dynamo", 1)]
    record = audit([compared(one.label, 1960) for one in cells], keys_of(SAMPLE) | changed)
    found = choose(results(cells), record, Constraints())
    assert found.answer == (cells[0].name if chosen else "")
    reason = found.losers[cells[1].name]
    assert part in reason
    assert "assay audit" in reason


def test_an_audit_that_does_not_say_what_it_is_of_decides_nothing() -> None:
    cells = [cell("torch.eager", 4)]
    found = choose(results(cells), audit([compared("torch.eager", 1960)], keys={}), Constraints())
    assert "does not name its weights" in found.losers[cells[0].name]


@pytest.mark.parametrize(
    ("constraints", "part"),
    [
        ({"precisions": ["fp32"]}, "int8 is not among the allowed precisions"),
        ({"runtimes": ["torch.eager"]}, "ort.cpu is not among the allowed runtimes"),
        ({"licences": ["BSD-3-Clause"]}, "licence MIT is not among"),
        ({"batch": 8}, "batch 1, 8 was requested"),
        ({"most_memory_mib": 50}, "misses memory by 100%"),
    ],
)
def test_constraints_exclude_and_say_so(constraints: dict[str, object], part: str) -> None:
    found = asked([cell("ort.cpu@torch-dynamo+int8", 1)], **constraints)
    assert found.answer == ""
    assert part in next(iter(found.losers.values()))
    assert bool(found.not_asked_for) == ("batch" in constraints)


def test_throughput_and_cost_prefer_the_larger_batch_and_latency_the_smaller() -> None:
    cells = [cell("torch.eager", 1), cell("torch.eager", 4, batch=32)]
    record = audit([compared("torch.eager", 1960)])
    assert choose(results(cells), record, Constraints(), "latency").answer == cells[0].name
    assert choose(results(cells), record, Constraints(), "throughput").answer == cells[1].name
    cost = choose(results(cells), record, Constraints(), "cost", 0.36, one_process=True)
    assert cost.answer == cells[1].name
    assert cost.candidates[0].value.value == pytest.approx(0.36 / 3600 / 8000 * 1e6)


def test_questions_that_make_no_sense_are_refused() -> None:
    record = audit([compared("torch.eager", 1960)])
    with pytest.raises(InputError, match="price"):
        choose(results([]), record, Constraints(), "cost")
    with pytest.raises(InputError, match="int7"):
        choose(results([]), record, Constraints(precisions=["int7"]))
    with pytest.raises(InputError, match="Unknown runtime"):
        choose(results([]), record, Constraints(runtimes=["ort"]))


LABELS = ["torch.eager", "jax.jit", "ort.cpu@torch-dynamo", "ort.cpu@tf2onnx", "ort.cpu@torch-dynamo+int8"]
CELLS = st.lists(
    st.tuples(
        st.sampled_from(LABELS),
        st.floats(0.1, 10),
        st.floats(0.001, 0.4),
        st.integers(0, IMAGES),
        st.sampled_from(["good", "invalid", "failed", "audit failed", "not audited"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda one: one[0],
)


@given(CELLS, st.sampled_from(["latency", "throughput"]), st.one_of(st.none(), st.floats(0.5, 5)))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_the_answer_is_never_dominated_and_never_what_may_not_be_believed(
    drawn: list[tuple[str, float, float, int, str]], objective: str, most_p99_ms: float | None
) -> None:
    cells, comparisons, good = [], [], set()
    for label, median_ms, width, right, state in drawn:
        changes: dict[str, object] = {"invalid": ["disturbed"]} if state == "invalid" else {}
        changes |= {"status": "failed"} if state == "failed" else {}
        cells.append(cell(label, median_ms, width=width, **changes))
        if state != "not audited":
            comparisons.append(compared(label, right, passed=state != "audit failed"))
        if state == "good" and (most_p99_ms is None or median_ms * 1.2 * (1 + width) <= most_p99_ms):
            good.add(cells[-1].name)
    found = choose(results(cells), audit(comparisons), Constraints(most_p99_ms=most_p99_ms), objective)  # type: ignore[arg-type]
    assert {one.cell for one in found.candidates} == good
    assert bool(found.answer) == bool(good)
    assert found.losers.keys() == {one.name for one in cells} - {found.answer}
    assert all(found.losers.values())
    if not found.answer:
        return
    answer = next(one for one in found.candidates if one.cell == found.answer)
    assert answer.front
    speeds = Speeds({one.name: one for one in cells}, found.objective, {})
    assert not any(dominates(other, answer, speeds) for other in found.candidates)
    fastest = found.candidates[0]
    assert speeds.ratio(answer, fastest).log_mean <= math.log1p(MOST_GIVEN_AWAY) or not fastest.front
    again = choose(results(cells[::-1]), audit(comparisons[::-1]), found.constraints, found.objective)
    assert again.answer == found.answer


def test_a_choice_is_kept_beside_the_study_and_read_again(tmp_path: Path) -> None:
    found = asked([cell("torch.eager", 4)])
    write_choice(found, tmp_path)
    assert read_choice(tmp_path) == found
    (tmp_path / "choice.json").write_text("{}")
    with pytest.raises(ArtifactError, match="assay choose"):
        read_choice(tmp_path)


def test_the_command_answers_and_exits_by_the_answer(tmp_path: Path) -> None:
    cells = [cell("torch.eager", 4), cell("ort.cpu@torch-dynamo", 1)]
    (tmp_path / "results.json").write_text(results(cells).model_dump_json())
    record = audit([compared(one.label, 1960) for one in cells])
    (tmp_path / "audit.json").write_text(record.model_dump_json())
    done = command("choose", str(tmp_path), "--accuracy", "0.95")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("bloodnet/28/b1/t1/ort.cpu@torch-dynamo: 1 ms")
    none = command("choose", str(tmp_path), "--p99", "1.0", "--json")
    assert none.returncode == 1
    assert json.loads(none.stdout)["nearest"]["constraint"] == "p99"


def test_accuracies_of_different_images_are_not_compared() -> None:
    """int8 on all images, fp32 on another number without margins: neither dominates, and the answer says so."""
    cells = [cell("ort.cpu@torch-dynamo", 1), cell("ort.cpu@torch-dynamo+int8", 0.4)]
    comparisons = [compared(one.label, 1960) for one in cells]
    measured = comparisons[0].measured
    assert measured is not None
    few = Accuracy(images=100, reference=0.9, candidate=0.9, lost=0, gained=0, p_value=1.0)
    assert measured.classes is not None
    classes = measured.classes.model_copy(update={"accuracy": few})
    comparisons[0] = comparisons[0].model_copy(update={"measured": measured.model_copy(update={"classes": classes})})
    found = choose(results(cells), audit(comparisons), Constraints())
    assert found.answer.endswith("+int8")
    assert [one.front for one in found.candidates] == [True, True]
    assert "of different images, 100 and 2,000, and were not compared" in found.losers[cells[0].name]
    none = choose(results(cells[:1]), audit(comparisons[:1]), Constraints(least_quality=0.89))
    assert "(of 100 images), 89.00% is required" in none.losers[cells[0].name]


def test_a_whole_machine_is_not_priced_by_a_process_that_leaves_cores_idle() -> None:
    """The machine has two cores and the cells one thread: the number of processes to serve with was not measured."""
    cells = [cell("torch.eager", 4), cell("jax.jit", 5, threads=2, name="bloodnet/28/b1/t2/jax.jit")]
    record = audit([compared("torch.eager", 1960), compared("jax.jit", 1960)])
    with pytest.raises(InputError) as refused:
        choose(results(cells), record, Constraints(), "cost", 0.36)
    assert "2 cores and cells of 1, 2 threads" in str(refused.value)
    assert "--one-process" in str(refused.value)
    told = choose(results(cells), record, Constraints(), "cost", 0.36, one_process=True)
    assert told.assumed.startswith("one process has the whole machine, though it has 2 cores")
    assert "\nAssumed: one process has the whole machine" in render(told)
    fills = choose(results(cells), record, Constraints(threads=2), "cost", 0.36)
    assert fills.answer == cells[1].name
    assert fills.assumed == "one process has the whole machine and makes its calls without pauses"
    assert choose(results(cells), record, Constraints()).assumed == ""


def test_a_machine_of_unknown_size_is_not_priced_unless_requested() -> None:
    unknown = results([cell("torch.eager", 4)]).model_copy(update={"environment": {}})
    record = audit([compared("torch.eager", 1960)])
    with pytest.raises(InputError, match="unknown number of cores"):
        choose(unknown, record, Constraints(), "cost", 0.36)
    assert choose(unknown, record, Constraints(), "cost", 0.36, one_process=True).answer


def test_a_limit_on_p99_is_compared_with_its_upper_bound_and_needs_calls_that_give_one() -> None:
    assert asked([cell("torch.eager", 1, width=0.01)], most_p99_ms=1.213).answer
    assert not asked([cell("torch.eager", 1, width=0.01)], most_p99_ms=1.21).answer
    tail = Tail(value=1.2, low=1.1, high=None)
    host = cell("torch.eager", 1).host
    assert host is not None
    few = cell("torch.eager", 1, host=host.model_copy(update={"p99_ms": tail, "samples": 100}))
    refused = asked([few], most_p99_ms=50)
    assert not refused.answer
    assert "100 calls do not bound p99 from above: it is 1.2 ms or more" in refused.losers[few.name]
    assert "p99 1.2 ms or more (100 calls)" in render(asked([few]))
    older = cell("torch.eager", 1, host=host.model_copy(update={"samples": 298}))
    assert not asked([older], most_p99_ms=50).answer  # an older record has an interval, and too few calls for one
